"""Rounded measurements are y + e: unit gain, and the noise that the operator states, number by number."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.operators import Fourier, Operator, Pixel, Quantize, parse_operator, rounded, with_levels
from cryoprior.operators.rounding import (
    coordinate_noise,
    frequency_noise,
    number_levels,
    number_noise,
    regraded,
    rounding_sigma,
)

BOX, N = 16, 1200
SPECS = (
    "quantize:bits=1",
    "quantize:bits=3",
    "fourier:compression=2,bits=1,sets=3",
    "fourier:compression=2,bits=2,symmetry=published",
    "crop:size=7,bits=2",
    "bin:factor=2,bits=2",
    "pixel:block=4,masks=6,bits=1,sets=2",
    "pixel:block=4,masks=8,bits=2,rows=bernoulli",
)


def images(n: int = N, colour: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Return Gaussian images of deviation near 2 about 3, their power falling with the shell where coloured."""
    white = torch.randn(n, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return 3 + 2 * apply_filter(white, 1 / (1 + colour * shell_index(BOX).double()))


def measured(spec: str, x: torch.Tensor) -> tuple[Operator, torch.Tensor, torch.Tensor, list[int]]:
    operator, particles = parse_operator(spec, box=BOX, seed=1), list(range(len(x)))
    y = operator.forward(x, particles)
    fitted = with_levels(operator, y, particles)
    return fitted, y, rounded(fitted, y, particles), particles


@pytest.mark.parametrize("spec", SPECS)
def test_unit_gain_and_the_stated_noise(spec: str) -> None:
    x = images(colour=0.5 if spec.startswith(("fourier", "crop")) else 0.0)
    operator, y, found, particles = measured(spec, x)
    first = [i for i in particles if i % operator.sets == 0]
    mean, _ = number_levels(operator, [0], y)
    about, error = (y - mean)[first], (found - y)[first]
    kept = about.square().sum(0) > 1e-6
    slope = 1 + (about * error)[:, kept].sum(0) / about[:, kept].square().sum(0)
    noise = number_noise(operator, rounding_sigma(operator), [0], like=y)[0]
    assert float(slope.mean()) == pytest.approx(1, abs=0.01)
    assert float((slope - 1).abs().max()) < 0.25  # bands are wider than a shell
    ratio = error[:, kept].square().mean(0).sqrt() / noise[kept]
    assert float(ratio.mean()) == pytest.approx(1, abs=0.05)
    assert float((ratio - 1).abs().max()) < 0.25
    assert bool((found[first][:, ~kept] == 0).all())


def test_eight_bits_are_as_good_as_all() -> None:
    for spec in ("quantize:bits=8", "fourier:compression=1,bits=8", "pixel:block=4,masks=16,bits=8"):
        x = images(50)
        operator, _, found, particles = measured(spec, x)
        back = operator.pinv(found, particles)
        assert float((back - x).square().mean().sqrt()) < 2 * 0.03, spec


def test_levels_are_found_where_there_are_none_and_kept_where_there_are() -> None:
    operator, y, _, particles = measured("quantize:bits=2", images())
    assert operator.mean == pytest.approx(3, abs=0.02)
    assert operator.deviation == pytest.approx((2,), rel=0.01)
    assert with_levels(operator, 5 * y, particles) is operator
    assert parse_operator("identity", box=BOX) == with_levels(parse_operator("identity", box=BOX), y, particles)
    own = with_levels(
        Fourier(box=BOX, compression=2, bits=1), Fourier(box=BOX, compression=2).forward(images(colour=1)), range(N)
    )
    assert own.deviation is not None
    assert len(own.deviation) == own.bands > 5
    assert own.deviation[1] > 2 * own.deviation[-1]
    assert parse_operator(str_of(own)) == own


def str_of(operator: Operator) -> str:
    from cryoprior.operators import format_operator

    return format_operator(operator)


def test_the_sum_of_a_block_has_levels_of_its_own() -> None:
    operator = Pixel(box=BOX, block=4, masks=6, bits=2)
    assert sorted(set(operator.number_bands(0).tolist())) == [0, 1]
    assert int((operator.number_bands(0) == 0).sum()) == operator.blocks
    assert operator.number_norms(0).max() == 4


@pytest.mark.parametrize("spec", SPECS)
def test_the_norms_are_those_of_the_rows(spec: str) -> None:
    operator = parse_operator(spec, box=8, seed=1)
    basis = torch.eye(64, dtype=torch.float64).reshape(-1, 8, 8)
    rows = operator.forward(basis, [0] * 64)
    torch.testing.assert_close(torch.from_numpy(operator.number_norms(0)), rows.norm(dim=0))
    torch.testing.assert_close(torch.from_numpy(Operator.number_norms(operator, 0)), rows.norm(dim=0))


def test_levels_follow_the_grey_scale() -> None:
    operator, y, found, particles = measured("fourier:compression=2,bits=2", images(20))
    ones = operator.forward(torch.ones(20, BOX, BOX, dtype=torch.float64), particles)
    inside = regraded(operator, -4.0, 1.5)
    torch.testing.assert_close(rounded(inside, (y - 1.5 * ones) / -4, particles), (found - 1.5 * ones) / -4)
    assert rounding_sigma(inside) == pytest.approx(rounding_sigma(operator) / 4)
    assert inside._cache is operator._cache


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("spec", [spec for spec in SPECS if "pixel" not in spec and "bin" not in spec])
def test_noise_by_coordinate_and_by_frequency_are_one(spec: str, sigma: float) -> None:
    operator, *_ = measured(spec, images(64, colour=0.5))
    total = sigma * rounding_sigma(operator)
    diagonal = operator.fourier_diagonal([0], like=torch.empty(0, dtype=torch.float64))
    assert diagonal is not None
    by_frequency = frequency_noise(operator, total, diagonal).expand_as(diagonal)[0].flatten()
    s = operator.singular_values([0], like=diagonal)[0]
    by_number = (s * coordinate_noise(operator, total, [0], like=diagonal)[0]).square()
    at = operator.groups([0])[0] if spec.startswith(("fourier", "crop")) else torch.zeros(operator.r, dtype=torch.long)
    torch.testing.assert_close(by_frequency[at][s > 0], by_number[s > 0])
    assert float(number_noise(operator, total, [0])[0][s > 0].square().mean()) == pytest.approx(total**2, rel=1e-5)


def test_levels_that_are_not_there_are_asked_for() -> None:
    operator = Quantize(box=BOX, bits=1)
    with pytest.raises(InputError, match=r"quantize: bits=1 without levels; pass"):
        rounded(operator, operator.forward(images(2)))
    with pytest.raises(InputError, match="measurements that do not vary"):
        with_levels(operator, torch.ones(4, BOX**2), range(4))


def test_a_particle_is_rounded_alike_in_any_batch() -> None:
    operator, y, found, _ = measured("pixel:block=4,masks=6,bits=1,sets=2", images(6))
    assert rounded(operator, y[[5, 2]], [5, 2]).equal(found[[5, 2]])
    assert replace(operator, bits=2).digest() != operator.digest()
