"""Local resolution: two halves of a box of known, different resolution, and what a map's ends give."""

from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.metrics.local_resolution import local_resolution

D, VOXEL = 48, 2.0


def noise(seed: int) -> torch.Tensor:
    return torch.randn(D, D, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def up_to(shell: float, seed: int) -> torch.Tensor:
    """White noise of deviation 1 up to a shell, nothing beyond."""
    k = torch.fft.fftfreq(D, 1 / D, dtype=torch.float64)
    radius = (k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2).sqrt()
    return torch.fft.ifftn(torch.fft.fftn(noise(seed)) * (radius <= shell)).real


def test_each_side_has_its_own_resolution() -> None:
    left = (torch.arange(D) < D // 2).double()
    signal = up_to(6, 0) * left + up_to(16, 0) * (1 - left)
    halves = [signal + 0.25 * noise(i) for i in (1, 2)]
    found = local_resolution(*halves, VOXEL, window_voxel=4.0) / (D * VOXEL)
    shell = 1 / found[..., D // 4], 1 / found[..., 3 * D // 4]
    assert float(shell[0].median()) == pytest.approx(6, abs=1.2)
    assert float(shell[1].median()) == pytest.approx(16, abs=1.2)


def test_a_map_and_itself_are_nyquist_everywhere_and_its_negative_the_first_band() -> None:
    a = noise(0).float()
    found = local_resolution(a, a, VOXEL)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.full_like(found, 2 * VOXEL))
    torch.testing.assert_close(local_resolution(a, -a, VOXEL), torch.full_like(found, D * VOXEL))


def test_the_correlation_of_signal_and_noise_of_one_power_crosses_a_half_from_above() -> None:
    signal = up_to(D, 0)
    better = local_resolution(signal + 0.5 * noise(1), signal + 0.5 * noise(2), VOXEL, window_voxel=8.0)  # 0.8
    worse = local_resolution(signal + 2.0 * noise(1), signal + 2.0 * noise(2), VOXEL, window_voxel=8.0)  # 0.2
    assert float(better.median()) == pytest.approx(2 * VOXEL)
    assert float(worse.median()) > D * VOXEL / 6


def test_grey_scale_and_a_shift_of_both_do_not_matter() -> None:
    a, b = up_to(8, 0) + 0.3 * noise(1), up_to(8, 0) + 0.3 * noise(2)
    first = local_resolution(a, b, VOXEL)
    torch.testing.assert_close(local_resolution(5 * a, 0.1 * b, VOXEL), first)
    rolled = local_resolution(a.roll((3, -5, 7), (0, 1, 2)), b.roll((3, -5, 7), (0, 1, 2)), VOXEL)
    torch.testing.assert_close(rolled, first.roll((3, -5, 7), (0, 1, 2)))


def test_a_window_too_narrow() -> None:
    with pytest.raises(InputError, match="window of 1 voxels: expected at least 3"):
        local_resolution(noise(0), noise(1), VOXEL, window_voxel=1.0)
