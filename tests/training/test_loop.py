"""One optimiser step is the one of the preset: the mean gradient of all parts, clipped, AdamW, the average of weights.

Every line is held against the same step written out by hand, since a loop without clipping, decay, averaging or
accumulation trains too, only worse.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cryoprior.training.draws import BatchDraws
from cryoprior.training.inputs import training_data
from cryoprior.training.loop import Training
from cryoprior.training.objectives import DdpmObjective
from cryoprior.training.setup import TrainingChoices, TrainingSetup, prepare

BOX, STEPS = 16, 12


class Linear(nn.Module):
    """Two weights: a network small enough to follow."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.7, -0.3]))


class Errors:
    """A loss of these weights whose gradient is known and depends on the images."""

    def loss(self, network: Any, images: Tensor, draws: BatchDraws) -> Tensor:
        scale = images.square().mean((-2, -1))
        return scale * (3 * network.weights[0] ** 2 + 100 * network.weights[1])

    def correlations(self, network: Any, images: Tensor, noise: Tensor, draws: BatchDraws) -> dict[str, float]:
        return {}


def setup(**preset: Any) -> TrainingSetup:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, BOX, BOX)).astype(np.float32) * rng.uniform(0.5, 2, (40, 1, 1)).astype(np.float32)
    choices = TrainingChoices(steps=STEPS, batch=4, device="cpu", width=0.25)
    made = prepare(training_data(images, 4.0, None, None, 0.0, None), choices)
    changed = {"learning_rate": 0.05, "warmup": 3, "weight_decay": 0.3, "ema_decay": 0.8, "accumulation": 3} | preset
    return dataclasses.replace(
        made,
        network=Linear(),
        objectives=[Errors()],
        preset=dataclasses.replace(made.preset, **changed),
    )


def by_hand(made: TrainingSetup, steps: int) -> tuple[Tensor, Tensor]:
    """Return the weights after so many steps, and their average."""
    preset, (group,), (objective,) = made.preset, made.groups, made.objectives
    network = copy.deepcopy(made.network)
    weights = network.weights
    average, first, second = weights.detach().clone(), torch.zeros(2), torch.zeros(2)
    for step in range(steps):
        gradient = torch.zeros(2)
        for part in range(preset.accumulation):
            batch = step * preset.accumulation + part
            draws = BatchDraws(made.seed, f"train/{BOX}", batch)
            images = group.augmented(batch * preset.batch, preset.batch, draws)
            loss = objective.loss(network, images, draws).mean()
            gradient += torch.autograd.grad(loss, weights)[0] / preset.accumulation
        gradient *= min(1.0, preset.clip / float(gradient.norm()))
        rate = preset.learning_rate * (
            (step + 1) / preset.warmup
            if step < preset.warmup
            else (1 + math.cos(math.pi * (step - preset.warmup) / (STEPS - preset.warmup))) / 2
        )
        (b1, b2), t = preset.betas, step + 1
        first, second = b1 * first + (1 - b1) * gradient, b2 * second + (1 - b2) * gradient**2
        with torch.no_grad():
            weights *= 1 - rate * preset.weight_decay
            weights -= rate * (first / (1 - b1**t)) / ((second / (1 - b2**t)).sqrt() + 1e-8)
        decay = min(preset.ema_decay, 1 - t**-preset.ema_power) if t > 1 else 0.0
        average = decay * average + (1 - decay) * weights.detach()
    return weights.detach(), average


