"""Back-projection against particles whose projections are known in closed form: blobs of Gaussian density."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.image import ctf_image
from cryoprior.image.backprojection import Backprojector, centred_transforms
from cryoprior.image.projection import project_particles, rotation_matrices
from cryoprior.image.regularised import solve, unit_gain
from cryoprior.image.shells import Shells
from cryoprior.image.symmetry import point_group
from cryoprior.metrics.fsc import fsc, volume_shell_sums

N, WIDTH = 400, 1.0
Tensor = torch.Tensor


def blobs(box: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centres (xyz, about the centre of the box) and weights of 40 blobs."""
    rng = np.random.default_rng(0)
    centres = rng.normal(scale=box / 10, size=(40, 3))
    centres *= np.minimum(1, 0.28 * box / np.linalg.norm(centres, axis=1))[:, None]
    return centres, rng.uniform(0.5, 2, 40)


def profile(box: int, centres: np.ndarray) -> np.ndarray:
    axis = np.arange(box) - box // 2
    return np.exp(-((axis - centres[..., None]) ** 2) / (2 * WIDTH**2))


def volume_of(box: int) -> Tensor:
    centres, weights = blobs(box)
    x, y, z = (profile(box, centres[:, i]) for i in range(3))
    return torch.from_numpy(np.einsum("n,nz,ny,nx->zyx", weights, z, y, x))


def projections_of(box: int, rotations: Tensor, origin: Tensor, transfer: Tensor | None = None) -> Tensor:
    """Return the projections in closed form: R turns the beam and the image, so the particle is seen turned by R^T."""
    centres, weights = blobs(box)
    turned = np.einsum("bji,nj->bni", rotations.numpy(), centres)[:, :, :2] - origin.numpy()[:, None]
    x, y = profile(box, turned[:, :, 0]), profile(box, turned[:, :, 1])
    images = torch.from_numpy(np.einsum("n,bny,bnx->byx", weights, y, x) * WIDTH * np.sqrt(2 * np.pi))
    if transfer is None:
        return images
    return torch.fft.irfft2(torch.fft.rfft2(images) * transfer, s=(box, box))


