"""The normal equations against sums over views that are computed term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.image.backprojection import Backprojector
from cryoprior.image.normal_equations import NormalEquations
from cryoprior.image.volume_filters import crop_volume_transform

BOX = 8
Tensor = torch.Tensor


def views(n: int = 60) -> tuple[Tensor, Tensor]:
    """Return rotations and weights on the rfft2 grid, a ring in each image left out."""
    rotations = torch.from_numpy(Rotation.random(n, rng=np.random.default_rng(0)).as_matrix())
    radius = torch.hypot(torch.fft.rfftfreq(BOX, 1 / BOX), torch.fft.fftfreq(BOX, 1 / BOX)[:, None]).double()
    ring = 1 + torch.arange(n) % 3
    return rotations, 0.2 + (radius.round() != ring[:, None, None]).double()


def equations(padding: int = 2) -> NormalEquations:
    rotations, weights = views()
    sums = Backprojector(BOX, padding)
    sums.insert(torch.zeros(weights.shape).to(torch.complex128), weights, rotations)
    return sums.equations()


def waves(rotations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return exp(-2 pi i R k r / box) for every frequency of every view within Nyquist, (f, voxels), and its weight."""
    axis = torch.arange(BOX).double() - BOX // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    places = torch.stack((x, y, z)).flatten(1)
    rows, found = [], []
    for ky in range(-(BOX // 2) + 1, BOX // 2):
        for kx in range(-(BOX // 2) + 1, BOX // 2):
            if kx**2 + ky**2 <= (BOX // 2) ** 2:
                k = rotations[:, :, 0] * kx + rotations[:, :, 1] * ky
                rows.append(torch.exp(-2j * torch.pi * (k @ places) / BOX))
                found.append(weights[:, ky if kx >= 0 else -ky, abs(kx)])
    return torch.cat(rows), torch.cat(found)


def direct(volume: Tensor) -> Tensor:
    rows, weight = waves(*views())
    transform = rows @ volume.flatten().to(rows.dtype)
    return (rows.conj().T @ (weight * transform)).real.reshape(volume.shape) / BOX**3


def random_volume(seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(BOX,) * 3))


@pytest.mark.parametrize(("padding", "error"), [(2, 0.1), (4, 0.02)])
def test_applying_them_is_projecting_weighting_and_back_projecting(padding: int, error: float) -> None:
    """What interpolation leaves, on white noise, falls with the padding, about by its square."""
    found, expected = equations(padding).apply(random_volume(0)) * padding**3, direct(random_volume(0))
    assert float((found - expected).norm() / expected.norm()) < error


def test_they_are_symmetric() -> None:
    found, a, b = equations(), random_volume(1), random_volume(2)
    assert float((found.apply(a) * b).sum()) == pytest.approx(float((a * found.apply(b)).sum()), rel=1e-6)


def test_columns_that_are_padded_a_few_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = equations().apply(random_volume(3))
    monkeypatch.setattr("cryoprior.image.normal_equations.CHUNK_BYTES", 1)
    torch.testing.assert_close(equations().apply(random_volume(3)), whole)


def test_eigenvalues_are_what_plane_waves_within_the_sphere_weigh() -> None:
    """Balls of voxels are not quite round: within a hundredth of the largest."""
    found = equations()
    axis, support, values = torch.arange(BOX).double(), found.support, found.eigenvalues
    for k in ((0, 0, 0), (1, 0, 2), (3, 5, 1), (7, 2, 4)):
        phase = 2 * torch.pi / BOX * (k[0] * axis[:, None, None] + k[1] * axis[:, None] + k[2] * axis)
        waves = [support * wave for wave in (phase.cos(), phase.sin())]
        weighed = sum(float((wave * found.apply(wave)).sum()) for wave in waves)
        assert float(values[k]) == pytest.approx(weighed / float(support.sum()), abs=0.03 * float(values.max()))


def test_of_equal_weights_they_are_the_weight() -> None:
    kernel = torch.zeros((2 * BOX,) * 3).double()
    kernel[0, 0, 0] = 3.0
    found = NormalEquations(kernel, BOX)
    torch.testing.assert_close(found.apply(random_volume(4)), 3 * random_volume(4))
    torch.testing.assert_close(found.eigenvalues, torch.full((BOX, BOX, BOX // 2 + 1), 3.0).double())


def test_half_the_box_has_the_same_equations_at_low_frequencies() -> None:
    found = equations()
    axis = torch.fft.fftfreq(BOX, 1 / BOX)
    low = axis.abs() < BOX // 4
    inside = low[:, None, None] & low[:, None] & low[: BOX // 2 + 1]
    smooth = torch.fft.irfftn(torch.fft.rfftn(random_volume(6)) * inside, s=(BOX,) * 3)
    # what the box cuts off differs, so the volume stays away from the faces
    blob = smooth * torch.exp(-((torch.arange(BOX) - BOX // 2) ** 2)[:, None, None] / 4).double()
    blob = torch.fft.irfftn(torch.fft.rfftn(blob) * inside, s=(BOX,) * 3)
    expected = crop_volume_transform(found.apply(blob), BOX // 2)
    torch.testing.assert_close(
        found.halved().apply(crop_volume_transform(blob, BOX // 2)),
        expected,
        rtol=0,
        atol=0.3 * float(expected.abs().max()),
    )


def test_a_kernel_smaller_than_the_lags_of_the_box_is_refused() -> None:
    with pytest.raises(ValueError, match="a kernel of 12 voxels; a box of 8 needs lags of 16"):
        NormalEquations(torch.ones(12, 12, 12).double(), BOX)
