"""What a map prior is trained on: turned and never mirrored; in a Gaussian world the Wiener estimate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.prior.volume.evidence import KNOTS, asked_share, map_evidence, on_grid
from cryoprior.prior.volume.network import MapNetwork, MapNetworkConfig
from cryoprior.prior.volume.whitening import SignalSpectrum
from cryoprior.random import numpy_stream
from cryoprior.training.maps.loop import MapTraining, MapTrainingChoices
from cryoprior.training.maps.molecules import clean_map
from cryoprior.training.maps.noise import draw_snr
from cryoprior.training.maps.patches import Batch, judged

SPECTRUM = SignalSpectrum(1 / 3, tuple(np.linspace(2.0, -3.0, 12).tolist()))


def test_noise_is_equal_to_the_signal_inside_nyquist_or_beyond() -> None:
    curves = [draw_snr(3.0, SPECTRUM, numpy_stream(0, "test", i)) for i in range(20)]
    assert all(curve.shape == (KNOTS,) and float(curve.min()) > 0 for curve in curves)
    assert any(float(c[-1]) > 1 for c in curves)
    assert any(float(c[KNOTS // 2]) < 1 for c in curves)


def test_a_molecule_is_whitened_and_has_unit_variance_inside(shared_data: Path) -> None:
    path = shared_data / "structures" / "many" / "2nr9.pdb.gz"
    first, again = (clean_map(path, 0, 0, (2.0, 3.0), SPECTRUM) for _ in range(2))
    assert np.array_equal(first.volume, again.volume)
    assert not np.array_equal(first.volume, clean_map(path, 1, 0, (2.0, 3.0), SPECTRUM).volume)
    assert 2.0 <= first.voxel_size <= 3.0
    energy = np.sort(np.square(first.volume.astype(np.float64)).ravel())[::-1]
    assert 0.2 < energy[: len(energy) // 50].mean() < 20


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pdb: no such file; expected an atomic model"):
        clean_map(tmp_path / "absent.pdb", 0, 0, (2.0, 3.0), SPECTRUM)


class GaussianPatches:
    """A world in which there is nothing to know but power: white signal of variance 1 under white noise."""

    def batch(self, count: int, patch: int, generator: np.random.Generator) -> Batch:
        """Return patches of it."""
        white = [
            torch.from_numpy(generator.standard_normal((count,) + (patch,) * 3, dtype=np.float32)) for _ in range(2)
        ]
        snr = torch.from_numpy(np.exp(generator.uniform(-1, 2, (count, 1))).astype(np.float32)).repeat(1, KNOTS)
        clean, noise = (torch.fft.rfftn(w, norm="ortho", dim=(-3, -2, -1)) for w in white)
        evidence = map_evidence(clean + noise * on_grid(snr.rsqrt(), patch), snr, torch.full((count,), 3.0), patch)
        target = clean * on_grid(asked_share(snr), patch)
        return Batch(evidence, torch.fft.irfftn(target, s=(patch,) * 3, norm="ortho", dim=(-3, -2, -1)))


def test_in_a_gaussian_world_training_stays_at_the_wiener_estimate() -> None:
    """Its expected error is 1 in its own units, and no network can do better."""
    torch.manual_seed(0)
    network = MapNetwork(MapNetworkConfig(channels=(8, 8, 8), condition=8))
    training = MapTraining(network, GaussianPatches(), None, MapTrainingChoices(steps=40, batch=2, patch=16, warmup=5))
    lines = []
    for _ in training.run(40, lines.append):
        pass
    (line,) = lines
    assert line.correlation["wiener"] == pytest.approx(1, abs=0.03)
    assert line.validation_loss == pytest.approx(line.correlation["wiener"], rel=0.03)


def test_faces_are_not_judged() -> None:
    error = torch.zeros(1, 16, 16, 16)
    error[0, 0], error[0, :, -1] = 9.0, 9.0
    assert float(judged(error)) == 0
    error[0, 8, 8, 8] = 8.0
    assert float(judged(error)) == pytest.approx(64 / 8**3)