def poses(n: int = N, shift: float = 2.0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    euler = Rotation.random(n, rng=rng).as_euler("ZYZ", degrees=True)
    return torch.from_numpy(euler), torch.from_numpy(rng.normal(scale=shift, size=(n, 2)))


def transfer_of(n: int, box: int) -> Tensor:
    u = torch.linspace(8e3, 25e3, n, dtype=torch.float64)
    same = {"defocus_angle_deg": 30.0, "voltage_kv": 300.0, "cs_mm": 2.7, "amplitude_contrast": 0.1}
    parameters = {"defocus_u_angstrom": u, "defocus_v_angstrom": u - 300, "phase_shift_deg": torch.zeros_like(u)}
    parameters |= {key: torch.full_like(u, value) for key, value in same.items()}
    return ctf_image(parameters, torch.full_like(u, 4.0), box)


def sums_of(images: Tensor, rotations: Tensor, origin: Tensor, transfer: Tensor | None = None) -> Backprojector:
    sums, transforms = Backprojector(images.shape[-1]), centred_transforms(images, origin)
    if transfer is None:
        transfer = torch.ones(transforms.shape, dtype=torch.float64)
    sums.insert(transforms * transfer, transfer.square(), rotations)
    return sums


def map_of(sums: Backprojector) -> Tensor:
    """Return the map of nearly noise-free sums."""
    equations = sums.equations()
    ridge = 1e-4 * Shells(sums.box).mean(equations.eigenvalues)
    return unit_gain(solve(equations, sums.target(), ridge).volume, equations, ridge)


def slopes(found: Tensor, truth: Tensor) -> Tensor:
    """Return the regression slope of a map on the truth by shell."""
    a, b = torch.fft.rfftn(found), torch.fft.rfftn(truth)
    return volume_shell_sums((a * b.conj()).real) / volume_shell_sums(b.abs().square())


@pytest.mark.parametrize("box", [32, 33])
@pytest.mark.parametrize("with_ctf", [False, True])
def test_projections_of_all_views_give_the_volume_back(box: int, with_ctf: bool) -> None:
    euler, origin = poses()
    rotations, transfer = rotation_matrices(euler), transfer_of(N, box) if with_ctf else None
    images = projections_of(box, rotations, origin, transfer)
    found, truth = map_of(sums_of(images, rotations, origin, transfer)), volume_of(box)
    last = int(0.9 * (box // 2))
    assert found.dtype == torch.float64
    assert float(fsc(found, truth)[: last + 1].min()) > 0.99
    # of the mean a CTF of 0.1 leaves a hundredth of the weight
    torch.testing.assert_close(slopes(found, truth)[1 : last + 1], torch.ones(last).double(), rtol=0, atol=0.01)
    assert float(slopes(found, truth)[0]) == pytest.approx(1, abs=0.04 if with_ctf else 0.01)


def test_the_package_s_own_projections_give_the_volume_back() -> None:
    euler, origin = poses()
    images = project_particles(volume_of(32).float(), euler, origin).double()
    found = map_of(sums_of(images, rotation_matrices(euler), origin))
    assert float(fsc(found, volume_of(32))[:15].min()) > 0.99


@pytest.mark.parametrize("box", [16, 17])
def test_a_point_comes_back_where_it_was(box: int) -> None:
    place = np.array([5, 9, 11])  # z y x
    euler, _ = poses(200)
    rotations = rotation_matrices(euler)
    at = torch.from_numpy(place[::-1].copy() - box // 2).double()
    seen = torch.einsum("bji,j->bi", rotations, at)[:, :2]
    kx, ky = torch.fft.rfftfreq(box).double(), torch.fft.fftfreq(box).double()
    phase = seen[:, None, None, 0] * kx + seen[:, None, None, 1] * ky[:, None]
    sums = Backprojector(box)
    sums.insert(torch.exp(-2j * torch.pi * phase), torch.ones(phase.shape).double(), rotations)
    found = map_of(sums)
    assert np.unravel_index(int(found.argmax()), found.shape) == tuple(place)
    within = 4 / 3 * np.pi * (box // 2) ** 3 / box**3  # the share of all frequencies that images hold
    assert float(found.max()) == pytest.approx(within, rel=0.15)
    beside = [float(found[tuple(place + sign * np.eye(3, dtype=int)[axis])]) for axis in range(3) for sign in (-1, 1)]
    np.testing.assert_allclose(beside, np.mean(beside), rtol=0.1)


def test_the_centre_and_the_origins_are_taken_out_of_the_transforms() -> None:
    images = torch.zeros(2, 9, 9).double()
    images[0, 4, 4] = images[1, 4 + 2, 4 - 1] = 1
    found = centred_transforms(images, torch.tensor([[0.0, 0.0], [1.0, -2.0]]))
    torch.testing.assert_close(found, torch.ones_like(found))


def test_sums_do_not_depend_on_batch_or_order() -> None:
    euler, origin = poses(60)
    rotations, transfer = rotation_matrices(euler), transfer_of(60, 16)
    images = projections_of(16, rotations, origin, transfer)
    whole = sums_of(images, rotations, origin, transfer)
    parts = Backprojector(16)
    for rows in torch.arange(60).flip(0).split(7):
        other = sums_of(images[rows], rotations[rows], origin[rows], transfer[rows])
        before, kept = other.target(), other.copy()
        other.add(parts)
        torch.testing.assert_close(kept.target(), before, rtol=0, atol=0)
        parts = other
    torch.testing.assert_close(parts.target(), whole.target(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(parts.equations().kernel, whole.equations().kernel, rtol=1e-9, atol=1e-12)


def test_the_target_is_linear_in_the_images() -> None:
    euler, origin = poses(60)
    rotations = rotation_matrices(euler)
    a = projections_of(16, rotations, origin)
    b = torch.from_numpy(np.random.default_rng(2).normal(size=a.shape))
    maps = [sums_of(images, rotations, origin).target() for images in (a, b, 2 * a - 3 * b)]
    torch.testing.assert_close(maps[2], 2 * maps[0] - 3 * maps[1])


def test_images_in_single_precision_are_summed_in_double() -> None:
    euler, origin = poses(60)
    rotations = rotation_matrices(euler)
    images = projections_of(16, rotations, origin)
    single, double = sums_of(images.float(), rotations, origin).target(), sums_of(images, rotations, origin).target()
    assert single.dtype == torch.float64
    torch.testing.assert_close(single, double, rtol=0, atol=1e-6 * float(double.abs().max()))


@pytest.mark.parametrize("symmetry", ["C3", "D2"])
def test_mates_make_the_map_symmetric_and_stand_for_views(symmetry: str) -> None:
    """A symmetric volume from few views, each inserted at all its mates, is as good as from all their views."""
    group = point_group(symmetry)
    box, few = 33, 150
    euler, origin = poses(few)
    rotations = rotation_matrices(euler)
    images = sum(projections_of(box, mate.T @ rotations, origin) for mate in group)
    centres, weights = blobs(box)
    turned = [centres @ mate.numpy().T for mate in group]
    axes = [[profile(box, c[:, i]) for i in range(3)] for c in turned]
    truth = torch.from_numpy(sum(np.einsum("n,nz,ny,nx->zyx", weights, z, y, x) for x, y, z in axes))
    sums = Backprojector(box)
    transforms = centred_transforms(images, origin)
    for mate in group:
        sums.insert(transforms, torch.ones(transforms.shape).double(), mate @ rotations)
    found, alone = map_of(sums), map_of(sums_of(images, rotations, origin))
    assert float(fsc(found, truth)[:15].min()) > 0.99
    assert float((found - truth).norm()) < 0.95 * float((alone - truth).norm())
    if symmetry == "D2":  # a half turn about z keeps the grid of an odd box
        torch.testing.assert_close(found.flip(1, 2), found, rtol=0, atol=1e-6 * float(found.max()))
