"""The paper's sampler asks a DDPM in the grey scale and at the time steps of its training, with the paper's steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cryoprior.image.spectrum import shell_index
from cryoprior.operators import parse_operator
from cryoprior.prior.adapters import DdpmDenoiser
from cryoprior.prior.checkpoint import Prior
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.denoiser import MeteredDenoiser
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.signal import Spectra
from cryoprior.random import ParticleNoise
from cryoprior.solvers import Nesterov

BOX, SCALE, OFFSET = 16, 0.23, -0.4
TEXT = "pixel:block=4,masks=8,rows=hadamard"


class Recorded(torch.nn.Module):
    """A network that keeps what it is asked, and says that all of it is noise."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.images: list[Tensor] = []

    def forward(self, x: Tensor, time: Tensor) -> Any:
        self.times += time.tolist()
        self.images.append(x[:, 0])
        return SimpleNamespace(sample=x)


def ddpm(network: Recorded) -> DdpmDenoiser:
    shells = int(shell_index(BOX).max()) + 1
    return DdpmDenoiser(network, {BOX: Spectra((1.0,) * shells, (0.0,) * shells)}, scale=SCALE, offset=OFFSET)


def solve(solver: Nesterov, prior: Any, text: str = TEXT) -> Tensor:
    operator = parse_operator(text, box=BOX, seed=1)
    y = operator.forward(torch.linspace(-1, 1, BOX**2).reshape(1, BOX, BOX), [0])
    return solver.solve(y, operator, prior, 0.0, ParticleNoise(0, "test", [0])).x


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_ddpm_is_asked_at_the_steps_of_its_training(wrapped: bool) -> None:
    # Seen to fail: in units of four standard deviations this network was asked at 985 first.
    network = Recorded()
    prior: Any = ddpm(network)
    if wrapped:
        config = PriorConfig("ddpm", (8,), 1, {}, {}, (1.0, 1.0))
        prior = MeteredDenoiser(Prior(prior, config, Path("p")))
    solve(Nesterov(steps=1000), prior)
    assert network.times == pytest.approx(list(range(999, -1, -1)), abs=0.02)


def test_the_chain_runs_in_the_scale_of_the_network() -> None:
    network = Recorded()
    x = solve(Nesterov(steps=20, zeta_min=0.0, zeta_max=0.0), ddpm(network))
    start = ParticleNoise(0, "test", [0]).normal_like(torch.empty(1, BOX, BOX))
    torch.testing.assert_close(network.images[0], start, rtol=1e-4, atol=1e-4)
    assert all(float(image.abs().max()) <= 1 + 1e-4 for image in network.images[1:])
    assert float((SCALE * x + OFFSET).abs().max()) <= 1 + 1e-5


def test_the_data_mean_the_same_in_any_scale() -> None:
    # The gradient at the true image is 0 in the network's scale, so that a plain step leaves it where it is.
    operator = parse_operator(TEXT, box=BOX, seed=1)
    image = torch.linspace(-0.9, 0.9, BOX**2).reshape(1, BOX, BOX)  # in the network's scale

    class Knowing(Recorded):
        def forward(self, x: Tensor, time: Tensor) -> Any:
            abar = 1 / (1 + levels[time.round().long()] ** 2)
            return SimpleNamespace(sample=(x - abar.sqrt().float() * image) / (1 - abar).sqrt().float())

    prior = ddpm(Knowing())
    levels = prior.levels
    y = operator.forward((image - OFFSET) / SCALE, [0])
    solver = Nesterov(steps=200, gradient="lipschitz", zeta_max=0.5)
    found = solver.solve(y, operator, prior, 0.0, ParticleNoise(0, "test", [0])).x
    torch.testing.assert_close(SCALE * found + OFFSET, image, rtol=0, atol=2e-3)


def test_other_priors_keep_the_unit_of_four_deviations() -> None:
    prior = GaussianPrior(torch.ones(BOX, BOX // 2 + 1))
    torch.testing.assert_close(solve(Nesterov(steps=9), prior), solve(Nesterov(steps=9, unit=4.0), prior))
    assert float(solve(Nesterov(steps=9), prior).abs().max()) <= 4.0


@pytest.mark.parametrize(
    ("text", "box", "zeta"),
    [
        ("pixel:block=32,masks=4", 64, 10.0),
        ("pixel:block=16,masks=4", 64, 1.0),
        ("fourier:compression=2", 64, 1.0),
    ],
)
def test_zeta_reaches_ten_for_blocks_of_32(text: str, box: int, zeta: float) -> None:
    operator = parse_operator(text, box=box)
    prior = GaussianPrior(torch.ones(box, box // 2 + 1))
    y = operator.forward(torch.linspace(-1, 1, box**2).reshape(1, box, box), [0])

    def solved(solver: Nesterov) -> Tensor:
        return solver.solve(y, operator, prior, 0.0, ParticleNoise(0, "test", [0])).x

    by_itself = Nesterov(steps=4, clamp=None)
    torch.testing.assert_close(solved(by_itself), solved(replace(by_itself, zeta_max=zeta)), rtol=0, atol=0)
    assert not torch.allclose(solved(by_itself), solved(replace(by_itself, zeta_max=11.0 - zeta)))
