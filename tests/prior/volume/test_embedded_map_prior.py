"""The embedded map prior: small enough to ship, and of use on a family that it never saw."""

from __future__ import annotations

from pathlib import Path

import torch

from cryoprior.image.shells import Shells
from cryoprior.metrics.fsc import fsc
from cryoprior.prior.volume.checkpoint import load_map_prior, map_prior_folder
from cryoprior.simulation.states import read_states

VOXEL_SIZE = 3.0


def test_the_embedded_prior_is_small_and_gains_on_a_family_that_it_never_saw(shared_data: Path) -> None:
    folder = map_prior_folder("default")
    assert (folder / "model.safetensors").stat().st_size <= 6_000_000
    loaded = load_map_prior("default")
    path = shared_data / "structures" / "many" / "2por.pdb.gz"
    assert path.name not in loaded.config.trained_on
    truth = torch.from_numpy(read_states(path, 40, VOXEL_SIZE, (), (), 60.0)[0].volume)
    signal = Shells(40).mean(torch.fft.rfftn(truth.double(), norm="ortho").abs().square())
    inside = (truth > 0.1 * truth.max()).float()
    noise = float(signal[12]) / float(inside.mean())
    noisy = truth + noise**0.5 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    mean = loaded.mean(noisy, VOXEL_SIZE, signal / noise)
    free, with_prior = (fsc(v * inside, truth * inside)[10:18] for v in (noisy, mean))
    worth = (with_prior.square() / (1 - with_prior.square())) / (free.square() / (1 - free.square()))
    assert float(worth.log().mean().exp()) > 1.2
