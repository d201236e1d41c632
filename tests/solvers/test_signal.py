"""The signal of an image, and how sure it is: closed forms for a Gaussian prior of signal and noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, power_spectrum
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.mean_image import power_about, radial_image
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Exact, Gaussian, LeastSquares, Posterior
from kit.dense import BOX, covariance

OPERATORS = (
    "pixel:block=4,masks=6,rows=hadamard",
    "fourier:pattern=uniform,compression=3,symmetry=hermitian",
    "fourier:pattern=uniform,compression=2,symmetry=published",
    "identity",
)
EACH_CASE = pytest.mark.parametrize(("text", "sigma"), [(text, sigma) for text in OPERATORS for sigma in (0.0, 0.4)])
SOLVERS = {
    "gaussian": Gaussian(estimate="signal", tolerance=1e-8),
    "exact": Exact(estimate="signal", steps=8, tolerance=1e-8),
    "posterior": Posterior(estimate="signal", tolerance=1e-8),
}
Make = Callable[..., Any]


def prior_of(case: Any) -> GaussianPrior:
    return GaussianPrior(case.signal + case.noise, case.noise)


def solved(solver: Any, case: Any, y: Tensor, prior: Any = None) -> Any:
    noise = ParticleNoise(3, "test", range(len(y)))
    return solver.solve(y, case.operator, prior or prior_of(case), case.sigma, noise)


@EACH_CASE
@pytest.mark.parametrize("name", SOLVERS)
def test_the_signal_is_the_posterior_mean_of_s(dense: Make, name: str, text: str, sigma: float) -> None:
    case = dense(text, sigma)
    _, _, y, _ = case.draw(2)
    y[1] = y[0]  # the one mask set
    found = solved(SOLVERS[name], case, y[:1]).x
    expected = case.mean(case.signal, y[:1], None)
    assert float((found - expected).norm() / expected.norm()) < 1e-4


@EACH_CASE
@pytest.mark.parametrize("name", SOLVERS)
def test_signal_and_noise_make_the_mean(dense: Make, name: str, text: str, sigma: float) -> None:
    case = dense(text, sigma)
    y = case.draw(1)[2]
    signal = solved(SOLVERS[name], case, y).x
    mean = solved(dataclasses.replace(SOLVERS[name], estimate="mean"), case, y).x
    expected = case.mean(case.noise, y, None)
    assert float((mean - signal - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.parametrize("sigma", [0.0, 0.4])
@pytest.mark.parametrize("text", OPERATORS)
@pytest.mark.parametrize("name", SOLVERS)
def test_the_deviation_is_that_of_the_posterior(dense: Make, name: str, text: str, sigma: float) -> None:
    case = dense(text, sigma)
    y = case.draw(1)[2]
    few = {"steps": 2} if name == "exact" else {}  # a Gaussian prior is sampled exactly in any number of steps
    solver = dataclasses.replace(SOLVERS[name], samples=32, tolerance=1e-2, **few)
    found = solved(solver, case, y)
    deviation = found.deviation if name != "gaussian" else found.deviation.square().mean().sqrt()
    assert deviation is not None
    rms = float(deviation.square().mean().sqrt())
    assert rms == pytest.approx(case.error(case.signal), rel=0.08)
    if name != "gaussian":  # smoothed: the law is nearly stationary, so that no pixel stands out
        assert float(deviation.min()) > 0.75 * rms
        assert float(deviation.max()) < 1.25 * rms


def test_the_deviation_holds_what_the_noise_hides(dense: Make) -> None:
    # Seen to fail: without the term of Cov[s | x0] the deviation of a full image is 0.
    case = dense("identity", 0.0)
    found = solved(Posterior(estimate="signal", samples=16), case, case.draw(1)[2]).deviation
    left = (case.signal * case.noise / (case.signal + case.noise)).mean()
    assert float(found.square().mean()) > 0.5 * float(left)


@dataclass
class Whole:
    """A prior without a split."""

    power: Tensor

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return GaussianPrior(self.power)(x, tau)

    def spectrum(self, box: int) -> Tensor:
        return self.power


@pytest.mark.parametrize("name", SOLVERS)
def test_a_prior_without_that_split_is_refused_with_the_remedy(dense: Make, name: str) -> None:
    case = dense(OPERATORS[1], 0.0)
    y, power = case.draw(1)[2], case.signal + case.noise
    for prior in (GaussianPrior(power), *([Whole(power)] if name != "posterior" else [])):
        with pytest.raises(InputError, match=r"cannot tell signal from noise.*train one on simulated particles"):
            solved(SOLVERS[name], case, y, prior)


def test_a_solver_that_has_no_signal_says_so() -> None:
    from cryoprior.reconstruction.choice import choose_solver

    with pytest.raises(InputError, match="has none; its fields are none"):
        choose_solver(LeastSquares(), "default", estimate="signal")


class WithMean(GaussianPrior):
    """Gaussian images about a radial mean image; their spectrum is E|X|^2, the mean in it, as priors have it."""

    def __init__(self, about: Tensor, noise: Tensor, mean: Tensor) -> None:
        super().__init__(about + power_spectrum(mean[None]), noise)
        self.mean = mean

    def mean_image(self, box: int, like: Tensor) -> Tensor:
        return self.mean.to(like)


@EACH_CASE
@pytest.mark.parametrize("estimate", ["mean", "signal"])
def test_the_wiener_estimate_is_taken_about_the_mean_image(dense: Make, estimate: str, text: str, sigma: float) -> None:
    # Seen to fail on the solver that knew the spectrum alone, which the last assertion is about.
    case = dense(text, sigma)
    axis = torch.arange(BOX, dtype=torch.float64) - BOX // 2
    mean = radial_image(0.8 * torch.exp(-(axis[:, None] ** 2 + axis**2) / 18))
    prior = WithMean(case.signal + case.noise, case.noise, mean)
    about = power_about(prior.power, mean)
    torch.testing.assert_close(about, torch.maximum(case.signal + case.noise, 0.05 * prior.power))
    y = case.draw(1)[2] + case.operator.forward(mean[None], [0])
    found = solved(Gaussian(estimate=estimate, tolerance=1e-9), case, y, prior).x
    part = case.signal if estimate == "signal" else case.signal + case.noise
    expected = mean + case.mean(part, y - case.operator.forward(mean[None], [0]), None)
    assert float((found - expected).norm() / expected.norm()) < 1e-4
    left_out = solved(Gaussian(estimate=estimate, centred=False, tolerance=1e-9), case, y, prior).x
    if text != "identity" or sigma or estimate == "signal":
        assert float((left_out - expected).norm() / expected.norm()) > 0.01


def test_covariances_are_those_of_filters() -> None:
    # The oracle of this file: a filter is a matrix, and its diagonal is the mean of its power.
    power = torch.rand(BOX, BOX // 2 + 1, dtype=torch.float64)
    image = torch.randn(1, BOX, BOX, dtype=torch.float64)
    dense_image = (image.flatten(1) @ covariance(power).T).reshape(1, BOX, BOX)
    torch.testing.assert_close(apply_filter(image, power), dense_image)


def test_the_wiener_estimate_draws_no_samples() -> None:
    with pytest.raises(Exception, match="estimate"):  # the types say so too, where they are checked
        Gaussian(estimate="sample")  # type: ignore[arg-type]
    raw = Gaussian()
    object.__setattr__(raw, "estimate", "sample")
    with pytest.raises(InputError, match="gaussian: estimate=sample; expected mean or signal"):
        raw.__post_init__()
