"""Without a prior: the sparsest image that fits is found, and it is the image where the image is sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.operators import Operator, parse_operator
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Dct, LeastSquares, TotalVariation, Wavelet, parse_solver
from cryoprior.solvers.dct import dct_basis
from cryoprior.solvers.parts.sparsity import Basis
from cryoprior.solvers.total_variation import gradient, gradient_adjoint, total_variation
from cryoprior.solvers.wavelet import wavelet_basis

BOX = 32
LIKE = torch.empty(0, dtype=torch.float64)
SOLVERS = (TotalVariation(), Wavelet(levels=3), Dct())
EACH = pytest.mark.parametrize("solver", SOLVERS, ids=["total-variation", "wavelet", "dct"])
OPERATORS = ("pixel:block=8,masks=24,rows=bernoulli", "pixel:block=4,masks=6,rows=hadamard", "fourier:compression=2.5")


def basis_of(solver: Any, box: int = BOX) -> Basis:
    if isinstance(solver, Dct):
        return dct_basis(box, LIKE)
    return wavelet_basis(box, LIKE, solver.family, solver.levels)


def penalty(solver: Any, x: torch.Tensor) -> torch.Tensor:
    return total_variation(x) if isinstance(solver, TotalVariation) else basis_of(solver, x.shape[-1]).penalty(x)


def phantom(box: int = BOX) -> torch.Tensor:
    """Return a disc with a bright square and a hole, piecewise constant, (1, box, box)."""
    axis = torch.arange(box, dtype=torch.float64) - box // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    square = (abs(y + 3) < 3) & (abs(x - 2) < 4)
    disc, hole = torch.hypot(y, x) < 11, torch.hypot(y - 5, x + 3) < 3
    return (disc.double() + 0.7 * square - 0.5 * hole)[None]


def few(basis: Basis, count: int) -> torch.Tensor:
    """Return two images with this many coefficients of random size, not counting the mean."""
    stream = torch.Generator().manual_seed(count)
    c = torch.zeros(2, BOX * BOX, dtype=torch.float64)
    for row in c:
        row[torch.randperm(BOX * BOX, generator=stream)[:count]] = torch.randn(
            count, dtype=torch.float64, generator=stream
        )
    c[:, 0] = 7.0
    return basis.inverse(c.reshape(2, BOX, BOX))


def solve(solver: Any, operator: Operator, y: torch.Tensor, sigma: float = 0.0) -> torch.Tensor:
    found = solver.solve(y, operator, None, sigma, ParticleNoise(0, "test", range(len(y))))
    assert found.evaluations == 0
    return found.x


def relative(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float((found - truth).norm() / (truth - truth.mean(dim=(1, 2), keepdim=True)).norm())


def noisy(operator: Operator, x: torch.Tensor, sigma: float) -> torch.Tensor:
    y = operator.forward(x, range(len(x)))
    return y + sigma * ParticleNoise(1, "noise", range(len(x))).normal_like(y)


def test_a_piecewise_constant_image_comes_back_from_two_fifths_of_its_fourier_coefficients() -> None:
    operator, x = parse_operator("fourier:compression=2.5", box=BOX), phantom()
    y = operator.forward(x, [0])
    assert relative(solve(TotalVariation(), operator, y), x) < 0.01
    assert relative(solve(TotalVariation(iterations=3000), operator, y), x) < 1e-3
    assert relative(solve(LeastSquares(), operator, y), x) > 0.4


@pytest.mark.parametrize(
    ("solver", "text"),
    [
        (TotalVariation(), "pixel:block=8,masks=24,rows=bernoulli,sets=2"),
        (Wavelet(levels=3), "pixel:block=8,masks=24,rows=bernoulli,sets=2"),
        (Wavelet(levels=3), "pixel:block=4,masks=6,rows=hadamard,sets=2"),
        (Wavelet(levels=3), "fourier:compression=2.5,sets=2"),
        (Dct(), "pixel:block=8,masks=24,rows=bernoulli,sets=2"),
        (Dct(), "pixel:block=4,masks=6,rows=hadamard,sets=2"),
    ],
)
def test_a_sparse_image_comes_back(solver: Any, text: str) -> None:
    operator = parse_operator(text, box=BOX)
    x = phantom() if isinstance(solver, TotalVariation) else few(basis_of(solver), 25)
    y = operator.forward(x, range(len(x)))
    assert relative(solve(solver, operator, y), x) < 1e-6
    assert relative(solve(LeastSquares(), operator, y), x) > 0.4


def test_cosines_and_fourier_masks_are_too_alike() -> None:
    # A known limit, and none of the splitting: a cosine that the mask misses leaves no trace in the others.
    operator, x = parse_operator("fourier:compression=2.5,sets=2", box=BOX), few(dct_basis(BOX, LIKE), 25)
    y = operator.forward(x, range(2))
    found = [solve(Dct(iterations=n), operator, y) for n in (500, 2000)]
    assert relative(found[0], x) > 0.3
    assert relative(*found) < 0.01


@pytest.mark.parametrize("text", OPERATORS)
@EACH
def test_noiseless_measurements_are_reproduced_by_the_sparsest_image(solver: Any, text: str) -> None:
    operator, stream = parse_operator(text, box=BOX), torch.Generator().manual_seed(0)
    x = phantom() + 0.3 * torch.randn(1, BOX, BOX, dtype=torch.float64, generator=stream)
    y = operator.forward(x, [0])
    found = solve(solver, operator, y)
    assert float((operator.forward(found, [0]) - y).norm() / y.norm()) < 1e-9
    floor = solve(LeastSquares(), operator, y)
    assert float(penalty(solver, found)) < min(float(penalty(solver, other)) for other in (x, floor))


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("text", OPERATORS)
@EACH
def test_offset_and_scale_of_the_input_do_not_matter(solver: Any, text: str, sigma: float) -> None:
    operator, quick, a, b = parse_operator(text, box=BOX), replace(solver, iterations=30), 25.0, -300.0
    y = noisy(operator, phantom(), sigma)
    moved = a * y + b * operator.forward(torch.ones_like(phantom()), [0])
    expected = a * solve(quick, operator, y, sigma) + b
    torch.testing.assert_close(solve(quick, operator, moved, a * sigma), expected, rtol=1e-7, atol=1e-7)


def test_a_flat_particle_stays_flat() -> None:
    operator = parse_operator("fourier:compression=2.5", box=BOX)
    y = operator.forward(torch.full((1, BOX, BOX), 4.0, dtype=torch.float64), [0])
    for solver in (replace(solver, iterations=50) for solver in SOLVERS):
        torch.testing.assert_close(solve(solver, operator, y), torch.full((1, BOX, BOX), 4.0, dtype=torch.float64))
        assert float(solve(solver, operator, 0 * y, 0.1).abs().max()) == 0


@pytest.mark.parametrize(
    ("box", "basis"),
    [
        (17, dct_basis(17, LIKE)),
        (32, dct_basis(32, LIKE)),
        (32, wavelet_basis(32, LIKE, "db4", 4)),
        (48, wavelet_basis(48, LIKE, "sym8", 3)),
        (16, wavelet_basis(16, LIKE, "haar", 4)),
        (32, wavelet_basis(32, LIKE, "coif3", 5)),
    ],
)
def test_transforms_are_orthonormal(box: int, basis: Basis) -> None:
    x = ParticleNoise(0, "x", range(3)).normal_like(torch.empty(3, box, box, dtype=torch.float64))
    kept = x.clone()
    c = basis.forward(x)
    torch.testing.assert_close(basis.inverse(c), x, rtol=0, atol=1e-9)
    torch.testing.assert_close(c.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1), rtol=1e-9, atol=0)
    assert torch.equal(x, kept)
    flat = basis.forward(torch.ones_like(x))
    torch.testing.assert_close(flat[:, 0, 0], torch.full((3,), float(box), dtype=torch.float64))
    assert float(basis.penalty(torch.ones_like(x)).max()) < 1e-7


def test_a_fourier_mask_that_misses_low_frequencies_does_no_harm() -> None:
    # Where the whole coarsest image is left out of R, single masks take it far off.
    operator, axis = parse_operator("fourier:compression=8,sets=12", box=64), torch.arange(64, dtype=torch.float64) - 32
    blobs = [
        torch.exp(-((axis[:, None] - y) ** 2 + (axis - x) ** 2) / 40) for y, x in ((-9, 3), (6, -8), (2, 9), (-5, -10))
    ]
    x = sum(blobs, torch.zeros(64, 64, dtype=torch.float64)).expand(12, 64, 64)
    found = solve(Wavelet(), operator, operator.forward(x, range(12)))
    assert max(relative(f[None], t[None]) for f, t in zip(found, x, strict=True)) < 1.2


def test_the_wavelet_pyramid_is_that_of_the_library() -> None:
    import pywt

    x = ParticleNoise(0, "x", range(1)).normal_like(torch.empty(1, 32, 32, dtype=torch.float64))
    c = wavelet_basis(32, LIKE, "db4", 2).forward(x)[0]
    _, (across, down, both), finest = pywt.wavedec2(x[0].numpy(), "db4", mode="periodization", level=2)
    for found, expected in (
        (c[8:16, :8], across),
        (c[:8, 8:16], down),
        (c[8:16, 8:16], both),
        (c[16:, :16], finest[0]),
        (c[:16, 16:], finest[1]),
        (c[16:, 16:], finest[2]),
    ):
        torch.testing.assert_close(found, torch.from_numpy(expected))


def test_the_gradient_has_its_adjoint_and_its_edges() -> None:
    x = ParticleNoise(0, "x", range(2)).normal_like(torch.empty(2, 9, 9, dtype=torch.float64))
    p = ParticleNoise(1, "x", range(2)).normal_like(torch.empty(2, 2, 9, 9, dtype=torch.float64))
    torch.testing.assert_close((gradient(x) * p).sum(), (x * gradient_adjoint(p)).sum())
    ramp = torch.arange(9, dtype=torch.float64).expand(1, 9, 9)
    assert float(total_variation(ramp)) == pytest.approx(9 * 8)
    assert float(total_variation(ramp + 2 * ramp.mT)) == pytest.approx(64 * 5**0.5 + 8 * 1 + 8 * 2)


@pytest.mark.parametrize("text", OPERATORS)
@EACH
def test_the_weight_trades_the_residual_for_sparsity(solver: Any, text: str) -> None:
    operator, sigma = parse_operator(text, box=BOX), 0.5
    x = phantom()
    y = noisy(operator, x, sigma)
    found = [solve(replace(solver, weight=w, iterations=300), operator, y, sigma) for w in (0.3, 1.0, 3.0)]
    sizes = [float(penalty(solver, f)) for f in (solve(LeastSquares(), operator, y), *found)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < 0.8 * sizes[1]
    residuals = [float((operator.forward(f, [0]) - y).square().mean().sqrt()) / sigma for f in found]
    assert residuals == sorted(residuals)
    assert 0.7 < residuals[2] < 1.3


@EACH
def test_a_noisy_result_is_a_minimum(solver: Any) -> None:
    operator, sigma = parse_operator(OPERATORS[0], box=BOX), 0.5
    y = noisy(operator, phantom(), sigma)
    least = solve(LeastSquares(), operator, y)
    # The unit counts badly seen coordinates by s^2 / median(s)^2; in this test it is found from the law itself.
    s, z = operator.singular_values([0], like=y)[0], operator.coordinates(y, [0])[0]
    flat = operator.analyse(torch.ones_like(least), [0])[0]
    z = z - (flat @ z) / (flat @ flat) * flat
    trust = (s / s[s > 0].median()).square().clamp_max(1)
    unit = float((trust @ z.square() / trust.sum() * (s > 0).sum() / BOX**2).sqrt())

    def objective(x: torch.Tensor) -> float:
        misfit = (operator.forward(x, [0]) - y).square().sum() / (2 * sigma**2)
        return float(2.0 * penalty(solver, x) / unit + misfit)

    found = solve(replace(solver, weight=2.0, iterations=800), operator, y, sigma)
    stream, best = torch.Generator().manual_seed(0), objective(found)
    for size in (1e-3, 1e-2, 0.1):
        for towards in (phantom() - found, -found, least - found, torch.randn(found.shape, generator=stream)):
            assert objective(found + size * towards) > best
    for other in (0.5, 8.0):
        assert objective(solve(replace(solver, weight=other, iterations=800), operator, y, sigma)) > best


@pytest.mark.parametrize(("solver", "bias"), list(zip(SOLVERS, (0.35, 0.60, 0.28), strict=True)))
def test_on_gaussian_images_the_sparsest_is_not_the_mean(oracle: Callable[..., Any], solver: Any, bias: float) -> None:
    # Known bias: what a Fourier mask misses of a Gaussian image has the mean 0; sparsity fills it in.
    case = oracle("fourier:pattern=uniform,compression=2,symmetry=hermitian")
    x = solver.solve(case.y, case.operator, None, 0.0, case.noise(1)).x
    assert float((x - case.mean).norm() / case.mean.norm()) == pytest.approx(bias, abs=0.02)


@EACH
def test_single_precision_follows(solver: Any) -> None:
    operator = parse_operator(OPERATORS[0], box=BOX)
    y = noisy(operator, phantom(), 0.0)
    x = solve(solver, operator, y.float())
    assert x.dtype == torch.float32
    assert relative(x.double(), solve(solver, operator, y)) < 1e-3
    assert float((operator.forward(x, [0]) - y).norm() / y.norm()) < 1e-5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("total-variation:weight=0", "total-variation: weight=0.0, step=.*expected both above 0"),
        ("dct:step=-1", "dct: weight=1.0, step=-1.0; expected both above 0"),
        ("wavelet:iterations=0", "wavelet: iterations=0; expected at least 1"),
        ("wavelet:levels=0", "wavelet: levels=0; expected at least 1"),
        ("wavelet:family=db99", "family='db99' is not known; expected an orthogonal wavelet of PyWavelets"),
        ("wavelet:family=morl", "family='morl' is not known"),
        ("wavelet:family=bior2.2", "family='bior2.2' is not orthogonal; expected an orthogonal wavelet"),
        ("wavelet:family=dmey", "family='dmey' is not orthogonal"),
    ],
)
def test_bad_options_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_solver(text)


def test_a_box_that_the_levels_do_not_divide_is_refused() -> None:
    operator = parse_operator("identity", box=24)
    y = operator.forward(torch.ones(1, 24, 24), [0])
    with pytest.raises(InputError, match=r"levels=4 for a box of 24; expected .* pass wavelet:levels=3 or fewer"):
        solve(Wavelet(), operator, y)
    with pytest.raises(InputError, match=r"a box of 25; .*odd box has none"):
        solve(Wavelet(), parse_operator("identity", box=25), torch.ones(1, 625))
