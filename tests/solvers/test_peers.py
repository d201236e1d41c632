"""The published diffusion solvers, held against their papers' equations and against the posterior they approximate.

With a Gaussian prior most of them are linear in y and in their noise, so a run whose noise is nothing gives the mean of
their draws with no sampling error. Biases are relative to the norm of the posterior mean, in the part of the image
that A sees and in the part that it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch

from cryoprior.measurement.conditioning import Measurement
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.schedule import ddpm_alpha_bar, respaced_alpha_bars
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Ddnm, Ddrm, DiffPir, DmPlug, Dps, Nesterov, PiGdm
from cryoprior.solvers.dmplug import VarianceWatch, _generated, _pulled_back
from cryoprior.solvers.parts.chain import falling_levels
from cryoprior.solvers.parts.misfit import Misfit

BOX = 8
FOURIER = "fourier:pattern=uniform,compression=4,symmetry=hermitian"
HALF = "fourier:pattern=uniform,compression=2,symmetry=hermitian"
HADAMARD = "pixel:block=4,masks=8,rows=hadamard"
BERNOULLI = "pixel:block=4,masks=4,rows=bernoulli"
Make = Callable[..., Any]


class Silent(ParticleNoise):
    def normal_like(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


def whitened(case: Any) -> Any:
    """Return the same measurement under a prior of independent pixels of variance 1, and its posterior."""
    operator, y, sigma = case.operator, case.y, case.sigma
    prior = GaussianPrior(torch.ones(BOX, BOX // 2 + 1, dtype=torch.float64))
    s = operator.singular_values([0], like=y)
    gain = torch.where(s > 0, s**2 / (s**2 + sigma**2), 0)
    v = operator.analyse(torch.eye(BOX**2, dtype=torch.float64).reshape(-1, BOX, BOX), [0] * BOX**2)
    mean = operator.synthesise(gain * operator.coordinates(y, [0]), [0])
    return replace(case, prior=prior, mean=mean, covariance=torch.eye(BOX**2, dtype=torch.float64) - v * gain @ v.T)


def mean_of(case: Any, solver: Any) -> torch.Tensor:
    return solver.solve(case.y, case.operator, case.prior, case.sigma, Silent(0, "test", [0])).x


def draws(case: Any, solver: Any, b: int) -> torch.Tensor:
    return solver.solve(case.y.expand(b, -1), case.operator, case.prior, case.sigma, case.noise(b)).x


def bias(case: Any, x: torch.Tensor) -> tuple[float, float]:
    """Return how far x is from the posterior mean, in the part that A sees and in the part that it does not."""
    error = x - case.mean
    seen = case.operator.project(error, [0])
    return float(seen.norm() / case.mean.norm()), float((error - seen).norm() / case.mean.norm())


def variance(case: Any, x: torch.Tensor) -> float:
    """Return the total variance of draws over that of the posterior."""
    return float(x.flatten(1).var(dim=0).sum() / case.covariance.trace())


def residual(case: Any, x: torch.Tensor) -> torch.Tensor:
    """Return ||A x - y|| / ||y||, root mean square over the draws."""
    found = (case.operator.forward(x, [0] * len(x)) - case.y).square().sum(dim=1).mean().sqrt()
    return found / case.y.norm()


@pytest.mark.parametrize("solver", [Ddrm(unit=1), Ddrm(eta=0, unit=1), Ddnm(unit=1), PiGdm(unit=1), DiffPir(unit=1)])
def test_fourier_masks_without_noise_have_the_posterior_mean(oracle: Make, solver: Any) -> None:
    # Frequencies are independent under the prior, so what is not measured has mean 0 and needs no word of the rest.
    case = oracle(FOURIER, box=BOX)
    assert max(bias(case, mean_of(case, solver))) < 2e-5
    assert float(residual(case, draws(case, solver, 20))) < 1e-3


@pytest.mark.parametrize("eta", [0.0, 0.85, 1.0])
@pytest.mark.parametrize("solver", [Ddrm, Ddnm])
def test_noise_drawn_anew_at_every_level_leaves_too_little_variance(oracle: Make, solver: Any, eta: float) -> None:
    # Known bias: a step keeps c = sqrt(1 - eta^2) of the noise however small the step, and in many steps the variance
    # of what is not measured tends to (1 + c) / 2 of the prior's: 0.76 for the published 0.85, all of it for eta = 0.
    case = oracle(FOURIER, box=BOX)
    x = draws(case, solver(steps=300, eta=eta, unit=1.0), 200)
    assert variance(case, x) == pytest.approx((1 + math.sqrt(1 - eta**2)) / 2, rel=0.07)
    error = (x.mean(dim=0) - case.mean).square().sum()
    assert float(error) < 2 * float(case.covariance.trace()) / 200
    assert float(residual(case, x)) < 1e-9


def test_without_noise_ddnm_is_ddrm_on_fourier_masks(oracle: Make) -> None:
    case = oracle(FOURIER, box=BOX)
    torch.testing.assert_close(draws(case, Ddnm(steps=9), 3), draws(case, Ddrm(steps=9), 3))


@pytest.mark.parametrize(
    ("solver", "low", "high"),
    [
        (Ddrm(steps=20, unit=1), 0.0, 0.01),  # close by chance of its steps: more of them forget y below sigma / s
        (Ddrm(steps=100, unit=1), 0.06, 0.11),
        (Ddrm(steps=100, unit=1, eta=0), 0.16, 0.23),
        (Ddrm(steps=100, unit=1, eta=1), 0.25, 0.38),
        (Ddnm(steps=20, unit=1), 0.16, 0.24),  # fits the noise of y, more of it as steps grow
        (Ddnm(steps=300, unit=1), 0.25, 0.33),
        (Ddnm(steps=100, unit=1, eta=0), 0.9, 1.1),  # draws nothing, so Eq. 19 leaves no weight to y
        (PiGdm(steps=25, unit=1), 0.03, 0.06),  # the adaptive weight is one of a whole step, however small the step
        (PiGdm(steps=300, unit=1), 0.3, 0.4),
        (DiffPir(unit=1, lambda_=1), 0.08, 0.16),
        (DiffPir(unit=1, lambda_=7), 0.12, 0.21),
        (DiffPir(unit=1, lambda_=25), 0.3, 0.45),
    ],
    ids=str,
)
def test_noisy_fourier_masks_leave_a_known_bias(oracle: Make, solver: Any, low: float, high: float) -> None:
    case = oracle(FOURIER, box=BOX, sigma=0.5)
    seen, unseen = bias(case, mean_of(case, solver))
    assert low <= seen < high
    assert unseen < 1e-9


@pytest.mark.parametrize(
    ("solver", "low", "high"),
    [
        (Ddrm(steps=20, unit=1), 0.3, 0.5),
        (Ddrm(steps=100, unit=1), 0.2, 0.32),
        (Ddrm(steps=100, unit=1, eta=0), 0.4, 0.55),
        (Ddnm(steps=100, unit=1), 0.12, 0.22),
        (Ddnm(steps=100, unit=4), 0.2, 0.33),
        (PiGdm(steps=25, unit=1), 0.2, 0.32),
        (PiGdm(steps=100, unit=1), 0.04, 0.12),
        (DiffPir(unit=1), 0.35, 0.5),
        (DiffPir(unit=1, zeta=1), 0.15, 0.25),
    ],
    ids=str,
)
def test_sums_of_pixels_bias_what_is_not_measured(oracle: Make, solver: Any, low: float, high: float) -> None:
    # Under a coloured spectrum the unmeasured part depends on the measured one, of which it hears but through D.
    case = oracle(BERNOULLI, box=BOX)
    seen, unseen = bias(case, mean_of(case, solver))
    assert seen < 0.01
    assert low < unseen < high
    white = whitened(case)
    assert max(bias(white, mean_of(white, solver))) < 1e-4


@pytest.mark.parametrize("text", [FOURIER, HADAMARD])
@pytest.mark.parametrize("solver", [PiGdm(steps=200, unit=1), DiffPir(steps=200, unit=1)], ids=["pigdm", "diffpir"])
def test_white_images_without_noise_have_nearly_the_posterior_law(oracle: Make, text: str, solver: Any) -> None:
    case = whitened(oracle(text, box=BOX))
    x = draws(case, solver, 200)
    assert 0.88 < variance(case, x) < 1.02  # the last levels of the schedule are coarse
    error = (x.mean(dim=0) - case.mean).square().sum()
    assert float(error) < 1.5 * float(case.covariance.trace()) / 200
    assert float(residual(case, x)) < 1e-3


def test_pigdm_meets_noisy_data_too_well_and_diffpir_not_well_enough(oracle: Make) -> None:
    case = whitened(oracle(FOURIER, box=BOX, sigma=0.5))
    right = float(residual(case, case.mean))
    assert float(residual(case, mean_of(case, PiGdm(unit=1)))) < 0.05 * right
    assert float(residual(case, mean_of(case, DiffPir(unit=1)))) > 1.8 * right


@pytest.mark.parametrize(("lambda_", "bound"), [(1, 3e-4), (7, 1e-3), (25, 2e-3)])
def test_diffpir_without_noise_leaves_the_residual_of_its_floor(oracle: Make, lambda_: int, bound: float) -> None:
    case = oracle(HALF, box=BOX)
    x = draws(case, DiffPir(unit=1, lambda_=lambda_), 20)
    assert bound / 50 < float(residual(case, x)) < bound
    coarse = draws(case, DiffPir(unit=1, lambda_=lambda_, sigma_floor=0.05), 20)
    assert float(residual(case, coarse)) > 10 * float(residual(case, x))


def test_diffpir_that_draws_all_noise_anew_has_half_the_variance(oracle: Make) -> None:
    case = oracle(FOURIER, box=BOX)
    assert variance(case, draws(case, DiffPir(unit=1, zeta=1.0), 300)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_diffpir_solves_the_data_equation_of_its_step(oracle: Make, sigma: float) -> None:
    # One step is x0_hat itself: the minimum of ||y - A x||^2 + rho ||x - D||^2, here from the normal equations.
    case = oracle(HADAMARD, box=BOX, sigma=sigma)
    solver, tau = DiffPir(steps=1, lambda_=1e7, sigma_floor=0.05, unit=4.0), falling_levels(1)[0]
    start = tau * case.noise(1).normal_like(case.mean)
    d = case.prior(start, torch.tensor([tau], dtype=torch.float64))
    rho = 1e7 * max(sigma, 0.05 * 4.0) ** 2 / tau**2
    expected = case.operator.solve(case.operator.adjoint(case.y, [0]) + rho * d, rho, [0])
    found = solver.solve(case.y, case.operator, case.prior, sigma, case.noise(1)).x
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


class Heard(GaussianPrior):
    """A prior that keeps the images that it was asked about."""

    def __call__(self, x: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        self.asked = [*getattr(self, "asked", []), x]
        return super().__call__(x, tau)


def test_ddrm_starts_at_the_measurement_with_what_noise_it_lacks_as_in_eq_7(oracle: Make) -> None:
    case, heard = oracle(BERNOULLI, box=BOX, sigma=50.0), Heard(oracle(BERNOULLI, box=BOX).prior.power)
    Ddrm(unit=1).solve(case.y, case.operator, heard, 50.0, case.noise(1))
    free = falling_levels(20, 1.0)[0] * case.noise(1).normal_like(case.mean)
    start, s = heard.asked[0], case.operator.singular_values([0], like=free)
    z, e = case.operator.coordinates(case.y, [0]), case.noise(1)
    left = (falling_levels(20, 1.0)[0] ** 2 - (50.0 / s) ** 2).sqrt() * case.operator.analyse(e.normal_like(free), [0])
    known = s > 0
    torch.testing.assert_close(case.operator.analyse(start, [0])[known], (z + left)[known])
    torch.testing.assert_close(start - case.operator.project(start, [0]), free - case.operator.project(free, [0]))


@pytest.mark.parametrize("lower", [0.0, 0.01, 0.3, 2.0])
def test_ddrm_has_the_three_transitions_of_its_eq_8(oracle: Make, lower: float) -> None:
    case, tau, eta, eta_b = oracle(BERNOULLI, box=BOX, sigma=0.5), 3.0, 0.6, 0.7
    operator, solver = case.operator, Ddrm(eta=eta, eta_b=eta_b)
    seen = Measurement(operator, case.y, 0.5, [0], "test")
    x, x0, e = (torch.randn(3, 1, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).unbind()
    found = solver._step(seen, x, x0, tau, lower, e)
    free = x0 + math.sqrt(1 - eta**2) * lower * (x - x0) / tau + eta * lower * e
    torch.testing.assert_close(found - operator.project(found, [0]), free - operator.project(free, [0]))
    z, z0, ze, s = seen.z[0], seen.analyse(x0)[0], seen.analyse(e)[0], operator.singular_values([0], like=x)[0]
    expected = []
    for i in range(len(z)):
        if s[i] == 0:
            expected.append(torch.zeros((), dtype=torch.float64))
        elif lower < 0.5 / s[i]:
            step = math.sqrt(1 - eta**2) * lower * (z[i] - z0[i]) / (0.5 / s[i])
            expected.append(z0[i] + step + eta * lower * ze[i])
        else:
            spread = (lower**2 - (0.5 / s[i]) ** 2 * eta_b**2).sqrt()
            expected.append((1 - eta_b) * z0[i] + eta_b * z[i] + spread * ze[i])
    torch.testing.assert_close(seen.analyse(found)[0], torch.stack(expected))


@pytest.mark.parametrize("lower", [0.0, 0.01, 0.3, 2.0])
def test_ddnm_keeps_the_noise_of_the_level_as_in_eqs_17_to_19(oracle: Make, lower: float) -> None:
    case, tau, eta = oracle(BERNOULLI, box=BOX, sigma=0.5), 3.0, 0.6
    operator, seen = case.operator, Measurement(case.operator, case.y, 0.5, [0], "test")
    x, x0, e = (torch.randn(3, 1, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).unbind()
    found = Ddnm(eta=eta)._step(seen, x, x0, tau, lower, e)
    kept = math.sqrt(1 - eta**2) * lower * (x - x0) / tau
    free = x0 + kept + eta * lower * e
    torch.testing.assert_close(found - operator.project(found, [0]), free - operator.project(free, [0]))
    s = operator.singular_values([0], like=x)[0]
    known = s > 0
    deviation = 0.5 / s[known]
    lambda_ = (eta * lower / deviation).clamp(max=1.0)
    gamma = ((eta * lower) ** 2 - (lambda_ * deviation) ** 2).clamp_min(0).sqrt()
    z, z0, ze, zk = (t[0, known] for t in (seen.z, seen.analyse(x0), seen.analyse(e), seen.analyse(kept)))
    torch.testing.assert_close(seen.analyse(found)[0, known], z0 - lambda_ * (z0 - z) + zk + gamma * ze)


def test_time_travel_repeats_every_stretch_at_the_noise_of_its_level(oracle: Make) -> None:
    moves = list(Ddnm(steps=5, travel_length=2, travel_repeats=2)._moves())
    places = [0, 1, 2, 0, 1, 2, 3, 4, 2, 3, 4, 5, 4, 5]
    assert moves == list(pairwise(places))
    case = oracle(FOURIER, box=BOX)
    plain, travelling = Ddnm(steps=60, eta=0.0, unit=1), Ddnm(steps=60, eta=0.0, travel_length=10, travel_repeats=2)
    found = travelling.solve(case.y, case.operator, case.prior, 0.0, case.noise(1))
    assert found.evaluations == 120
    x = draws(case, replace(travelling, unit=1), 300)
    assert variance(case, x) == pytest.approx(variance(case, draws(case, plain, 300)), rel=0.08)


@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_pigdm_is_its_algorithm_1(oracle: Make, sigma: float) -> None:
    # In the variance-preserving form of the paper, with r_t^2 (r_t^2 A A^T + sigma^2)^-1 as a dense matrix.
    case, unit = oracle(HADAMARD, box=BOX, sigma=sigma), 4.0
    solver, noise = PiGdm(steps=6, eta=0.8, unit=unit), case.noise(1)
    a = case.operator.forward(torch.eye(BOX**2, dtype=torch.float64).reshape(-1, BOX, BOX), [0] * BOX**2).T
    y, alphas = case.y[0] / unit, [1.0, *respaced_alpha_bars(6).tolist()]
    x = noise.normal_like(case.mean) * math.sqrt(1 - alphas[-1])
    for t in range(6, 0, -1):
        alpha_t, alpha_s = alphas[t], alphas[t - 1]
        x = x.requires_grad_()
        x0 = case.prior(unit * x / math.sqrt(alpha_t), x.new_tensor([unit * math.sqrt(1 / alpha_t - 1)])) / unit
        r2 = 1 - alpha_t
        inverse = torch.linalg.inv(r2 * a @ a.T + (sigma / unit) ** 2 * torch.eye(len(a), dtype=torch.float64))
        vector = r2 * inverse @ (y - a @ x0.detach().flatten())
        g = torch.autograd.grad(vector @ (a @ x0.flatten()), x)[0]
        eps = (x - math.sqrt(alpha_t) * x0).detach() / math.sqrt(1 - alpha_t)
        c1 = 0.8 * math.sqrt((1 - alpha_t / alpha_s) * (1 - alpha_s) / (1 - alpha_t))
        c2 = math.sqrt(1 - alpha_s - c1**2)
        guided = x0.detach() + math.sqrt(alpha_t) * g
        x = math.sqrt(alpha_s) * guided + c1 * noise.normal_like(x) + c2 * eps
    found = solver.solve(case.y, case.operator, case.prior, sigma, case.noise(1))
    torch.testing.assert_close(found.x, unit * x, rtol=1e-6, atol=1e-8)
    assert found.evaluations == found.backward == 6


@pytest.mark.parametrize(("rows", "sigma"), [("given", 0.0), ("orthonormal", 0.0), ("orthonormal", 1.5)])
def test_dps_is_its_algorithm_1(oracle: Make, rows: Any, sigma: float) -> None:
    case, unit, zeta, b = oracle(BERNOULLI, box=BOX, sigma=sigma), 4.0, 0.3, 2
    noise, abar = case.noise(b), [1.0, *respaced_alpha_bars(5).tolist()]
    s = case.operator.singular_values([0], like=case.y)
    share = 1 / (1 + torch.where(s > 0, sigma / s, 0) ** 2)  # of an image of variance 1 in the prior's scale

    def squared(x0: torch.Tensor) -> torch.Tensor:
        if rows == "given":
            return (case.y / unit - case.operator.forward(x0, [0] * b)).square().sum(dim=1)
        z = case.operator.coordinates(case.y, [0]) / unit - case.operator.analyse(x0, [0] * b)
        return (share * z.square()).sum(dim=1)

    x = noise.normal_like(case.mean.expand(b, -1, -1))
    for t in range(5, 0, -1):
        x = x.requires_grad_()
        x0 = case.prior(unit * x / abar[t] ** 0.5, x.new_full((b,), unit * (1 / abar[t] - 1) ** 0.5)) / unit
        norm = squared(x0)
        gradient = torch.autograd.grad(norm.sum(), x)[0]
        alpha, beta = abar[t] / abar[t - 1], 1 - abar[t] / abar[t - 1]
        mean = alpha**0.5 * (1 - abar[t - 1]) * x + abar[t - 1] ** 0.5 * beta * x0
        x = mean.detach() / (1 - abar[t]) - (zeta / norm.detach().sqrt())[:, None, None] * gradient
        if t > 1:
            x = x + (beta * (1 - abar[t - 1]) / (1 - abar[t])) ** 0.5 * noise.normal_like(x)
    solver = Dps(steps=5, zeta=zeta, rows=rows, unit=unit)
    found = solver.solve(case.y.expand(b, -1), case.operator, case.prior, sigma, case.noise(b))
    torch.testing.assert_close(found.x, unit * x, rtol=1e-7, atol=1e-9)
    assert found.evaluations == found.backward == 5


def test_dps_without_data_draws_from_the_prior(oracle: Make) -> None:
    case, b = oracle(FOURIER), 64
    solver = Dps(steps=300, zeta=0.0, unit=1.0)
    x = solver.solve(case.y.expand(b, -1), case.operator, case.prior, 0.0, ParticleNoise(0, "test", range(b))).x
    power = torch.fft.rfft2(x, norm="ortho").abs().square().mean(dim=0)
    assert float(power.sum() / case.prior.power.sum()) == pytest.approx(1.0, abs=0.06)


def test_dps_fits_until_its_last_step_is_too_long(oracle: Make) -> None:
    # A step is 2 zeta long whatever is left to fit: the residual falls with zeta, and then grows as 2 zeta / ||y||.
    case = oracle(HALF, box=BOX)
    zetas = (0.0, 0.01, 0.1, 1.0)
    left = {zeta: float(residual(case, draws(case, Dps(steps=200, zeta=zeta, unit=1.0), 10))) for zeta in zetas}
    assert left[0.0] > 1.3  # a draw of the prior
    assert left[0.0] > left[0.01] > 10 * left[0.1]
    assert left[0.1] < 0.03
    for zeta in (0.1, 1.0):
        assert 0.3 < left[zeta] * float(case.y.norm()) / (2 * zeta) < 1.0


def test_dps_does_not_have_the_posterior_mean(oracle: Make) -> None:
    case = oracle(BERNOULLI, box=BOX)
    seen, unseen = bias(case, draws(case, Dps(steps=100, zeta=0.3, unit=1.0), 60).mean(dim=0, keepdim=True))
    assert seen < 0.05
    assert 0.08 < unseen < 0.3


def test_given_rows_make_dps_overshoot(oracle: Make) -> None:
    # ||A|| is 4.9 here: the same zeta takes steps up to 4.9 times as long, and above 0.3 the data are not met at all.
    case = oracle(BERNOULLI, box=BOX)
    for zeta, least in ((0.1, 5.0), (1.0, 3.0)):
        given, orthonormal = (
            float(residual(case, draws(case, Dps(steps=200, zeta=zeta, rows=rows, unit=1.0), 10)))
            for rows in ("given", "orthonormal")
        )
        assert given > least * orthonormal
    assert given > 0.8


def test_orthonormal_rows_weigh_coordinates_by_their_share_of_image(oracle: Make) -> None:
    case = oracle(BERNOULLI, box=BOX, sigma=0.7)
    misfit = Misfit(case.operator, case.y, 0.7, [0], "orthonormal", "test")
    x = torch.ones(1, BOX, BOX, dtype=torch.float64).requires_grad_()
    r, back = misfit(x)
    s = case.operator.singular_values([0], like=x)
    z = case.operator.coordinates(case.y, [0]) - case.operator.analyse(x, [0])
    torch.testing.assert_close(r.square(), z.square() * torch.where(s > 0, s**2 / (s**2 + 0.7**2), 0))
    torch.testing.assert_close(-2 * back, torch.autograd.grad(r.square().sum(), x)[0])


@pytest.mark.parametrize(("rows", "steps"), [("given", 3), ("orthonormal", 3), ("given", 1)])
def test_dmplug_is_adam_on_the_noise_of_a_ddim_chain(oracle: Make, rows: Any, steps: int) -> None:
    # Written out as published: a variance-preserving chain, its gradient by autograd, torch's Adam on the mean square.
    case, unit = oracle(HADAMARD, box=BOX), 4.0
    places = [0, 333, 666][:steps] if steps == 3 else [0]
    alphas = [1.0, *ddpm_alpha_bar()[places].tolist()]
    z = case.noise(1).normal_like(case.mean).requires_grad_()

    def chain() -> torch.Tensor:
        x: torch.Tensor = z
        for t in range(steps, 0, -1):
            a, before = alphas[t], alphas[t - 1]
            x0 = case.prior(unit * x / a**0.5, x.new_tensor([unit * (1 / a - 1) ** 0.5])) / unit
            x = before**0.5 * x0 + (1 - before) ** 0.5 * (x - a**0.5 * x0) / (1 - a) ** 0.5
        return x

    adam, losses = torch.optim.Adam([z], lr=0.02, betas=(0.8, 0.95)), []
    for _ in range(12):
        adam.zero_grad()
        if rows == "given":
            r = case.y / unit - case.operator.forward(chain(), [0])
        else:
            r = case.operator.coordinates(case.y, [0]) / unit - case.operator.analyse(chain(), [0])
        r.square().mean().backward()
        losses.append(float(r.detach().square().mean()))
        adam.step()
    solver = DmPlug(iterations=12, steps=steps, learning_rate=0.02, beta_1=0.8, beta_2=0.95, rows=rows, unit=unit)
    found = solver.solve(case.y, case.operator, case.prior, 0.0, case.noise(1))
    torch.testing.assert_close(found.x, unit * chain().detach(), rtol=1e-7, atol=1e-8)
    assert (found.evaluations, found.backward) == (13 * steps, 12 * steps)
    assert losses == sorted(losses, reverse=True)


def test_the_chain_of_dmplug_has_the_derivative_of_its_differences(oracle: Make) -> None:
    case, levels = oracle(HADAMARD, box=BOX), [7.0, 2.0, 0.1]
    stream = torch.Generator().manual_seed(2)
    z, g, change = torch.randn(3, 2, BOX, BOX, dtype=torch.float64, generator=stream)
    found = _pulled_back(g, _generated(case.prior, z, levels)[1], levels)
    above, below = (_generated(case.prior, z + sign * 1e-3 * change, levels)[0] for sign in (1, -1))
    expected = (g * (above - below)).sum((1, 2)) / 2e-3
    torch.testing.assert_close((found * change).sum((1, 2)), expected, rtol=1e-8, atol=1e-10)


def test_dmplug_meets_the_data_and_keeps_its_start_elsewhere(oracle: Make) -> None:
    # Not a posterior: every seed agrees in what was measured, and differs elsewhere by less than a draw would.
    case = oracle(BERNOULLI, box=BOX)
    solver = DmPlug(iterations=150, learning_rate=0.1, rows="orthonormal", unit=1.0)

    def solve(seed: int, iterations: int) -> torch.Tensor:
        chosen, noise = replace(solver, iterations=iterations), ParticleNoise(seed, "test", [0])
        return chosen.solve(case.y, case.operator, case.prior, 0.0, noise).x

    early, first, other = solve(0, 10), solve(0, 150), solve(1, 150)
    assert torch.equal(early, solve(0, 10))
    assert 0.1 < float(residual(case, early)) < 0.6
    assert float(residual(case, first)) < 0.002
    seen = case.operator.project(first - other, [0])
    assert float(seen.norm() / first.norm()) < 0.01
    unlike = float((first - other - seen).square().sum() / (2 * case.covariance.trace()))
    assert 0.05 < unlike < 0.8
    assert 0.1 < bias(case, first)[1] < 0.6


def images(least: Sequence[int], count: int) -> torch.Tensor:
    """Return images (count, b, 4, 4) that jump to and fro, by amounts that are least at a place of each particle's."""
    k, place = torch.arange(count, dtype=torch.float64)[:, None], torch.tensor(least, dtype=torch.float64)
    jump = (-1) ** k * (0.02 * (k - place).abs() + 0.01)
    return jump[..., None, None] * torch.ones(4, 4, dtype=torch.float64) + 3


