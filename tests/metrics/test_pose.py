"""Pose errors: known turns and shifts come back, symmetry, frame and hand are seen through, and nothing else is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.image.projection import project_particles
from cryoprior.image.symmetry import point_group
from cryoprior.io.euler import euler_of_matrix
from cryoprior.metrics.pose import PoseErrors, pose_errors

N, PIXEL = 300, 2.5


def poses(seed: int = 0, n: int = N) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    euler = euler_of_matrix(Rotation.random(n, rng=rng).as_matrix())
    return torch.from_numpy(euler), torch.from_numpy(rng.normal(scale=5, size=(n, 2)))


def matrices(euler: torch.Tensor) -> np.ndarray:
    return Rotation.from_euler("ZYZ", euler.numpy(), degrees=True).as_matrix()


def euler_of(matrices: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(euler_of_matrix(matrices))


def turned(euler: torch.Tensor, angle_deg: np.ndarray, seed: int = 1) -> torch.Tensor:
    """Return poses turned by these angles, each about a random axis of the image's frame."""
    axes = np.random.default_rng(seed).normal(size=(len(euler), 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return euler_of(matrices(euler) @ Rotation.from_rotvec(np.radians(angle_deg)[:, None] * axes).as_matrix())


def errors(a: torch.Tensor, b: torch.Tensor, **options: Any) -> PoseErrors:
    nowhere = torch.zeros(len(a), 2, dtype=torch.float64)
    return pose_errors(a, nowhere, b, nowhere, PIXEL, **options)


def test_known_turns_and_shifts_are_recovered_exactly() -> None:
    euler, origin = poses()
    angle = np.concatenate([[0.0, 1e-6, 179.999999, 180.0], np.linspace(0.01, 179.9, N - 4)])
    direction = np.random.default_rng(3).uniform(0, 2 * np.pi, N)
    length = np.linspace(0, 20, N)
    moved = origin + torch.from_numpy(length[:, None] * np.stack([np.cos(direction), np.sin(direction)], 1))
    found = pose_errors(turned(euler, angle), moved, euler, origin, PIXEL)
    np.testing.assert_allclose(found.angle_deg, angle, atol=1e-6)
    np.testing.assert_allclose(found.shift_angstrom, length, atol=1e-12)
    np.testing.assert_allclose(found.shift_pixel, length / PIXEL, atol=1e-12)
    summary = found.summary()
    assert summary["n"] == N
    assert summary["median_angle_deg"] == pytest.approx(np.median(angle))
    assert summary["mean_angle_deg"] == pytest.approx(angle.mean())
    assert summary["above_30_deg"] == (angle > 30).sum()
    assert summary["median_shift_angstrom"] == pytest.approx(10)
    assert summary["median_shift_pixel"] == pytest.approx(4)


def test_the_view_error_is_blind_to_the_in_plane_angle_and_sees_a_tilt() -> None:
    euler, _ = poses()
    in_plane, tilted = euler.clone(), euler.clone()
    in_plane[:, 2] += 40
    tilted[:, 1] += 7
    np.testing.assert_allclose(errors(in_plane, euler).view_deg, 0, atol=1e-6)
    np.testing.assert_allclose(errors(in_plane, euler).angle_deg, 40)
    np.testing.assert_allclose(errors(tilted, euler).view_deg, 7)


@pytest.mark.parametrize("symmetry", ["C1", "C4", "D3", "T", "O", "I"])
def test_any_mate_of_a_pose_is_the_pose(symmetry: str) -> None:
    euler, _ = poses()
    group = point_group(symmetry).numpy()
    pick = np.random.default_rng(5).integers(len(group), size=N)
    angle = np.full(N, 3.0)
    mates = euler_of(group[pick] @ matrices(turned(euler, angle)))
    np.testing.assert_allclose(errors(mates, euler, symmetry=symmetry).angle_deg, 3.0, atol=1e-9)
    if symmetry != "C1":
        assert errors(mates, euler).summary()["above_30_deg"] > 0.4 * N


def test_a_mate_from_the_wrong_side_is_no_mate() -> None:
    euler, _ = poses()
    wrong = euler_of(matrices(euler) @ point_group("D3").numpy()[4])
    assert errors(wrong, euler, symmetry="D3").summary()["median_angle_deg"] > 20


@pytest.mark.parametrize("symmetry", ["C1", "D2", "I"])
@pytest.mark.parametrize("wrong", [0, 150])
def test_a_frame_of_its_own_is_found_and_taken_out_among_wrong_poses(symmetry: str, wrong: int) -> None:
    euler, _ = poses()
    frame = Rotation.from_rotvec([0.9, -0.4, 1.7]).as_matrix()
    moved = matrices(turned(euler, np.where(np.arange(N) % 2, 2.0, 1.0)))
    moved[:wrong] = Rotation.random(wrong, rng=np.random.default_rng(8)).as_matrix() if wrong else moved[:0]
    moved = frame @ moved
    a = euler_of(moved)
    found = errors(a, euler, symmetry=symmetry, align=True)
    # two thirds of turns of up to 2 degrees average out; a mate of the frame is as good as the frame
    assert float(found.angle_deg[wrong:].max()) < 2.5
    assert float(found.angle_deg[wrong:].median()) == pytest.approx(1.5, abs=0.6)
    np.testing.assert_allclose(found.frame @ found.frame.mT, np.eye(3), atol=1e-12)
    assert errors(a, euler, symmetry=symmetry).summary()["median_angle_deg"] > 10


def test_a_frame_alone_is_taken_out_exactly_and_nothing_is_added_without_it() -> None:
    euler, _ = poses()
    frame = Rotation.from_rotvec([-2.0, 1.4, 0.7]).as_matrix()
    found = errors(euler_of(frame @ matrices(euler)), euler, align=True)
    np.testing.assert_allclose(found.frame, frame.T, atol=1e-9)
    np.testing.assert_allclose(found.angle_deg, 0, atol=1e-6)
    np.testing.assert_allclose(errors(euler, euler).frame, np.eye(3))


@pytest.mark.parametrize("align", [False, True])
def test_a_flipped_hand_is_detected(align: bool) -> None:
    euler, _ = poses()
    flipped = turned(euler, np.full(N, 4.0))
    flipped[:, 2] += 180
    if align:
        flipped = euler_of(Rotation.from_rotvec([1.0, 0.2, 0.5]).as_matrix() @ matrices(flipped))
    found = errors(flipped, euler, align=align)
    assert found.hand_flipped
    assert found.summary()["hand_flipped"] is True
    assert found.summary()["median_angle_other_hand_deg"] == pytest.approx(4, abs=0.5)
    assert found.summary()["median_angle_deg"] > 90
    assert not errors(turned(euler, np.full(N, 4.0)), euler, align=align).hand_flipped


@pytest.mark.parametrize("symmetry", ["C1", "D2", "O"])
def test_random_poses_have_no_hand(symmetry: str) -> None:
    found = errors(poses(6)[0], poses(7)[0], symmetry=symmetry)
    assert not found.hand_flipped
    if symmetry == "C1":  # the mean angle of a random rotation is 90 + 360 / pi^2 degrees
        assert found.summary()["mean_angle_deg"] == pytest.approx(90 + 360 / np.pi**2, abs=5)


def test_the_mirror_image_of_a_map_has_the_same_projections_half_a_turn_on() -> None:
    rng = np.random.default_rng(2)
    box = 33  # odd: the centre is in the middle, and inverting is flipping
    axis = np.arange(box) - box // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres = rng.normal(scale=3.5, size=(6, 3))
    volume = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 8) for a, b, c in centres)
    one = torch.from_numpy(np.asarray(volume, np.float32))
    euler, origin = poses(n=4)
    on = euler.clone()
    on[:, 2] += 180
    images = project_particles(one, euler, origin / 5)
    mirrored = project_particles(one.flip(0, 1, 2), on, origin / 5)
    assert float((images - mirrored).abs().max()) < 0.02 * float(images.max())
    assert float((images - project_particles(one.flip(0, 1, 2), euler, origin / 5)).abs().max()) > 0.3 * float(
        images.max()
    )


def test_float32_poses_and_single_particles_are_taken() -> None:
    euler, origin = poses(n=1)
    found = pose_errors(euler.float(), origin.float(), euler, origin, torch.tensor([PIXEL]).double(), align=True)
    assert found.angle_deg.dtype == torch.float64
    assert float(found.angle_deg) < 1e-3


def test_poses_that_do_not_match_are_refused() -> None:
    euler, origin = poses(n=3)
    with pytest.raises(InputError, match="expected the same number"):
        pose_errors(euler[:2], origin[:2], euler, origin, PIXEL)
    broken = euler.clone()
    broken[1, 0] = float("nan")
    with pytest.raises(InputError, match="second pose of particle 2 is not finite"):
        pose_errors(euler, origin, broken, origin, PIXEL)
    with pytest.raises(InputError, match="expected a point group"):
        pose_errors(euler, origin, euler, origin, PIXEL, symmetry="X")
