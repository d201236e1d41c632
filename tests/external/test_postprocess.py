"""The curves of fsc_curves against those of relion_postprocess on the same half maps and mask."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import read_map, read_star, write_map
from cryoprior.metrics.fsc import FscCurves, fsc_curves, resolution

pytestmark = pytest.mark.external

COLUMNS = {
    "unmasked": "rlnFourierShellCorrelationUnmaskedMaps",
    "masked": "rlnFourierShellCorrelationMaskedMaps",
    "randomised": "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps",
    "corrected": "rlnFourierShellCorrelationCorrected",
}


def half_maps(folder: Path, d: int, voxel_size: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return two half maps of a ball of structure with independent noise and a mask, as they were written."""
    rng = np.random.default_rng(d)
    k = np.fft.fftfreq(d, 1 / d)
    r2 = k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2
    signal = np.fft.ifftn(np.fft.fftn(rng.normal(size=(d, d, d))) * np.exp(-r2 / (2 * (d / 8) ** 2))).real
    signal = (signal / signal.std() + 1) * sphere_mask(d, 0.29 * d, 1.0).numpy()
    volumes = {
        "half1": signal + 0.7 * rng.normal(size=(d, d, d)),
        "half2": signal + 0.7 * rng.normal(size=(d, d, d)),
        "mask": sphere_mask(d, 0.33 * d, 4.0).numpy(),
    }
    for name, volume in volumes.items():
        write_map(folder / f"{name}.mrc", volume, voxel_size)
    half_1, half_2, mask = (torch.from_numpy(read_map(folder / f"{name}.mrc")[0]) for name in volumes)
    return half_1, half_2, mask


@pytest.mark.parametrize(("d", "voxel_size"), [(48, 2.5), (64, 1.3)])
def test_curves_and_resolution_are_those_of_relion(tmp_path: Path, d: int, voxel_size: float) -> None:
    if shutil.which("relion_postprocess") is None:
        pytest.skip("relion_postprocess is not installed")
    half_1, half_2, mask = half_maps(tmp_path, d, voxel_size)
    (tmp_path / "post").mkdir()
    command = f"relion_postprocess --i half1.mrc --i2 half2.mrc --mask mask.mrc --o post/run --angpix {voxel_size}"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    star = read_star(tmp_path / "post" / "run.star")
    ours: FscCurves = fsc_curves(half_1, half_2, mask)

    edge = d * voxel_size
    theirs = float(star["general"]["rlnFinalResolution"].iloc[0])
    found = resolution(ours.corrected, d, voxel_size, 0.143)
    assert not found.nyquist_limited
    assert edge / found.angstrom == pytest.approx(edge / theirs, abs=1.0)  # theirs is the last shell above 0.143
    assert ours.randomised_from is not None
    assert edge / float(star["general"]["rlnRandomiseFrom"].iloc[0]) == pytest.approx(ours.randomised_from, abs=0.1)

    curves = {name: star["fsc"][column].to_numpy(float) for name, column in COLUMNS.items()}
    np.testing.assert_allclose(ours.unmasked, curves["unmasked"], atol=0.02)
    np.testing.assert_allclose(ours.masked, curves["masked"], atol=0.02)
    far = slice(ours.randomised_from + 2, None)  # the step of the phases is drawn at random
    np.testing.assert_allclose(ours.randomised[far], curves["randomised"][far], atol=0.1)
    np.testing.assert_allclose(ours.corrected, curves["corrected"], atol=0.1)
