"""The referee: agreement with a truth that it does not see, its error bars, and what it finds invented."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from cryoprior.image.soft_mask import sphere_mask
from cryoprior.metrics.fsc import fsc, volume_shell_sums
from cryoprior.metrics.noise_correlation import correlated_coefficients
from cryoprior.metrics.referee import Referee, referee
from kit.half_maps import INVENTED_FROM, KINDS, D, Halves

SEEDS = 24


@dataclasses.dataclass
class Trial:
    """What the referee says of one prior of one seed, and the truth: agreement of the half's map, D's, and f's."""

    found: Referee
    half: Tensor
    prior: Tensor
    free: Tensor


def trial(seed: int, kind: str, mask: Tensor | None = None, snr_1_at: int = 8) -> Trial:
    of = Halves(seed, snr_1_at)
    d1, d2 = of.prior(kind)
    within = torch.ones_like(of.truth) if mask is None else mask
    true = [fsc(volume * within, of.truth * within) for volume in (d1, d2, (d1 + d2) / 2, sum(of.halves) / 2)]
    return Trial(referee(*of.halves, d1, d2, mask), (true[0] + true[1]) / 2, true[2], true[3])


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_met_without_bias(kind: str) -> None:
    off, scatter, shells = (torch.zeros(D // 2 + 1).double() for _ in range(3))
    for seed in range(SEEDS):
        one = trial(seed, kind)
        clear = one.found.known & (one.found.half_fsc > 0.3)
        estimate = one.found.prior_of_half()
        off += torch.where(clear, estimate.value - one.half, 0.0)
        scatter += torch.where(clear, one.found.error(estimate).square(), 0.0)
        shells += clear
    seen = shells > SEEDS / 2
    bias, by_chance = off[seen] / shells[seen], scatter[seen].sqrt() / shells[seen]
    assert len(bias) > 6
    assert float(bias.mean().abs()) < 0.01
    assert float((bias.abs() - 2 * by_chance).max()) < 0.03


@pytest.mark.parametrize("masked", [False, True])
def test_error_bars_cover_what_they_should(masked: bool) -> None:
    mask = sphere_mask(D, 0.33 * D, 4.0).double() if masked else None
    within: dict[str, list[Tensor]] = {"half": [], "prior": [], "free": []}
    for kind in ("wiener", "solvent and positivity", "good", "planted", "harmful", "mirrored", "good until invented"):
        for seed in range(SEEDS):
            one = trial(seed, kind, mask)
            found = one.found
            estimates = {"half": found.prior_of_half(), "prior": found.prior(), "free": found.free()}
            for name, estimate in estimates.items():
                off = (estimate.value - getattr(one, name)).abs() / found.error(estimate)
                within[name].append(off[found.known][1:] < 1)
    for name, seen in within.items():
        assert 0.60 <= float(torch.cat(seen).double().mean()) <= 0.76, name


def test_planted_detail_is_found_where_the_usual_fsc_sees_none() -> None:
    one = trial(0, "planted", snr_1_at=12)
    planted = one.found.known & (torch.arange(D // 2 + 1) > INVENTED_FROM) & (torch.arange(D // 2 + 1) < 12)
    assert float(one.found.prior_fsc[planted].min()) > 0.95
    assert float(one.found.prior_of_half().value[planted].abs().max()) < 0.25
    invented = one.found.invented()
    assert float((invented.value - 3 * one.found.error(invented))[planted].min()) > 0.5


def test_nothing_is_said_where_half_maps_are_noise() -> None:
    false = 0
    for seed in range(SEEDS):
        one = trial(seed, "wiener", snr_1_at=4)
        assert not bool(one.found.known[one.found.half_fsc < 0.1].any())
        false += int(one.found.known[one.free < 0.1].sum())
    assert false == 0


def test_symmetry_leaves_fewer_numbers() -> None:
    of = Halves(1)
    maps = (*of.halves, *of.prior("good"))
    plain, symmetric = (referee(*maps, symmetry_order=order) for order in (1, 4))
    clear = symmetric.known
    torch.testing.assert_close(symmetric.error(symmetric.free())[clear], 2 * plain.error(plain.free())[clear])
    torch.testing.assert_close(symmetric.prior().value, plain.prior().value)


def test_other_scales_and_the_other_half_first_say_the_same() -> None:
    of = Halves(2)
    d1, d2 = of.prior("good")
    one, other = referee(*of.halves, d1, d2), referee(of.halves[1], of.halves[0], 7 * d2, 7 * d1)
    for name in ("prior", "prior_of_half", "free", "invented"):
        a, b = getattr(one, name)(), getattr(other, name)()
        torch.testing.assert_close(a.value[one.known], b.value[one.known])
        torch.testing.assert_close(one.error(a)[one.known], other.error(b)[one.known])


@pytest.mark.parametrize("radius", [0.25, 0.33])
def test_noise_in_a_part_of_the_box_varies_as_predicted(radius: float) -> None:
    mask = sphere_mask(D, radius * D, 4.0).double()
    sizes = volume_shell_sums(torch.ones(D, D, D // 2 + 1))
    squares, predicted = torch.zeros(D // 2 + 1).double(), []
    for seed in range(150):
        generator = torch.Generator().manual_seed(seed)
        a, b = (torch.randn(D, D, D, generator=generator, dtype=torch.float64) * mask for _ in range(2))
        squares += fsc(a, b).square() / 150
        if seed < 3:
            predicted.append(correlated_coefficients(a - b))
    seen = float((squares * sizes)[5:-1].mean())
    assert seen > 2
    assert sum(predicted) / 3 == pytest.approx(seen, rel=0.2)


def test_noise_of_few_views_varies_more() -> None:
    axis = torch.fft.fftfreq(D)[:, None, None].expand(D, D, D // 2 + 1)
    weights = torch.where(axis.abs() > torch.fft.rfftfreq(D), 1.0, 0.1).double()
    squares, predicted = torch.zeros(D // 2 + 1).double(), []
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        white = (torch.randn(D, D, D, generator=generator, dtype=torch.float64) for _ in range(2))
        a, b = (torch.fft.irfftn(torch.fft.rfftn(noise) * weights, s=(D, D, D)) for noise in white)
        squares += fsc(a, b).square() / 100
        predicted.append(referee(a, b, a, b).counts)
    counted = torch.stack(predicted).mean(0)[4:]
    assert float((counted * squares[4:]).mean()) == pytest.approx(1, abs=0.15)
    sizes = volume_shell_sums(torch.ones(D, D, D // 2 + 1))[4:]
    assert float((counted / sizes).max()) < 0.75


def test_noise_that_fills_the_box_is_independent() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(D, D, D, generator=generator, dtype=torch.float64)
    assert correlated_coefficients(noise) == pytest.approx(1, abs=0.02)
