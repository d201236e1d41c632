"""What is withheld is told by what is shown: the posterior mean has the least loss, and the target never leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from cryoprior.image.spectrum import apply_filter, frequency_radius
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import parse_operator
from cryoprior.prior.evidence import Evidence
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.random import ParticleNoise
from cryoprior.training.draws import BatchDraws
from cryoprior.training.measured import MeasuredBatch
from cryoprior.training.withheld import SHARE, WithheldObjective

BOX = 16
PIXELS = BOX**2
SIGNAL = 0.05 + 6 / (1 + (12 * frequency_radius(BOX)) ** 2)
FLAT = torch.ones(BOX, BOX // 2 + 1, dtype=torch.float64)
UNIFORM = "fourier:compression=2,sets=4"
HADAMARD = "pixel:block=4,masks=8,sets=4"
PUBLISHED = "fourier:compression=2,symmetry=published,sets=3"
EACH_SIGMA = pytest.mark.parametrize("sigma", [0.0, 0.5])


def stream(seed: int = 0) -> BatchDraws:
    return BatchDraws(seed, "test", 0)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def objective(text: str, sigma: float, signal: Tensor = SIGNAL) -> WithheldObjective:
    return WithheldObjective(signal, parse_operator(text, box=BOX, seed=3), sigma)


def measured(given: WithheldObjective, x: Tensor, first: int = 0) -> MeasuredBatch:
    """Return measurements, each particle by its own masks."""
    particles = list(range(first, first + len(x)))
    y = given.operator.forward(x, particles)
    return MeasuredBatch(y + given.sigma * normal(*y.shape, seed=9), particles)


class Answer(nn.Module):
    """A function of the evidence in the place of a network, which remembers the evidence."""

    def __init__(self, answer: Callable[[Evidence], Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, evidence: Evidence) -> Tensor:
        self.evidence = evidence
        return self.answer(evidence)


def losses(given: WithheldObjective, batch: MeasuredBatch, answer: Callable[[Evidence], Tensor]) -> list[float]:
    """Return the loss of the answer and of 0.8 and 1.2 times it, over the same splits.

    What is shown is never judged, so that this is the same as to scale the part not shown alone.
    """
    answers = [Answer(lambda evidence, f=f: f * answer(evidence)) for f in (1.0, 0.8, 1.2)]
    return [float(given.loss(network, batch, stream()).mean()) for network in answers]


@EACH_SIGMA
def test_of_gaussian_images_the_linear_estimate_has_the_least_loss(sigma: float) -> None:
    given = objective(HADAMARD, sigma)
    batch = measured(given, apply_filter(normal(60, BOX, BOX, seed=1), SIGNAL.sqrt()))
    right, less, more = losses(given, batch, lambda evidence: evidence.linear)
    assert right < less
    assert right < more
    assert 0.9 < 1 + 0.1 * (less - more) / (less + more - 2 * right) < 1.1  # where the parabola is least
    nothing = float(given.loss(Answer(lambda evidence: 0 * evidence.linear), batch, stream()).mean())
    assert right < 0.8 * nothing


def template() -> Tensor:
    """Return an image that leads from any frequency to any other, of unit mean square."""
    axis = torch.arange(BOX, dtype=torch.float64) - BOX // 2
    blob = torch.exp(-((axis[:, None] - 1) ** 2 + (axis - 2) ** 2) / 4)
    return blob / blob.square().mean().sqrt()


def template_mean(sigma: float) -> Callable[[Evidence], Tensor]:
    """Return E[x | what is shown] of x = a t + white noise, a standard normal, of coefficients shown as they are."""

    def answer(evidence: Evidence) -> Tensor:
        assert evidence.seen is not None
        shown = evidence.seen * (1 + sigma**2)
        there = (torch.fft.rfft2(shown, norm="ortho").abs() > 1e-9).to(shown)
        known = apply_filter(template().expand_as(shown), there)
        told = (known * shown).sum((-2, -1)) / (known.square().sum((-2, -1)) + 1 + sigma**2)
        return told[:, None, None] * template()

    return answer


@EACH_SIGMA
def test_of_frequencies_that_tell_of_each_other_the_posterior_mean_has_the_least_loss(sigma: float) -> None:
    given = objective(UNIFORM, sigma, FLAT)
    images = normal(60, 1, 1, seed=2) * template() + normal(60, BOX, BOX, seed=3)
    batch = measured(given, images)
    right, less, more = losses(given, batch, template_mean(sigma))
    assert right < less
    assert right < more
    assert 0.9 < 1 + 0.1 * (less - more) / (less + more - 2 * right) < 1.1
    linear = float(given.loss(Answer(lambda evidence: evidence.linear), batch, stream()).mean())
    assert right < 0.8 * linear  # of the frequencies not shown a stationary Gaussian knows nothing


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_the_unit_of_the_loss_is_the_variance_of_a_pixel(scale: float) -> None:
    for text in (UNIFORM, HADAMARD):
        given = objective(text, 0.0, scale**2 * FLAT)
        batch = measured(given, scale * normal(60, BOX, BOX, seed=4))
        loss = given.loss(Answer(lambda evidence: 0 * evidence.linear), batch, stream())
        assert loss.shape == (60,)
        assert float(loss.mean()) == pytest.approx(1, abs=0.15)


def test_noisy_numbers_weigh_little() -> None:
    given = objective("pixel:block=4,masks=16,rows=bernoulli", 0.5, FLAT)  # some of its singular values are near 0
    batch = measured(given, normal(10, BOX, BOX, seed=4))
    loss = float(given.loss(Answer(lambda evidence: 0 * evidence.linear), batch, stream()).mean())
    z = given.operator.coordinates(batch.y, batch.particles)
    assert 1 < loss < 0.4 * float(z.square().mean())


@EACH_SIGMA
@pytest.mark.parametrize("text", [UNIFORM, PUBLISHED, HADAMARD])
def test_the_target_does_not_leak_into_the_evidence(text: str, sigma: float) -> None:
    given = objective(text, sigma)
    batch = measured(given, apply_filter(normal(6, BOX, BOX, seed=1), SIGNAL.sqrt()), first=5)
    hidden = 1 - given._draw(batch.particles, stream(4)).double()
    assert hidden.any()
    change = given.operator.uncoordinates(100 * hidden, batch.particles)
    spoilt = MeasuredBatch(batch.y + change, batch.particles)
    network = Answer(lambda evidence: evidence.linear)
    before = given.loss(network, batch, stream(4))
    evidence = network.evidence
    after = given.loss(network, spoilt, stream(4))
    for after_change, expected in zip(network.evidence, evidence, strict=True):
        torch.testing.assert_close(after_change, expected, rtol=1e-9, atol=1e-9)
    assert bool((after > 100 * before).all())  # the target did change
    shown = MeasuredBatch(batch.y + given.operator.uncoordinates(1 - hidden, batch.particles), batch.particles)
    given.loss(network, shown, stream(4))
    assert not torch.allclose(network.evidence.linear, evidence.linear, rtol=0, atol=1e-2)


def test_a_particle_is_judged_alike_in_any_part_of_its_batch() -> None:
    given = objective(HADAMARD, 0.5)
    batch = measured(given, apply_filter(normal(4, BOX, BOX, seed=1), SIGNAL.sqrt()))
    whole = given._draw(batch.particles, stream(4))
    assert not torch.equal(whole[0], whole[1])
    network = Answer(lambda evidence: evidence.linear)
    loss = given.loss(network, batch, stream(4))
    backwards = MeasuredBatch(batch.y.flip(0), batch.particles[::-1])
    again = Fixed(given.signal, given.operator, given.sigma, keep=whole.flip(0))
    torch.testing.assert_close(again.loss(network, backwards, stream(4)).flip(0), loss, rtol=1e-3, atol=1e-5)


@dataclass(frozen=True)
class Fixed(WithheldObjective):
    """The same with a split that is given."""

    keep: Tensor

    def _draw(self, particles: object, draws: BatchDraws) -> Tensor:
        return self.keep


@pytest.mark.parametrize("text", [UNIFORM, PUBLISHED, HADAMARD])
def test_the_gradient_reaches_the_network(text: str) -> None:
    torch.manual_seed(0)
    network = SignalNetwork(NetworkConfig(channels=(8, 32), layers=1, operator_aware=True))
    given = objective(text, 0.0, SIGNAL.float())
    x = apply_filter(normal(4, BOX, BOX, seed=1), SIGNAL.sqrt()).float()
    batch = MeasuredBatch(given.operator.forward(x, range(4)), [0, 1, 2, 3])
    before = given.loss(network, batch, stream()).mean()
    before.backward()
    gradient = network.unet.conv_out.weight.grad
    assert gradient is not None
    assert float(gradient.norm()) > 0
    with torch.no_grad():
        network.unet.conv_out.weight -= 0.02 * gradient / gradient.norm()
        after = given.loss(network, batch, stream()).mean()
    assert float(after) < float(before.detach())
    assert given.correlations(network, batch, x, stream()) == {}


@pytest.mark.parametrize("text", [UNIFORM, PUBLISHED, HADAMARD])
def test_a_split_keeps_together_what_was_measured_together(text: str) -> None:
    given = objective(text, 0.0)
    particles = list(range(60))
    keep = given._draw(particles, stream(1))
    assert set(keep.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(keep, given._draw(particles, stream(1)))
    assert not torch.equal(keep, given._draw(particles, stream(2)))
    known = given.operator.singular_values(particles) > 0
    groups = given.operator.groups(particles)
    total = torch.zeros(60, int(groups.max()) + 1)
    count = total.scatter_add(1, groups, known.float())
    kept = total.scatter_add(1, groups, keep * known)
    assert bool(((kept == 0) | (kept == count)).all())
    withheld = ((1 - keep) * known).sum(1) / known.sum(1)
    assert float(withheld.mean()) == pytest.approx(sum(SHARE) / 2, abs=0.06)
    assert float(withheld.min()) < 0.06
    assert float(withheld.max()) > SHARE[1] - 0.1


def dense(given: WithheldObjective, batch: MeasuredBatch, keep: Tensor, guess: Tensor) -> Tensor:
    """Return E[x | the coordinates kept] of x ~ N(guess, SIGNAL), particle by particle, by matrices."""
    basis = torch.eye(PIXELS, dtype=torch.float64).reshape(PIXELS, BOX, BOX)
    p = apply_filter(basis, SIGNAL).reshape(PIXELS, PIXELS)
    means = []
    for i, particle in enumerate(batch.particles):
        a = given.operator.forward(basis, [particle] * PIXELS).T
        u, s, vh = torch.linalg.svd(a, full_matrices=False)
        known = s > 1e-7 * s.max()
        z = (batch.y[i] @ u[:, known]) / s[known]
        # the shown directions as this operator orders them, and the noise of their coordinates
        own = given.operator.singular_values([particle], like=p)[0]
        chosen = (keep[i] > 0) & (own > 0)
        v = given.operator.synthesise(torch.eye(len(own), dtype=torch.float64), [particle] * len(own)).flatten(1)
        v = v[chosen]
        told = v @ vh[known].T @ z
        variance = torch.diag(given.sigma**2 / own[chosen] ** 2)
        misfit = told - v @ guess[i].flatten()
        means.append(guess[i].flatten() + p @ v.T @ torch.linalg.solve(v @ p @ v.T + variance, misfit))
    return torch.stack(means).reshape(-1, BOX, BOX)


@EACH_SIGMA
@pytest.mark.parametrize("text", ["fourier:compression=2,sets=3", PUBLISHED, "fourier:compression=4,pattern=ring"])
def test_the_closed_form_of_a_split_is_that_of_conjugate_gradients_and_of_matrices(text: str, sigma: float) -> None:
    given = objective(text, sigma)
    batch = measured(given, apply_filter(normal(4, BOX, BOX, seed=1), SIGNAL.sqrt()), first=2)
    keep = given._draw(batch.particles, stream(6)).double()
    closed, solved = (Measurement(given.operator, batch.y, sigma, batch.particles, "a test", keep) for _ in range(2))
    assert closed.diagonal is not None
    solved.diagonal = None
    guess = apply_filter(normal(4, BOX, BOX, seed=7), SIGNAL.sqrt())
    mean = closed.condition(guess, SIGNAL)
    torch.testing.assert_close(mean, solved.condition(guess, SIGNAL, tolerance=1e-9), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mean, dense(given, batch, keep, guess), rtol=1e-6, atol=1e-6)
    everything = Measurement(given.operator, batch.y, sigma, batch.particles, "a test").condition(guess, SIGNAL)
    assert not torch.allclose(mean, everything, atol=1e-2)


@EACH_SIGMA
def test_a_draw_given_a_split_has_the_spread_of_what_is_left_open(sigma: float) -> None:
    given = objective("fourier:compression=2", sigma)
    n = 300
    one = measured(given, apply_filter(normal(1, BOX, BOX, seed=1), SIGNAL.sqrt()))
    keep = given._draw(one.particles, stream(6)).double()
    measurement = Measurement(given.operator, one.y.expand(n, -1), sigma, list(range(n)), "a test", keep.expand(n, -1))
    nothing = torch.zeros(n, BOX, BOX, dtype=torch.float64)
    draws = measurement.condition(nothing, SIGNAL, ParticleNoise(0, "a test", range(n)))
    mean = measurement.condition(nothing, SIGNAL)
    z = given.operator.analyse(draws - mean, range(n))
    power = (
        given.operator.analyse(apply_filter(normal(2000, BOX, BOX, seed=8), SIGNAL.sqrt()), [0] * 2000).square().mean(0)
    )
    s = given.operator.singular_values([0], like=z)[0]
    left = torch.where(keep[0] > 0, power * sigma**2 / (power * s**2 + sigma**2), power)
    if sigma == 0:
        assert float(z[:, keep[0] > 0].abs().max()) < 1e-6
    ratio = z.square().mean(0) / left.clamp_min(1e-12)
    hidden = keep[0] == 0
    assert float(ratio[hidden].mean()) == pytest.approx(1, abs=0.1)
    if sigma > 0:
        assert float(ratio[~hidden].mean()) == pytest.approx(1, abs=0.1)
