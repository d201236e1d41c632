"""On Gaussian images the linear estimate is the answer: no other has a smaller loss, and its own is the unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cryoprior.image.spectrum import apply_filter, frequency_radius
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior.evidence import Evidence
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.training import operator_objective
from cryoprior.training.draws import BatchDraws
from cryoprior.training.objectives import SignalObjective
from cryoprior.training.operator_objective import OperatorObjective
from cryoprior.training.operator_pool import OperatorPool

BOX = 16
SIGNAL = (3 / (1 + (10 * frequency_radius(BOX)) ** 2)).float()
NOISE = (0.5 - 0.3 * frequency_radius(BOX)).float()
NOISES = torch.stack([NOISE, 2 * NOISE])
CLEAN_UNKNOWN = torch.zeros(1, BOX, BOX // 2 + 1)
FOURIER = "fourier:compression=2,symmetry=published"
PIXEL = "pixel:block=4,masks=6,rows=hadamard"


class One(OperatorPool):
    """A pool with the same operator at every number, which remembers what it was asked for."""

    def __init__(self, text: str, sigma: float) -> None:
        super().__init__(OperatorFamily(), BOX, 0)
        self.operator, self.sigma = parse_operator(text, box=BOX, seed=1), sigma
        self.asked: list[int] = []

    def __getitem__(self, number: int) -> tuple[Operator, float]:
        self.asked.append(number)
        return self.operator, self.sigma


class Answer(nn.Module):
    """A function of the evidence in the place of a network."""

    def __init__(self, answer: Callable[[Evidence], Tensor]) -> None:
        super().__init__()
        self.answer = answer
        self.weight = nn.Parameter(torch.zeros(1))  # a network has weights, and they say where it is

    def forward(self, evidence: Evidence) -> Tensor:
        return self.answer(evidence)


LINEAR = Answer(lambda evidence: evidence.linear)


def draw(b: int, seed: int = 0) -> Tensor:
    white = torch.randn(b, BOX, BOX, generator=torch.Generator().manual_seed(seed))
    return apply_filter(white, SIGNAL.sqrt())


def stream(seed: int = 5) -> BatchDraws:
    return BatchDraws(seed, "test", 0)


def objective(text: str = FOURIER, sigma: float = 0.0, noise: Tensor = NOISES) -> OperatorObjective:
    return OperatorObjective(SignalObjective(SIGNAL, noise), One(text, sigma))


def tiny() -> SignalNetwork:
    torch.manual_seed(0)
    network = SignalNetwork(NetworkConfig(channels=(8, 32), layers=1, operator_aware=True))
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    return network


@pytest.mark.parametrize("sigma", [0.0, 0.5])
@pytest.mark.parametrize("noise", [NOISES, CLEAN_UNKNOWN], ids=["clean", "without clean"])
@pytest.mark.parametrize(("text", "tau", "within"), [(FOURIER, None, 0.1), (FOURIER, 1.0, 0.05), (PIXEL, None, 0.3)])
def test_the_linear_estimate_has_the_least_loss_and_it_is_one(
    text: str, tau: float | None, within: float, noise: Tensor, sigma: float
) -> None:
    judged, images = objective(text, sigma, noise), draw(100)

    def loss(answer: Callable[[Evidence], Tensor]) -> float:
        return float(judged.loss_at(Answer(answer), images, 0, tau, stream()).mean())

    best = loss(lambda e: e.linear)
    assert best == pytest.approx(1, rel=within)
    off = torch.randn(BOX, BOX, generator=torch.Generator().manual_seed(1))
    assert loss(lambda e: e.linear + 0.5 * e.error[:, None, None] * off) > best + 0.04
    if sigma > 0 or noise is NOISES or tau is not None:
        assert loss(lambda e: 0.8 * e.linear) > best


@pytest.mark.parametrize(
    ("noise", "sigma", "judged"), [(CLEAN_UNKNOWN, 0.0, False), (CLEAN_UNKNOWN, 0.5, True), (NOISES, 0.0, True)]
)
@pytest.mark.parametrize("text", [FOURIER, PIXEL])
def test_what_a_measurement_shows_without_noise_is_not_judged(
    text: str, noise: Tensor, sigma: float, judged: bool
) -> None:
    task, images = objective(text, sigma, noise), draw(3)
    seen = task.operators[0][0].project(torch.randn(3, BOX, BOX, generator=torch.Generator().manual_seed(1)), range(3))
    losses = [task.loss_at(answer, images, 0, None, stream()) for answer in (LINEAR, Answer(lambda e: e.linear + seen))]
    assert torch.allclose(*losses, rtol=1e-4) is not judged


@pytest.mark.parametrize("clean", [True, False])
def test_a_quarter_of_the_batches_are_images_and_less_than_half_measurements_alone(
    monkeypatch: pytest.MonkeyPatch, clean: bool
) -> None:
    task = objective(noise=NOISES if clean else CLEAN_UNKNOWN)
    kinds = Counter[str]()
    taus, numbers = [], []

    def of_image(self: object, network: nn.Module, images: Tensor, draws: BatchDraws) -> Tensor:
        kinds["image"] += 1
        return torch.zeros(len(images))

    def of_measurement(
        self: object, network: nn.Module, images: Tensor, number: int, tau: float | None, draws: BatchDraws
    ) -> Tensor:
        kinds["measurement" if tau is None else "both"] += 1
        taus.extend([] if tau is None else [tau])
        numbers.append(number)
        return torch.zeros(len(images))

    monkeypatch.setattr(SignalObjective, "loss", of_image)
    monkeypatch.setattr(OperatorObjective, "loss_at", of_measurement)
    draws, images = stream(), draw(1)
    for _ in range(2000):
        task.loss(LINEAR, images, draws)
    assert kinds["image"] == pytest.approx(500, abs=60)
    assert kinds["measurement"] == pytest.approx(900, abs=70)
    assert kinds["both"] == pytest.approx(600, abs=65)
    levels = torch.tensor(taus).log()
    assert float(levels.mean()) == pytest.approx(0, abs=0.15)
    assert float(levels.std()) == pytest.approx(1.3, rel=0.1)
    assert min(numbers) >= 0
    assert max(numbers) < operator_objective.POOL
    assert len(set(numbers)) > 0.9 * operator_objective.POOL


def test_a_batch_shows_what_its_kind_says() -> None:
    shown = []

    def answer(evidence: Evidence) -> Tensor:
        shown.append((evidence.seen is not None, bool(evidence.pivot.any())))
        return evidence.linear

    task, images = objective(), draw(2)
    task.base.loss(Answer(answer), images, stream())
    task.loss_at(Answer(answer), images, 0, None, stream())
    task.loss_at(Answer(answer), images, 0, 1.0, stream())
    assert shown == [(False, True), (True, False), (True, True)]


def test_the_noise_of_every_data_set_is_drawn() -> None:
    task = objective("identity", 0.0, torch.stack([NOISE, 100 * NOISE]))
    errors = []

    def answer(evidence: Evidence) -> Tensor:
        errors.extend(evidence.error.tolist())
        return evidence.linear

    task.loss_at(Answer(answer), draw(100), 0, None, stream())
    low, high = min(errors), max(errors)
    assert low < 0.8 * high
    assert 25 < sum(error > (low + high) / 2 for error in errors) < 75


def test_the_stream_decides_all() -> None:
    task = OperatorObjective(SignalObjective(SIGNAL, NOISES), OperatorPool(OperatorFamily(), BOX, 0))
    images = draw(2)

    def losses(seed: int) -> list[float]:
        draws = stream(seed)
        return torch.cat([task.loss(LINEAR, images, draws) for _ in range(4)]).tolist()

    first = losses(0)
    assert losses(0) == first
    assert losses(1) != first
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("noise", [NOISES, CLEAN_UNKNOWN], ids=["clean", "without clean"])
@pytest.mark.parametrize("text", [FOURIER, PIXEL])
def test_the_gradient_reaches_all_of_the_network(text: str, noise: Tensor) -> None:
    network = tiny()
    objective(text, 0.0, noise).loss_at(network, draw(2), 0, 1.0, stream()).mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name
    by_channel = network.unet.conv_in.weight.grad.abs().sum((0, 2, 3))  # four a plane: pivot, linear, seen
    assert bool((by_channel > 0).all())
    assert len(by_channel) == 12


def test_correlations_ask_operators_that_were_not_trained_on() -> None:
    task, images = objective("identity", 0.0, CLEAN_UNKNOWN), draw(20)
    means = task.correlations(LINEAR, images, torch.zeros(20, BOX, BOX // 2 + 1), stream())
    assert sorted(means) == ["16px measured", "16px tau=1", "16px tau=3"]
    assert means["16px measured"] == pytest.approx(1, abs=1e-4)
    assert isinstance(task.operators, One)
    assert task.operators.asked == [operator_objective.POOL, operator_objective.POOL + 1]