def watched(sequence: torch.Tensor, patience: int, memory: float) -> VarianceWatch:
    watch = VarianceWatch(patience, memory, sequence.shape[1])
    for x in sequence:
        if watch.finished(x):
            break
    return watch


def test_the_moving_variance_stops_each_particle_at_its_own_minimum() -> None:
    # Source: Early Stopping for Deep Image Prior, Algorithm 2, image by image; the rule begins after ``patience``.
    least, patience, memory = [30, 60, 100], 20, 0.3
    sequence = images(least, 400)
    together = watched(sequence, patience, memory)
    for i, place in enumerate(least):
        mean, moving, best, minimum = sequence[0, i], 0.0, 0, math.inf
        for k in range(1, 400):
            x = sequence[k, i]
            moving = (1 - memory) * moving + memory * (1 - memory) * float((x - mean).square().sum())
            mean = (1 - memory) * mean + memory * x
            if k > patience and moving < minimum:
                minimum, best = moving, k
            if k - best >= patience and k > patience:
                break
        assert abs(best - place) <= 3
        assert int(together.seen[i]) == k + 1 == best + 1 + patience
        torch.testing.assert_close(together.best[i], sequence[best, i], rtol=0, atol=0)
        alone = watched(sequence[:, i : i + 1], patience, memory)
        assert int(alone.seen[0]) == int(together.seen[i])
        assert torch.equal(alone.best[0], together.best[i])


