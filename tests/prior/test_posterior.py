"""The posterior mean by one question, where the right answer to the question is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cryoprior.image.turns import turned, turned_back
from cryoprior.prior.evidence import Evidence, evidence_of_image
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.posterior import posterior_mean, posterior_signal
from cryoprior.prior.signal import SignalDenoiser

BOX = 16
OPERATORS = (
    "pixel:block=4,masks=6,rows=hadamard",
    "pixel:block=4,masks=6,rows=bernoulli",
    "fourier:compression=3,symmetry=hermitian",
    "fourier:compression=2,symmetry=published",
)
Make = Callable[..., Any]
EACH_OPERATOR = pytest.mark.parametrize("text", OPERATORS)


class Asked:
    """A prior of two parts, signal and noise, that answers with a function of the evidence."""

    operator_aware = True

    def __init__(
        self, signal: Tensor, noise: Tensor, answer: Callable[[Evidence], Tensor], *, means_only: bool = False
    ) -> None:
        self.signal, self.noise, self.answer, self.means_only = signal, noise, answer, means_only
        self.calls = 0

    def components(self, box: int, like: Tensor) -> tuple[Tensor, Tensor]:
        assert box == BOX
        return self.signal.to(like), self.noise.to(like)

    def estimate(self, evidence: Evidence) -> Tensor:
        self.calls += 1
        return self.answer(evidence)


def gaussian(case: Any) -> Asked:
    return Asked(case.signal, case.noise, lambda evidence: evidence.linear)


def clean(case: Any, answer: Callable[[Evidence], Tensor], *, means_only: bool = False) -> Asked:
    return Asked(case.signal, torch.zeros_like(case.noise), answer, means_only=means_only)


@pytest.mark.parametrize("tau", [None, 1.0])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
@EACH_OPERATOR
def test_of_gaussian_images_it_is_that_of_dense_algebra(
    dense: Make, text: str, sigma: float, tau: float | None
) -> None:
    case = dense(text, sigma, tau)
    _, _, y, x = case.draw(2)
    found = posterior_mean(gaussian(case), case.measurement(y), x, tau, tolerance=1e-6)
    expected = case.mean(case.signal + case.noise, y, x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tau", [None, 1.0])
@pytest.mark.parametrize("text", [OPERATORS[1], OPERATORS[3]])
def test_where_the_whole_image_is_signal_it_is_the_estimate(dense: Make, text: str, tau: float | None) -> None:
    case = dense(text, 0.5, tau)
    _, _, y, x = case.draw(2)
    answers: tuple[Callable[[Evidence], Tensor], ...] = (lambda e: e.linear, lambda e: e.linear.sin() + 1)
    plain, other = (
        posterior_mean(clean(case, answer), case.measurement(y), x, tau, tolerance=1e-6) for answer in answers
    )
    torch.testing.assert_close(other, plain.sin() + 1)


@pytest.mark.parametrize("with_noise", [True, False])
@EACH_OPERATOR
def test_a_measurement_without_noise_is_reproduced(dense: Make, text: str, with_noise: bool) -> None:
    case = dense(text, 0.0, 1.0)
    _, _, y, x = case.draw(2)
    prior = Asked(case.signal, case.noise * with_noise, lambda evidence: evidence.linear.sin())
    found = posterior_mean(prior, case.measurement(y), x, 1.0, tolerance=0.1)
    torch.testing.assert_close(case.operator.forward(found, range(2)), y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("turn", range(8))
def test_turned_back_undoes_a_turn(turn: int) -> None:
    images = torch.arange(32.0).reshape(2, 4, 4)
    assert torch.equal(turned_back(turned(images, turn), turn), images)
    assert torch.equal(turned(turned_back(images, turn), turn), images)


def test_there_are_eight_turns() -> None:
    image = torch.arange(9.0).reshape(1, 3, 3)
    assert len({tuple(turned(image, turn).flatten().tolist()) for turn in range(8)}) == 8
    assert torch.equal(turned(image, 0), image)
    assert torch.equal(turned(image, 1), torch.rot90(image, 1, (1, 2)))
    assert torch.equal(turned(image, 4), image.mT)


@pytest.mark.parametrize("tau", [None, 1.0])
def test_turns_change_nothing_for_an_estimate_that_turns_with_the_evidence(dense: Make, tau: float | None) -> None:
    case = dense(OPERATORS[1], 0.5, tau)
    _, _, y, x = case.draw(2)

    def answer(evidence: Evidence) -> Tensor:
        assert evidence.seen is not None
        return evidence.linear * evidence.seen + evidence.pivot**2 + evidence.seen.tanh()

    prior = Asked(case.signal, case.noise, answer)
    once, often = (posterior_mean(prior, case.measurement(y), x, tau, turns=turns) for turns in (1, 8))
    assert prior.calls == 9
    torch.testing.assert_close(often, once, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("turns", [1, 2, 5, 8])
def test_turns_average_an_estimate_that_does_not_turn(dense: Make, turns: int) -> None:
    case = dense(OPERATORS[2], 0.5)
    _, _, y, _ = case.draw(2)
    offset = torch.randn(1, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    prior = clean(case, lambda evidence: evidence.linear + offset)
    plain = posterior_mean(clean(case, lambda evidence: evidence.linear), case.measurement(y))
    added = posterior_mean(prior, case.measurement(y), turns=turns) - plain
    assert prior.calls == turns
    views = torch.cat([turned(offset, turn) for turn in range(8)])
    shares = torch.linalg.lstsq(views.flatten(1).T, added.flatten(1).T).solution
    torch.testing.assert_close(added, (shares.T @ views.flatten(1)).reshape(added.shape))
    expected = torch.tensor([0.0] * (8 - turns) + [1 / turns] * turns, dtype=torch.float64)
    torch.testing.assert_close(shares.sort(dim=0).values, expected[:, None].expand(8, 2))


@pytest.mark.parametrize("tau", [None, 1.0])
@pytest.mark.parametrize("text", [OPERATORS[1], OPERATORS[3]])
def test_an_untrained_network_answers_as_gaussian_images_would(dense: Make, text: str, tau: float | None) -> None:
    case = dense(text, 0.5, tau)
    _, _, y, x = case.draw(2)
    network = SignalNetwork(NetworkConfig(channels=(8, 32), layers=1, operator_aware=True))
    denoiser = SignalDenoiser(network, {BOX: case.spectra})
    assert denoiser.operator_aware
    found = posterior_mean(denoiser, case.measurement(y), x, tau)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, posterior_mean(gaussian(case), case.measurement(y), x, tau), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("text", [OPERATORS[1], OPERATORS[3]])
def test_a_particle_is_answered_alone_as_in_a_batch(dense: Make, text: str) -> None:
    case = dense(text, 0.5, 1.0)
    _, _, y, x = case.draw(3)
    prior = Asked(case.signal, case.noise, lambda evidence: evidence.linear.tanh())
    whole = posterior_mean(prior, case.measurement(y), x, 1.0)
    alone = posterior_mean(prior, case.measurement(y[:1]), x[:1], 1.0)
    torch.testing.assert_close(whole[:1], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("text", "sigma"), [(OPERATORS[1], 0.5), (OPERATORS[2], 0.0), (OPERATORS[3], 0.5)])
def test_a_network_that_saw_only_measurements_is_asked_about_the_unseen_part(
    dense: Make, text: str, sigma: float
) -> None:
    case = dense(text, sigma)
    _, _, y, _ = case.draw(2)
    offset = torch.randn(2, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = posterior_mean(clean(case, lambda evidence: evidence.linear), case.measurement(y), tolerance=1e-6)
    prior = clean(case, lambda evidence: evidence.linear + offset, means_only=True)
    found = posterior_mean(prior, case.measurement(y), tolerance=1e-6)
    unseen = offset - case.operator.project(offset, range(2))
    torch.testing.assert_close(found - plain, unseen, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("text", ["identity", "crop:size=16", "quantize:bits=4,mean=0,deviation=1"])
def test_the_signal_of_a_whole_image_is_asked_for_as_priors_were_trained(dense: Make, text: str) -> None:
    # Seen to fail where it was asked as a measurement: the pivot, the noisy image itself, was 0.
    case, asked = dense(text, 0.5), list[Evidence]()
    prior = GaussianPrior(case.signal + case.noise, case.noise)
    monkey = Asking(prior, asked)
    y = case.draw(2)[2]
    measurement = case.measurement(y)
    posterior_signal(monkey, measurement)
    image, added = case.operator.pinv(y, [0, 1]), measurement.noise_power
    expected = evidence_of_image(image, case.signal, case.noise + added.expand(2, *case.noise.shape))
    for name in ("pivot", "linear", "error", "level"):
        torch.testing.assert_close(getattr(asked[0], name), getattr(expected, name))
    assert float(asked[0].pivot.std()) > 0.5


class Asking(GaussianPrior):
    """A Gaussian prior that keeps what it was asked."""

    def __init__(self, prior: GaussianPrior, asked: list[Evidence]) -> None:
        super().__init__(prior.power, prior.noise)
        self.asked = asked

    def estimate(self, evidence: Evidence) -> Tensor:
        self.asked.append(evidence)
        return super().estimate(evidence)
