"""The gate: no shell is worse than without the prior, shells are better where it is good, and verdicts are right."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cryoprior.image.soft_mask import sphere_mask
from cryoprior.metrics.fsc import fsc
from cryoprior.metrics.gate import Gate, _opening, gate, gated_map, verdicts
from cryoprior.metrics.referee import Referee, referee
from kit.half_maps import INVENTED_FROM, KINDS, D, Halves, by_shell

SEEDS = 30
SHELL = torch.arange(D // 2 + 1)
MASK = sphere_mask(D, 0.33 * D, 4.0).double()


def trial(seed: int, kind: str, mask: Tensor | None = None) -> tuple[Referee, Gate, Tensor]:
    """Return referee, gate, and what the gated map is worth by the truth; 1 where the truth is hardly seen."""
    of = Halves(seed)
    d1, d2 = of.prior(kind)
    found = referee(*of.halves, d1, d2, mask)
    weights = gate(found)
    within = torch.ones_like(of.truth) if mask is None else mask
    free, prior = (of.halves[0] + of.halves[1]) / 2 * within, (d1 + d2) / 2 * within
    a, g = (fsc(volume, of.truth * within) for volume in (free, gated_map(free, prior, weights)))
    worth = g.square() / (1 - g.square()) / (a.square() / (1 - a.square()))
    return found, weights, torch.where(a > 0.2, worth, torch.ones(()).double())


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_no_shell_is_worse(kind: str, masked: bool) -> None:
    worths = torch.stack([trial(seed, kind, MASK if masked else None)[2] for seed in range(SEEDS)])
    assert float(worths[:, 1:].min()) >= 0.97


@pytest.mark.parametrize(("kind", "shells", "least"), [("good", (7, 9), 1.3), ("solvent and positivity", (4, 9), 2.5)])
def test_shells_are_better_where_the_prior_is_good(kind: str, shells: tuple[int, int], least: float) -> None:
    worth = torch.stack([trial(seed, kind)[2] for seed in range(8)]).mean(0)
    assert float(worth[shells[0] : shells[1]].min()) > least


def test_what_is_expected_comes_true() -> None:
    ratios, within = [], []
    for seed in range(SEEDS):
        found, weights, worth = trial(seed, "good")
        opened = found.known & (weights.opening > 0)
        ratios.append((weights.worth / worth)[opened])
        within.append(((weights.worth - worth).abs() < 2 * weights.worth_error)[opened])
    assert float(torch.cat(ratios).mean()) == pytest.approx(1, abs=0.08)
    assert float(torch.cat(within).double().mean()) > 0.8


def test_a_prior_that_only_filters_is_left_out() -> None:
    for kind in ("wiener", "blurred"):
        found, weights, _ = trial(3, kind)
        assert not bool((weights.opening > 0).any())
        torch.testing.assert_close(weights.free, torch.ones_like(weights.free))
        assert not bool(weights.prior.any())
        assert set(verdicts(found, weights)) == {"measured", "unknown"}


def test_verdicts() -> None:
    found, weights, _ = trial(4, "good until invented")
    said = verdicts(found, weights)
    assert set(said[4:INVENTED_FROM]) == {"supported"}
    known = [k for k in range(INVENTED_FROM + 1, D // 2 + 1) if bool(found.known[k])]
    assert known
    assert {said[k] for k in known} == {"prior only"}
    assert set(said[known[-1] + 1 :]) == {"unknown"}
    assert not bool(torch.isfinite(weights.gated[known[-1] + 1 :]).any())


def sums(signal: float, noise: float, s: float, q: float, own: float, shells: int = 12) -> Referee:
    """Return shells that are all alike, with so many coefficients that nothing is uncertain."""
    one = torch.ones(shells).double()
    power = s * s * signal + q * q * noise + own
    return Referee(
        signal=signal * one,
        overlap=s * signal * one,
        noise=noise * one,
        difference=q * noise * one,
        half_fsc=signal / (signal + 2 * noise) * one,
        prior_fsc=one,
        prior_power=power * one,
        prior_half_power=(power + q * q * noise) * one,
        counts=1e14 * one,
        counts_of_prior=1e14 * one,
    )


@pytest.mark.parametrize(("s", "q", "own"), [(0.8, 0.3, 0.5), (1.0, 0.0, 2.0), (0.6, -0.1, 0.2), (1.1, 0.9, 0.3)])
def test_it_is_the_best_combination_of_three_correlations(s: float, q: float, own: float) -> None:
    signal, noise = 3.0, 1.0
    weights = gate(sums(signal, noise, s, q, own))
    power = s * s * signal + q * q * noise + own
    a, r = math.sqrt(signal / (signal + noise)), s * math.sqrt(signal / power)
    x = (s * signal + q * noise) / math.sqrt((signal + noise) * power)
    best = (a * a + r * r - 2 * a * r * x) / (1 - x * x)
    assert float(weights.gated[6]) == pytest.approx(math.sqrt(best), rel=1e-4)
    assert float(weights.worth[6]) == pytest.approx(best / (1 - best) / (signal / noise), rel=1e-3)
    assert float(weights.prior_worth[6]) == pytest.approx(r * r / (1 - r * r) / (signal / noise), rel=1e-3)
    ratio = (r - x * a) / math.sqrt(power) / ((a - x * r) / math.sqrt(signal + noise))
    assert float(weights.prior[6] / weights.free[6]) == pytest.approx(ratio, rel=1e-3)
    assert float(weights.free[6] + s * weights.prior[6]) == pytest.approx(1, rel=1e-6)


def test_what_a_prior_adds_is_lowered_by_two_standard_errors() -> None:
    z, error = torch.ones(15).double(), torch.full((15,), 0.1).double()
    w, _ = _opening(z, error, torch.ones(15, dtype=torch.bool))
    expected = 1 - 2 * 0.1 * 19**0.5 / 9  # weights 1 2 3 2 1 of five shells
    torch.testing.assert_close(w[3:-3], torch.full((9,), expected).double())
    doubtful, _ = _opening(z, torch.full((15,), 0.6).double(), torch.ones(15, dtype=torch.bool))
    assert float(doubtful.abs().max()) == 0  # of a shell by itself nothing is sure
    assert float(_opening(z, error, torch.zeros(15, dtype=torch.bool))[0].abs().max()) == 0


def test_a_step_of_the_prior_does_not_leak_over_it() -> None:
    steps = [trial(seed, "good until invented") for seed in range(8)]
    for _, weights, _ in steps:
        assert float(weights.opening[INVENTED_FROM + 1 : INVENTED_FROM + 3].max()) < 0.2 * float(weights.opening.max())


def test_the_gated_map_holds_no_noise_of_the_solvent_outside_the_mask() -> None:
    of = Halves(0)
    d1, d2 = of.prior("good")
    weights = gate(referee(*of.halves, d1, d2, MASK))
    assert bool((weights.opening > 0).any())
    gated = gated_map(of.halves[0], d1, weights, MASK)
    far = sphere_mask(D, 0.49 * D, 0.0) == 0
    assert float(gated[far].std() / of.halves[0][far].std()) < 0.05


def test_sharpened_and_tightly_masked_the_gated_map_is_no_worse_than_its_weights_promise() -> None:
    """Noise of the solvent, left about the gated particle, came back into it with the filter that sharpens."""
    of, tight = Halves(0), sphere_mask(D, 0.2 * D, 4.0)
    d1, d2 = of.prior("good")
    weights = gate(referee(*of.halves, d1, d2, MASK))
    free, prior = (of.halves[0] + of.halves[1]) / 2, (d1 + d2) / 2
    seen = slice(4, 11)  # beyond it the truth is hardly seen

    def agreement(volume: Tensor) -> Tensor:
        sharp, truth = (by_shell(each.double(), of.power.rsqrt()) for each in (volume, of.truth))
        return fsc(sharp * tight, truth * tight)[seen]

    cut, left = gated_map(free, prior, weights, MASK), gated_map(free, prior, weights, MASK) + free * (1 - MASK)
    assert bool((agreement(cut) >= agreement(left)).all())
    assert float((agreement(cut) - agreement(left)).max()) > 0.02


def test_half_maps_are_gated_by_the_same_weights() -> None:
    of = Halves(5)
    d1, d2 = of.prior("good")
    weights = gate(referee(*of.halves, d1, d2))
    first, second = gated_map(of.halves[0], d1, weights), gated_map(of.halves[1], d2, weights)
    both = gated_map((of.halves[0] + of.halves[1]) / 2, (d1 + d2) / 2, weights)
    torch.testing.assert_close((first + second) / 2, both)
