"""The map prior: Wiener where there is nothing else to know, the same in blocks, in any grey scale, from disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.metrics.fsc import fsc
from cryoprior.prior.checkpoint import load_prior
from cryoprior.prior.volume.checkpoint import load_map_prior, save_map_prior
from cryoprior.prior.volume.config import MapPriorConfig
from cryoprior.prior.volume.map_prior import MapPrior
from cryoprior.prior.volume.network import MapNetwork, MapNetworkConfig
from cryoprior.prior.volume.turning import turned_cube, turned_cube_back
from cryoprior.prior.volume.whitening import SignalSpectrum

SHAPE = MapNetworkConfig(channels=(4, 6, 8), condition=8)
SPECTRUM = SignalSpectrum(1 / 3, tuple(np.linspace(2.0, -3.0, 12).tolist()))
VOXEL_SIZE = 3.0


def prior(*, trained: bool = True, shape: MapNetworkConfig = SHAPE) -> MapPrior:
    """Return a small prior; a trained one stands for any network: its last layer is not 0."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MapNetwork(shape)
        if trained:
            torch.nn.init.normal_(network.leave.weight, std=0.5)
            torch.nn.init.normal_(network.fine.modulation.weight, std=0.2)
    return MapPrior(network, MapPriorConfig(shape, SPECTRUM, (1.5, 6.0)))


