"""Slices into and out of the Fourier grid: compiled loops, torch, and the law that ties reading to adding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit
from scipy.spatial.transform import Rotation

from cryoprior.image import backprojection, compiled
from cryoprior.image.backprojection import Backprojector
from cryoprior.image.device_spreading import gather_on_device, spread_on_device
from cryoprior.image.projection import project_particles
from cryoprior.image.slices import VolumeSlices

Tensor = torch.Tensor


def rotations(n: int, box: int) -> Tensor:
    """Return random rotations, one of them along the axes, where places fall on voxels."""
    found = torch.from_numpy(Rotation.random(n, rng=np.random.default_rng(box)).as_matrix())
    found[0] = torch.eye(3)
    return found


def batch(n: int, box: int) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(box + n)
    shape = (n, box, box // 2 + 1)
    values = torch.complex(*(torch.from_numpy(rng.normal(size=shape)) for _ in range(2)))
    return values, torch.from_numpy(rng.uniform(size=shape)), rotations(n, box)


@pytest.mark.parametrize("box", [16, 17, 2, 3])
def test_torch_adds_what_the_compiled_loops_add(box: int) -> None:
    values, weights, turns = batch(7, box)
    sums = Backprojector(box)
    sums.insert(values, weights, turns)
    expected = torch.zeros(*sums.grid.shape, 3).double()
    spread_on_device(expected, sums.grid, values, weights, sums.grid.slices(turns))
    torch.testing.assert_close(sums._sums, expected)


@pytest.mark.parametrize("magnified", [False, True])
@pytest.mark.parametrize("box", [16, 17])
def test_every_coefficient_is_added_once(box: int, magnified: bool) -> None:
    _, _, turns = batch(5, box)
    if magnified:
        turns[:, :, 0] *= 1.3
    sums, ones = Backprojector(box), torch.ones(5, box, box // 2 + 1).double()
    sums.insert(ones.to(torch.complex128), ones, turns)
    rows = [(ky, kx) for ky, first, last in sums.grid.extent.tolist() for kx in range(first, last)]
    places = turns[:, :, :2] @ torch.tensor([(kx, ky) for ky, kx in rows]).T.double()
    kept = int((places.norm(dim=1) <= box // 2 + 1e-6).sum())
    assert float(sums._sums[..., 2].sum()) == pytest.approx(kept)
    assert (kept < 5 * len(rows)) == magnified


@pytest.mark.parametrize("box", [16, 17])
def test_reading_is_the_adjoint_of_adding(box: int) -> None:
    values, weights, turns = batch(5, box)
    sums, volume = Backprojector(box), torch.from_numpy(np.random.default_rng(0).normal(size=(box,) * 3))
    sums.insert(values, weights, turns)
    slices = VolumeSlices(volume).read(turns)
    counted = torch.zeros(box, box // 2 + 1).double()
    for ky, first, last in sums.grid.extent.tolist():
        counted[ky % box, first:last] = 2
    counted[0, 0] = 1
    left = float(((values.conj() * slices).real * counted).sum())
    assert left == pytest.approx(float((sums.target() * volume).sum()) * sums.grid.padded**3, rel=1e-9)


@pytest.mark.parametrize("box", [16, 17])
def test_torch_reads_what_the_compiled_loops_read(box: int) -> None:
    turns, volume = rotations(5, box), torch.from_numpy(np.random.default_rng(0).normal(size=(box,) * 3))
    slices = VolumeSlices(volume)
    expected = slices.read(turns)
    found = torch.zeros_like(expected)
    gather_on_device(slices._values, slices.grid, found, slices.grid.slices(turns))
    edge = (box - 1) // 2
    for part in (expected, found):
        part[:, box - edge :, 0] = part[:, 0, 0] = 0  # mates and means are filled in afterwards
    torch.testing.assert_close(found, expected)


def test_slices_are_the_transforms_of_projections() -> None:
    box = 24
    axis = torch.arange(box) - box // 2
    squares = axis[:, None, None] ** 2 + (axis[:, None] - 2) ** 2 + (axis + 3) ** 2
    volume = torch.exp(-squares / 6).float()
    euler = torch.from_numpy(np.random.default_rng(1).uniform(0, 180, (4, 3)))
    images = project_particles(volume, euler, torch.zeros(4, 2))
    expected = torch.fft.rfft2(torch.fft.ifftshift(images, dim=(1, 2)))
    turns = torch.from_numpy(Rotation.from_euler("ZYZ", euler.numpy(), degrees=True).as_matrix())
    found = VolumeSlices(volume).read(turns)
    assert float((found - expected)[:, :8, :8].abs().max()) < 0.03 * float(expected.abs().max())


def test_images_wait_for_others_and_none_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    values, weights, turns = batch(9, 16)
    whole = Backprojector(16)
    whole.insert(values, weights, turns)
    monkeypatch.setattr(backprojection, "TOGETHER", 4 * whole.grid.coefficients)
    parts, twin = Backprojector(16), Backprojector(16)
    for first, end in ((0, 3), (3, 5), (5, 6), (6, 9)):
        parts.insert(values[first:end], weights[first:end], turns[first:end])
    assert not parts._waiting  # 3 and 2 were five, 1 and 3 four
    twin.insert(values[:2].to(torch.complex64), weights[:2].float(), turns[:2])
    twin.insert(values[2:], weights[2:], turns[2:])
    for sums in (parts, parts.copy()):
        torch.testing.assert_close(sums.target(), whole.target())
    torch.testing.assert_close(twin.target(), whole.target(), rtol=1e-5, atol=1e-5)
    twin.add(parts)
    torch.testing.assert_close(twin.target(), 2 * whole.target(), rtol=1e-5, atol=1e-5)


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    values, weights, turns = batch(9, 32)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            sums = Backprojector(32)
            sums.insert(values, weights, turns)
            found.append((sums._sums.clone(), VolumeSlices(sums.target()).read(turns)))
    finally:
        torch.set_num_threads(before)
    for sums, slices in found[1:]:
        assert torch.equal(sums, found[0][0])
        torch.testing.assert_close(slices, found[0][1])


def test_where_nothing_can_be_kept_on_disk_the_loops_are_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_folder(**flags: object) -> object:
        if flags.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**flags)

    monkeypatch.setattr(compiled, "njit", without_folder)
    assert compiled.compiled()(lambda x: 2 * x)(21) == 42