@pytest.mark.parametrize("clip", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("accumulation", [1, 3])
def test_steps_are_those_of_the_preset(clip: float, accumulation: int) -> None:
    made = setup(clip=clip, accumulation=accumulation)
    training = Training(made)
    expected = [by_hand(made, steps) for steps in range(1, STEPS + 1)]
    for place, _ in enumerate(training.run(STEPS + 1, lambda _: None)):
        found = training.bare_network.weights.detach()
        torch.testing.assert_close(found, expected[place][0], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(training.ema.shadow_params[0], expected[place][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("clip", [0.5, 100.0, 1e9])
def test_what_is_stepped_along_is_the_mean_gradient_no_longer_than_the_clip(
    monkeypatch: pytest.MonkeyPatch, clip: float
) -> None:
    # AdamW hides a factor on all gradients, so that the weights alone do not tell.
    made = setup(clip=clip, accumulation=2)
    training = Training(made)
    steps: list[tuple[Tensor, Tensor]] = []
    step = training.optimizer.step

    def stepped(*args: Any) -> Any:
        weights = training.bare_network.weights
        steps.append((weights.detach().clone(), weights.grad.clone()))
        return step(*args)

    monkeypatch.setattr(training.optimizer, "step", stepped)
    list(training.run(STEPS + 1, lambda _: None))
    lengths = []
    for place, (weights, gradient) in enumerate(steps):
        network = Linear()
        network.weights.data = weights
        batches = [BatchDraws(made.seed, f"train/{BOX}", 2 * place + part) for part in (0, 1)]
        parts = [made.groups[0].augmented((2 * place + part) * 4, 4, draws) for part, draws in enumerate(batches)]
        loss = sum(Errors().loss(network, images, draws).mean() for images, draws in zip(parts, batches, strict=True))
        (whole,) = torch.autograd.grad(loss / 2, network.weights)
        lengths.append(float(whole.norm()))
        torch.testing.assert_close(gradient, whole * min(1.0, clip / lengths[-1]), rtol=1e-4, atol=1e-5)
    if clip == 100.0:
        assert min(lengths) < clip < max(lengths)


def test_what_is_reported_is_the_mean_loss_of_all_parts() -> None:
    made = setup(accumulation=2, learning_rate=1e-12)
    lines = []
    list(Training(made).run(2, lines.append))
    losses = []
    for batch in range(4):
        images = made.groups[0].augmented(batch * 4, 4, BatchDraws(made.seed, f"train/{BOX}", batch))
        losses.append(float(Errors().loss(Linear(), images, BatchDraws(0, "a", 0)).mean().detach()))
    assert lines[0].train_loss == pytest.approx(np.mean(losses), rel=1e-5)


def test_validation_is_of_the_average_and_leaves_the_weights() -> None:
    made = setup()
    training = Training(made)
    list(training.run(STEPS + 1, lambda _: None))
    weights = training.bare_network.weights.detach().clone()
    found = training.validate(0.0).validation_loss
    torch.testing.assert_close(training.bare_network.weights.detach(), weights, rtol=0, atol=0)
    network = Linear()
    network.weights.data = training.ema.shadow_params[0].clone()
    images, _ = made.groups[0].validation(made.preset.validation_images)
    loss = Errors().loss(network, images, BatchDraws(0, "a", 0)).mean()
    assert found == pytest.approx(float(loss.detach()), rel=1e-5)
    assert not torch.allclose(network.weights.data, weights, rtol=1e-3)


def test_processes_share_one_batch() -> None:
    whole = Training(setup(batch=8, accumulation=2))
    for micro in range(2):
        _, images, _ = whole._batch(micro)
        parts = []
        for rank in range(2):
            part = Training(setup(batch=4, accumulation=2))
            part.accelerator = SimpleNamespace(process_index=rank, num_processes=2, device=torch.device("cpu"))
            parts.append(part._batch(micro)[1])
            assert part.images == 8
        torch.testing.assert_close(torch.cat(parts), images, rtol=0, atol=0)
        assert not torch.equal(*parts)


def test_what_is_learned_is_clean_where_that_is_known() -> None:
    images = np.random.default_rng(0).normal(size=(2, 30, BOX, BOX)).astype(np.float32)
    noisy, clean = 5 + 2 * (images[0] + images[1]), 5 + 2 * images[0]
    choices = TrainingChoices(steps=1, device="cpu", width=0.25)
    made = prepare(training_data(noisy, 4.0, clean, None, 0.0, None), choices)
    (stack,) = made.stacks
    found = stack.targets(np.array([3, 7]))
    torch.testing.assert_close(found, (torch.from_numpy(clean[[3, 7]]) - stack.offset) / stack.scale)
    assert float(found.std()) < 0.8  # of what varies by 1 with its noise


class Asked(nn.Module):
    """Keeps the time steps that it is asked at."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[int] = []

    def forward(self, x: Tensor, time: Tensor) -> Any:
        self.times += time.tolist()
        return SimpleNamespace(sample=torch.zeros_like(x))


def test_a_ddpm_learns_all_thousand_levels_alike() -> None:
    network, images = Asked(), torch.zeros(64, 4, 4)
    for batch in range(40):
        DdpmObjective(1.0, 0.0).loss(network, images, BatchDraws(0, "times", batch))
    counts = np.bincount(np.array(network.times) // 100, minlength=10)
    assert len(counts) == 10
    assert counts.sum() == 2560
    assert counts.min() > 200
    assert max(network.times) >= 995
    assert min(network.times) <= 4