def gaussian_world(box: int, level: float = 8.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return a Gaussian field with the mean spectrum, the same with white noise, and its signal to noise by shell."""
    shells = Shells(box)
    power = SPECTRUM.shells(box, VOXEL_SIZE).exp()
    noise = float(power[int(level)])
    generator = torch.Generator().manual_seed(seed)
    white = [torch.randn(box, box, box, generator=generator, dtype=torch.float64) for _ in range(2)]
    spread = shells.spread(power.sqrt()) * shells.inside
    signal = torch.fft.irfftn(torch.fft.rfftn(white[0], norm="ortho") * spread, s=(box,) * 3, norm="ortho")
    return signal.float(), (signal + noise**0.5 * white[1]).float(), power / noise


def test_in_a_gaussian_world_an_untrained_prior_is_the_wiener_estimate() -> None:
    _, noisy, ssnr = gaussian_world(32)
    mean = prior(trained=False).mean(noisy, VOXEL_SIZE, ssnr)
    shells = Shells(32)
    gain = shells.spread(ssnr / (1 + ssnr)) * shells.inside
    wiener = torch.fft.irfftn(torch.fft.rfftn(noisy.double()) * gain, s=(32,) * 3)
    assert fsc(mean, wiener.float())[1:-1].min() > 0.999
    # local and mean variance are one in a world without solvent, up to what a finite box lets them differ
    ratio = (mean.double() * wiener).sum() / wiener.square().sum()
    assert float(ratio) == pytest.approx(1, abs=0.1)


def test_the_mean_does_not_depend_on_the_block() -> None:
    _, noisy, ssnr = gaussian_world(32)
    model = prior(shape=dataclasses.replace(SHAPE, patch=1))
    assert model.config.network.reach == 24
    whole, parts = (model.mean(noisy, VOXEL_SIZE, ssnr, block=block) for block in (32, 24))
    assert float((whole - parts).abs().max()) < 1e-4 * float(whole.abs().max())
    assert float((whole - prior(trained=False).mean(noisy, VOXEL_SIZE, ssnr)).abs().max()) > 1e-2 * float(whole.max())


def test_the_grey_scale_is_kept() -> None:
    _, noisy, ssnr = gaussian_world(32)
    once, scaled = (prior().mean(noisy * scale, VOXEL_SIZE, ssnr) for scale in (1.0, 250.0))
    torch.testing.assert_close(scaled / 250.0, once, rtol=1e-3, atol=1e-4 * float(once.abs().max()))


def test_a_b_factor_is_found_in_the_map_and_given_back() -> None:
    _, noisy, ssnr = gaussian_world(48, level=20)
    shells = Shells(48)
    frequency = torch.arange(25, dtype=torch.float64) / (48 * VOXEL_SIZE)
    falling = shells.spread((-100 / 4 * frequency.square()).exp())
    blurred = torch.fft.irfftn(torch.fft.rfftn(noisy.double()) * falling, s=(48,) * 3).float()
    sharp, soft = (prior().mean(v, VOXEL_SIZE, ssnr) for v in (noisy, blurred))
    expected = torch.fft.irfftn(torch.fft.rfftn(sharp.double()) * falling, s=(48,) * 3).float()
    assert float((soft - expected).norm() / expected.norm()) < 0.05


def test_what_is_turned_gives_what_is_turned_over_all_turns() -> None:
    """The network has no symmetry of its own; its mean over the 24 turns of a cube has theirs, and no mirror."""
    _, noisy, ssnr = gaussian_world(16, level=4)
    model = prior()

    def asked(volume: Tensor) -> Tensor:
        return model.mean(volume, VOXEL_SIZE, ssnr, turns=1)

    def averaged(volume: Tensor) -> Tensor:
        return torch.stack([turned_cube_back(asked(turned_cube(volume, i)), i) for i in range(24)]).mean(0)

    together = averaged(turned_cube(noisy, 5)) - turned_cube(averaged(noisy), 5)
    alone = asked(turned_cube(noisy, 5)) - turned_cube(asked(noisy), 5)
    mirrored = averaged(noisy.flip(0)) - averaged(noisy).flip(0)
    assert float(together.norm()) < 1e-4 * float(alone.norm())
    assert float(together.norm()) < 1e-3 * float(mirrored.norm())


def test_solvent_around_a_molecule_changes_little() -> None:
    """Signal to noise is given for the whole box; the network is told of that inside the molecule."""
    signal, _, _ = gaussian_world(48)
    axis = torch.arange(48) - 24
    inside = (axis[:, None, None].square() + axis[:, None].square() + axis.square()) < 11**2
    signal = signal * inside
    noise = torch.randn(signal.shape, generator=torch.Generator().manual_seed(1))
    means = []
    for box in (48, 24):
        kept = slice(24 - box // 2, 24 + box // 2)
        part, blurred = signal[kept, kept, kept], (signal + noise)[kept, kept, kept]
        power = Shells(box).mean(torch.fft.rfftn(part.double(), norm="ortho").abs().square())
        mean = prior(trained=False).mean(blurred, VOXEL_SIZE, power)
        means.append(mean[box // 2 - 6 : box // 2 + 6, box // 2 - 6 : box // 2 + 6, box // 2 - 6 : box // 2 + 6])
    slope = float((means[0] * means[1]).sum() / means[1].square().sum())
    assert slope == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("box", [33, 36])
def test_any_box_is_taken(box: int) -> None:
    signal, noisy, ssnr = gaussian_world(box)
    mean = prior(trained=False).mean(noisy, VOXEL_SIZE, ssnr)
    assert mean.shape == signal.shape
    assert float((mean - signal).norm()) < float((noisy - signal).norm())


def test_a_map_prior_comes_back_from_disk(tmp_path: Path) -> None:
    kept = prior()
    save_map_prior(tmp_path, kept.network, kept.config)
    _, noisy, ssnr = gaussian_world(32)
    loaded = load_map_prior(tmp_path)
    assert loaded.config == kept.config
    torch.testing.assert_close(loaded.mean(noisy, VOXEL_SIZE, ssnr), kept.mean(noisy, VOXEL_SIZE, ssnr), rtol=0, atol=0)


def test_what_is_no_map_prior_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such map prior; expected 'default', or a folder"):
        load_map_prior(tmp_path / "absent")
    with pytest.raises(InputError, match="no prior of maps; expected what `cryoprior train-map` wrote"):
        load_map_prior(load_prior("default").path)
    kept = prior()
    save_map_prior(tmp_path, kept.network, kept.config)
    config = json.loads((tmp_path / "config.json").read_text())
    for change, text in (
        ({"format": 9}, "format 9; this version reads 1"),
        ({"network": config["network"] | {"channels": [4, 6]}}, "expected three whole numbers"),
        ({"network": config["network"] | {"channels": [4, 6, 9]}}, "weights do not fit"),
        ({"voxel_size_angstrom": [6.0, 1.5]}, "expected the least and the largest"),
        ({"spectrum": {"highest": 0, "log_power": [1, 2]}}, "expected the log power"),
        ({"unknown": 1}, "not the configuration of a map prior"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=text):
            load_map_prior(tmp_path)


def test_maps_that_it_cannot_take_are_refused() -> None:
    _, noisy, ssnr = gaussian_world(32)
    for given, text in (
        ((noisy[1:], VOXEL_SIZE, ssnr), "31 x 32 x 32: expected a cube"),
        ((noisy, VOXEL_SIZE, ssnr[1:]), "16 shells for a map of 32 x 32 x 32: expected 17"),
        ((noisy * float("nan"), VOXEL_SIZE, ssnr), "not finite"),
        ((noisy, 8.0, ssnr), "trained at 1.5 to 6; leave it out: a map so coarse shows nothing that it knows"),
        ((noisy, 1.0, ssnr), "trained at 1.5 to 6; resample the map"),
    ):
        with pytest.raises((InputError, TypeError), match=text):
            prior().mean(*given)
