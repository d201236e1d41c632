"""The exact likelihood of rounding: the posterior mean that draws of the prior give, and never worse than linear."""

from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, shell_index
from cryoprior.operators import Operator, parse_operator, rounded, with_levels
from cryoprior.operators.rounding import rounding_sigma
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise
from cryoprior.solvers.gaussian import Gaussian


def spectrum(box: int, white: float = 0.3) -> torch.Tensor:
    return white + 4 / (1 + shell_index(box).double() ** 2)


def images(box: int, n: int, seed: int = 5, white: float = 0.3) -> torch.Tensor:
    draws = torch.randn(n, box, box, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return apply_filter(draws, spectrum(box, white).sqrt())


def with_fit(text: str, x: torch.Tensor) -> Operator:
    operator = parse_operator(text, box=x.shape[-1])
    particles = list(range(len(x)))
    return with_levels(operator, operator.forward(x, particles), particles)


def solved(
    solver: Gaussian, y: torch.Tensor, operator: Operator, sigma: float = 0.0, white: float = 0.3
) -> torch.Tensor:
    prior = GaussianPrior(spectrum(operator.box, white))
    total = (sigma**2 + rounding_sigma(operator) ** 2) ** 0.5
    return solver.solve(y, operator, prior, total, ParticleNoise(2, "test", range(len(y)))).x


def test_it_is_the_mean_of_what_the_prior_draws_within_the_cells() -> None:
    power = spectrum(2).clone()
    power[0, 0], power[1:, :], power[:, 1:] = 6.0, 0.15, 0.15  # pixels that are nearly one: linear is wrong of them
    white = torch.randn(400_000, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    draws = apply_filter(white, power.sqrt())
    operator, prior = with_fit("quantize:bits=1", draws[:5000]), GaussianPrior(power)
    cells = rounded(operator, operator.forward(draws))
    patterns, which, counts = cells.unique(dim=0, return_inverse=True, return_counts=True)
    common = counts.argsort(descending=True)[:6]
    expected = torch.stack([draws[which == index].mean(0) for index in common])
    found, linear = (
        solver.solve(patterns[common], operator, prior, rounding_sigma(operator), ParticleNoise(2, "test", range(6))).x
        for solver in (Gaussian(centred=False, rounding="exact", sweeps=6000), Gaussian(centred=False))
    )
    assert float((found - expected).abs().max()) < 0.04
    assert float((linear - expected).abs().max()) > 0.15


@pytest.mark.parametrize("text", ["quantize:bits=1", "fourier:compression=2,bits=1,sets=2", "crop:size=8,bits=2"])
@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_it_is_no_worse_than_the_linear_model(text: str, sigma: float) -> None:
    x = images(16, 24)
    particles = list(range(len(x)))
    operator = with_fit(text, x)
    noise = torch.randn(len(x), operator.m, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    y = rounded(operator, operator.forward(x, particles) + sigma * noise, particles)
    errors = [
        float((solved(solver, y, operator, sigma) - x).square().mean())
        for solver in (Gaussian(centred=False, rounding="exact", sweeps=300), Gaussian(centred=False))
    ]
    assert errors[0] < 1.003 * errors[1]


def test_coefficients_have_a_closed_form_however_strong_the_signal() -> None:
    power, particles = spectrum(16, white=1e-3), list(range(40))
    x = images(16, 40, white=1e-3)
    operator, prior = with_fit("fourier:compression=2,bits=1,sets=2", x), GaussianPrior(power)
    y = rounded(operator, operator.forward(x, particles), particles)
    found, linear = (
        solver.solve(y, operator, prior, rounding_sigma(operator), ParticleNoise(2, "test", particles)).x
        for solver in (Gaussian(centred=False, rounding="exact", sweeps=1), Gaussian(centred=False))
    )
    assert float((found - x).square().mean()) < 1.003 * float((linear - x).square().mean())  # levels fit each band
    own = operator.forward(found, particles)[0]
    assert bool((own.sign() == y[0].sign())[y[0] != 0].all())
    assert float(own.abs().max() / own.abs()[own != 0].min()) > 3  # each by its own power, not by the bits alone


def test_eight_bits_are_the_numbers_themselves() -> None:
    x = images(16, 4)
    operator = with_fit("quantize:bits=8", images(16, 200))
    y = rounded(operator, operator.forward(x))
    found = solved(Gaussian(centred=False, rounding="exact", sweeps=20), y, operator)
    assert float((found - x).square().mean().sqrt()) < 0.03


def test_a_particle_alone_is_as_in_a_batch() -> None:
    x = images(8, 5)
    operator = with_fit("quantize:bits=1", images(8, 200))
    y = rounded(operator, operator.forward(x))
    solver, prior = Gaussian(centred=False, rounding="exact", sweeps=8), GaussianPrior(spectrum(8))
    whole = solver.solve(y, operator, prior, 1.0, ParticleNoise(2, "test", range(5))).x
    alone = solver.solve(y[3:4], operator, prior, 1.0, ParticleNoise(2, "test", [3])).x
    torch.testing.assert_close(alone[0], whole[3])


def test_sums_of_pixels_have_no_exact_rounding() -> None:
    x = images(8, 5)
    operator = with_fit("pixel:block=4,masks=8,bits=1", x)
    with pytest.raises(InputError, match="rounding=exact with the operator 'pixel'"):
        solved(Gaussian(centred=False, rounding="exact"), operator.forward(x), operator)


@pytest.mark.parametrize("more", [{"sweeps": 0}, {"rounding": "exact", "samples": 3}])
def test_bad_fields_are_refused(more: dict[str, object]) -> None:
    with pytest.raises(InputError, match="gaussian: "):
        Gaussian(**{"estimate": "signal", **more})
