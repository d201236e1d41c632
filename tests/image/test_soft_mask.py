"""Masks about known bodies, with and without noise, and what cannot be masked."""

from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.soft_mask import soft_mask, sphere_mask
from cryoprior.image.volume_filters import crop_volume_transform, lowpass_volume

D, VOXEL = 48, 3.0


def noise(seed: int = 0) -> torch.Tensor:
    return torch.randn(D, D, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def radius(offset: tuple[float, float, float] = (0, 0, 0)) -> torch.Tensor:
    axes = [(torch.arange(D, dtype=torch.float64) - D // 2 - o).square() for o in offset]
    return (axes[0][:, None, None] + axes[1][None, :, None] + axes[2]).sqrt()


def test_a_sphere_has_its_radius_and_its_edge() -> None:
    mask = sphere_mask(D, 10.0, 4.0)
    r = radius()
    assert torch.equal(mask == 1, r <= 10)
    assert torch.equal(mask == 0, r >= 14)
    assert float(mask[D // 2, D // 2, D // 2 + 12]) == pytest.approx(0.5)
    assert torch.equal(sphere_mask(D, 10.0, 0.0), (r <= 10).double())


@pytest.mark.parametrize("deviation", [0.0, 1.0, 3.0])
def test_a_ball_is_covered_however_noisy(deviation: float) -> None:
    ball = (radius((4, -3, 0)) <= 9).double()
    mask = soft_mask(ball + deviation * noise(), VOXEL)
    assert float(mask[ball > 0].mean()) > 0.99
    assert float(mask[ball > 0].min()) > 0.7
    assert float(mask[radius((4, -3, 0)) > 9 + 3 + 6 + 3].max()) < 1e-6  # extension, edge and the low-pass
    assert float(mask.min()) == 0
    assert float(mask.max()) == 1


def test_grey_scale_and_offset_do_not_matter() -> None:
    body = (radius() <= 9).double() + noise()
    assert torch.equal(soft_mask(body, VOXEL), soft_mask(100 * body + 7, VOXEL))
    assert soft_mask(body.float(), VOXEL).dtype == torch.float32


def test_extension_and_edge_are_as_asked() -> None:
    ball = (radius() <= 9).double()
    narrow, wide = (soft_mask(ball, VOXEL, extend_voxel=e, edge_voxel=4.0) for e in (0.0, 4.0))
    outline = [int((mask[D // 2, D // 2] > 0.999).sum()) for mask in (narrow, wide)]
    assert outline[1] - outline[0] == 8
    assert int((narrow[D // 2, D // 2] > 0).sum()) - outline[0] == 6  # 3 voxels a side; the fourth is 0


def test_holes_are_filled_large_parts_kept_and_specks_left_out() -> None:
    hollow = ((radius() <= 12) & (radius() > 6)).double()
    assert float(soft_mask(hollow, VOXEL)[radius() <= 12].min()) > 0.99
    parts = ((radius((0, 0, -12)) <= 6) | (radius((0, 0, 10)) <= 5) | (radius((0, 18, 0)) <= 1.5)).double()
    mask = soft_mask(parts, VOXEL, lowpass_angstrom=9.0, extend_voxel=1.0, edge_voxel=2.0)
    assert float(mask[D // 2, D // 2, D // 2 - 12]) == float(mask[D // 2, D // 2, D // 2 + 10]) == 1
    assert float(mask[D // 2, D // 2 + 18, D // 2]) == 0


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_and_inverted_contrast_have_no_mask(seed: int) -> None:
    for nothing in (noise(seed), 0.3 * noise(seed) - (radius() <= 9).double(), torch.ones(D, D, D)):
        with pytest.raises(InputError, match="nothing stands out of the solvent"):
            soft_mask(nothing.double(), VOXEL)


def test_a_mask_of_the_whole_box() -> None:
    with pytest.raises(InputError, match="no voxel is left out"):
        soft_mask((radius() <= 18).double(), VOXEL, extend_voxel=20.0, edge_voxel=20.0)


def test_lowpass_keeps_what_is_coarser_and_takes_what_is_finer() -> None:
    z = torch.arange(D, dtype=torch.float64)
    for period, kept in ((24.0, 1.0), (12.0, 0.5), (6.0, 0.0)):
        wave = torch.cos(2 * torch.pi * z * VOXEL / period)[:, None, None].expand(D, D, D).contiguous()
        torch.testing.assert_close(lowpass_volume(wave, VOXEL, 12.0), kept * wave, atol=1e-10, rtol=0)


@pytest.mark.parametrize("d", [48, 45])
def test_a_smaller_box_keeps_the_centre_and_the_grey_values(d: int) -> None:
    axis = (torch.arange(d, dtype=torch.float64) - d // 2).square()
    blob = torch.exp(-(axis[:, None, None] + axis[None, :, None] + axis) / (2 * (d / 12) ** 2))
    axis = (torch.arange(24, dtype=torch.float64) - 12).square()
    expected = torch.exp(-(axis[:, None, None] + axis[None, :, None] + axis) / (2 * 2.0**2))
    torch.testing.assert_close(crop_volume_transform(blob, 24), expected, atol=1e-5, rtol=0)
