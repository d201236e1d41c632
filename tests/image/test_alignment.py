"""Alignment: a map turned and moved by known amounts, in closed form, is brought back, by the stated convention."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.image.alignment import Alignment, align, transform_volume, uniform_rotations

FEW = 1500
BLOBS = np.array([[0.0, 0, 0], [9, 1, 0], [-2, 7, 1], [1, -3, 8], [-6, 2, -5], [4, 6, -6], [-3, -8, 3]])  # x y z
WEIGHTS = np.array([1.0, 2.0, 1.5, 0.7, 1.2, 0.9, 1.1])


def drawn(d: int, rotation: np.ndarray, shift: np.ndarray, blobs: np.ndarray = BLOBS) -> torch.Tensor:
    axis = torch.arange(d, dtype=torch.float64) - d // 2
    found = torch.zeros(d, d, d, dtype=torch.float64)
    for weight, (x, y, z) in zip(WEIGHTS, blobs * (d / 48) @ rotation.T + shift, strict=False):
        r2 = (axis - z).square()[:, None, None] + (axis - y).square()[None, :, None] + (axis - x).square()
        found += weight * torch.exp(-r2 / (2 * 1.7**2))
    return found


def noise(d: int, seed: int) -> torch.Tensor:
    return torch.randn(d, d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error_deg(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(found @ expected.T).magnitude()))


@pytest.mark.parametrize("d", [48, 45])
def test_transform_follows_the_convention(d: int) -> None:
    rotation, shift = Rotation.from_rotvec([0.4, -0.9, 0.7]).as_matrix(), np.array([2.25, -1.5, 0.7])
    found = transform_volume(drawn(d, np.eye(3), np.zeros(3)), rotation, shift)
    torch.testing.assert_close(found, drawn(d, rotation, shift), atol=2e-3, rtol=0)


def test_transform_by_nothing_and_by_whole_voxels() -> None:
    a = noise(24, 0).float()
    torch.testing.assert_close(transform_volume(a, np.eye(3), np.zeros(3)), a, atol=1e-5, rtol=0)
    moved = transform_volume(a, np.eye(3), np.array([3.0, 0.0, -2.0]))
    torch.testing.assert_close(moved[:-2, :, 3:], a[2:, :, :-3], atol=1e-5, rtol=0)
    assert float(moved[-2:].abs().max()) == 0


@pytest.mark.parametrize(("d", "seed"), [(48, 1), (33, 2)])
def test_alignment_of_maps_without_noise(d: int, seed: int) -> None:
    rotation, shift = Rotation.random(rng=seed).as_matrix(), np.random.default_rng(seed).uniform(-4, 4, 3)
    moving, fixed = drawn(d, np.eye(3), np.zeros(3)), drawn(d, rotation, shift)
    found = align(moving, fixed)
    assert error_deg(found.rotation, rotation) < 0.4
    np.testing.assert_allclose(found.shift_voxel, shift, atol=0.05)
    assert found.correlation > 0.98
    assert found.angle_deg == pytest.approx(error_deg(rotation, np.eye(3)), abs=0.4)
    back = transform_volume(moving, found.rotation, found.shift_voxel)
    assert float(torch.corrcoef(torch.stack([back.flatten(), fixed.flatten()]))[0, 1]) > 0.999


def test_alignment_through_noise_and_far_from_the_centre() -> None:
    rotation, shift = Rotation.random(rng=7).as_matrix(), np.array([7.0, -6.0, 5.0])
    moving = drawn(48, np.eye(3), np.zeros(3)) + 0.1 * noise(48, 1)
    found = align(moving, drawn(48, rotation, shift) + 0.1 * noise(48, 2), rotations=FEW)
    assert error_deg(found.rotation, rotation) < 2.0
    np.testing.assert_allclose(found.shift_voxel, shift, atol=0.3)


def test_a_larger_map_is_aligned_in_a_smaller_box() -> None:
    rotation, shift = Rotation.random(rng=5).as_matrix(), np.array([3.0, -2.0, 1.0])
    found = align(drawn(64, np.eye(3), np.zeros(3)), drawn(64, rotation, shift), finest_box=32, rotations=FEW)
    assert error_deg(found.rotation, rotation) < 0.5
    np.testing.assert_allclose(found.shift_voxel, shift, atol=0.1)


def test_the_other_hand_fits_worse_and_grey_scale_does_not_matter() -> None:
    moving, fixed = drawn(32, np.eye(3), np.zeros(3)), drawn(32, np.eye(3), np.ones(3))
    same, scaled = align(moving, fixed, rotations=FEW), align(5 * moving + 3, fixed, rotations=FEW)
    assert align(moving.flip(0), fixed, rotations=FEW).correlation < same.correlation - 0.05
    np.testing.assert_allclose(scaled.shift_voxel, same.shift_voxel, atol=1e-3)
    assert scaled.correlation == pytest.approx(same.correlation, abs=1e-4)


def test_of_equal_answers_the_smallest_turn() -> None:
    turns = [Rotation.from_euler("z", 90 * i, degrees=True).as_matrix() for i in range(4)]
    fourfold = sum((drawn(32, turn, np.zeros(3)) for turn in turns), torch.zeros(32, 32, 32).double())
    found = align(fourfold, fourfold, rotations=FEW)
    assert found.angle_deg < 0.1


def test_rotations_are_spread_evenly() -> None:
    turns = uniform_rotations(1000)
    nearest = np.array([np.sort((turns * turns[i].inv()).magnitude())[1] for i in range(0, 1000, 50)])
    assert np.degrees(nearest.min()) > 0.5 * np.degrees(nearest.max())
    assert np.abs(turns.as_matrix().mean(0)).max() < 0.01


def test_maps_that_cannot_be_aligned() -> None:
    a = drawn(32, np.eye(3), np.zeros(3))
    with pytest.raises(InputError, match="boxes 32 and 24: expected one box"):
        align(a, noise(24, 0))
    with pytest.raises(InputError, match="constant cannot be aligned"):
        align(a, torch.ones_like(a))
    assert Alignment(np.eye(3), np.zeros(3), 1.0).angle_deg == 0