def test_stopping_by_variance_counts_each_particle_and_not_the_batch(oracle: Make) -> None:
    case = oracle(HADAMARD, box=BOX)
    solver = DmPlug(iterations=80, learning_rate=0.2, stop="variance", patience=5, memory=0.5, unit=1.0)

    def solve(particles: list[int]) -> Any:
        y = torch.cat([case.y * (1 + 2 * particle) for particle in particles])
        return solver.solve(y, case.operator, case.prior, 0.0, ParticleNoise(0, "test", particles))

    together, alone = solve([0, 1, 2]), [solve([p]) for p in range(3)]
    costs = [one.evaluations for one in alone]
    assert len(set(costs)) == 3
    assert max(costs) < 3 * 80
    assert together.evaluations == together.backward == pytest.approx(sum(costs) / 3)
    torch.testing.assert_close(together.x, torch.cat([one.x for one in alone]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 0.6])
def test_nesterov_is_guided_ancestral_sampling_with_momentum(oracle: Make, kappa: float) -> None:
    # kappa = 0 is the ablation of the momentum: x_{t-1} = x' - zeta g, g at x0_hat.
    case, zeta, unit = oracle(HADAMARD, box=BOX), 0.2, 4.0
    solver = Nesterov(steps=6, zeta_min=zeta, zeta_max=zeta, kappa_min=kappa, kappa_max=kappa, clamp=None)
    noise, abar = case.noise(1), [1.0, *respaced_alpha_bars(6).tolist()]
    x, m = noise.normal_like(case.mean), torch.zeros_like(case.mean)
    for a, before in pairwise(reversed(abar)):
        x0 = case.prior(unit * x / a**0.5, x.new_tensor([unit * (1 / a - 1) ** 0.5])) / unit
        ahead = case.operator.forward(x0 - kappa * m, [0])
        g = case.operator.adjoint(ahead - case.y / unit, [0])
        m = kappa * m + zeta * g / g.norm()
        beta = 1 - a / before
        x = ((a / before) ** 0.5 * (1 - before) * x + before**0.5 * beta * x0) / (1 - a) - m
        if before < 1:
            x = x + (beta * (1 - before) / (1 - a)) ** 0.5 * noise.normal_like(x)
    found = solver.solve(case.y, case.operator, case.prior, 0.0, case.noise(1)).x
    torch.testing.assert_close(found, unit * x, rtol=1e-7, atol=1e-9)
    other = replace(solver, kappa_min=kappa + 0.1, kappa_max=kappa + 0.1)
    moved = other.solve(case.y, case.operator, case.prior, 0.0, case.noise(1)).x
    assert float((moved - found).norm() / found.norm()) > 0.001
