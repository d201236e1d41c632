from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.image.projection import project_particles, rotation_matrices
from cryoprior.image.spectrum import frequency_radius

BOX = 64
BLOBS = np.array([[0.0, 0, 0], [5, 0, 0], [0, 3, 0], [0, 0, 4], [-3, 2, -2]])
WEIGHTS = np.array([1.0, 2.0, 1.5, 0.7, 1.2])
WIDTH = 2.5


def volume() -> torch.Tensor:
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    density = sum(
        w * np.exp(-((x - b[0]) ** 2 + (y - b[1]) ** 2 + (z - b[2]) ** 2) / (2 * WIDTH**2))
        for w, b in zip(WEIGHTS, BLOBS, strict=True)
    )
    return torch.as_tensor(density, dtype=torch.float32)


def project(euler: tuple[float, float, float], origin: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
    return project_particles(volume(), torch.tensor([euler]).double(), torch.tensor([origin]).double())[0]


def drawn(euler: tuple[float, float, float], origin: tuple[float, float] = (0.0, 0.0)) -> torch.Tensor:
    """The projection in closed form, by RELION's convention: the particle is turned by A and seen along z."""
    rot, tilt, psi = np.radians(euler)

    def about_z(a: float) -> np.ndarray:
        return np.array([[np.cos(a), np.sin(a), 0], [-np.sin(a), np.cos(a), 0], [0, 0, 1]])

    about_y = np.array([[np.cos(tilt), 0, -np.sin(tilt)], [0, 1, 0], [np.sin(tilt), 0, np.cos(tilt)]])
    turned = BLOBS @ (about_z(psi) @ about_y @ about_z(rot)).T  # Heymann 2005: rotation of the axes, ZYZ
    axis = np.arange(BOX) - BOX // 2
    y, x = np.meshgrid(axis, axis, indexing="ij")
    image = sum(
        w * np.exp(-((x - b[0] + origin[0]) ** 2 + (y - b[1] + origin[1]) ** 2) / (2 * WIDTH**2))
        for w, b in zip(WEIGHTS, turned, strict=True)
    )
    return torch.as_tensor(image * WIDTH * np.sqrt(2 * np.pi), dtype=torch.float32)


def test_identity_is_the_sum_along_z() -> None:
    expected = volume().sum(0)
    torch.testing.assert_close(project((0, 0, 0)), expected, rtol=0, atol=1e-2 * float(expected.max()))


@pytest.mark.parametrize("euler", [(0, 0, 90), (90, 0, 0), (0, 90, 0), (30, 70, -50), (-110, 130, 25)])
def test_poses_are_those_of_relion(euler: tuple[float, float, float]) -> None:
    expected = drawn(euler, (1.25, -2.5))
    torch.testing.assert_close(project(euler, (1.25, -2.5)), expected, rtol=0, atol=1e-2 * float(expected.max()))


def test_an_odd_box_is_projected_about_its_centre() -> None:
    inner = volume()[1:, 1:, 1:]  # the centre of 63 voxels is voxel 31
    pose, origin = torch.tensor([[30.0, 70.0, -50.0]]).double(), torch.tensor([[1.25, -2.5]]).double()
    expected = drawn((30, 70, -50), (1.25, -2.5))[1:, 1:]
    found = project_particles(inner, pose, origin)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2 * float(expected.max()))


def test_rotations_are_proper_and_in_plane_angles_add() -> None:
    found = rotation_matrices(torch.tensor([[20.0, 40.0, 60.0], [20.0, 0.0, 60.0], [80.0, 0.0, 0.0]]).double())
    torch.testing.assert_close(found @ found.mT, torch.eye(3).double().expand(3, 3, 3))
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(3).double())
    torch.testing.assert_close(found[1], found[2])


def test_whole_pixel_origins_roll_the_image_the_other_way() -> None:
    rolled = project((30, 70, -50)).roll((2, -3), dims=(0, 1))
    torch.testing.assert_close(project((30, 70, -50), (3.0, -2.0)), rolled, rtol=0, atol=1e-4 * float(rolled.max()))


def test_the_transfer_function_multiplies_the_transform() -> None:
    transfer = 1 - 2 * frequency_radius(BOX).float()
    euler, origin = torch.tensor([[30.0, 70.0, -50.0]]).double(), torch.zeros(1, 2).double()
    found = project_particles(volume(), euler, origin, transfer[None])
    expected = torch.fft.irfft2(torch.fft.rfft2(project((30, 70, -50))) * transfer, s=(BOX, BOX))
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-3)


def test_a_particle_does_not_depend_on_its_batch() -> None:
    euler = torch.tensor([[30.0, 70.0, -50.0], [1.0, 2.0, 3.0]]).double()
    both = project_particles(volume(), euler, torch.zeros(2, 2).double())
    torch.testing.assert_close(both[0], project((30, 70, -50)), rtol=0, atol=1e-4 * float(both[0].max()))
