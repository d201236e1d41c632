"""The normal equations against sums over views that are computed term by term."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.image.backprojection import Backprojector
from cryoprior.image.normal_equations import NormalEquations

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
    return NormalEquations(sums._lags(sums._weights, sums._means[1]), BOX)


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
    assert float((found.apply(a) * b).sum()) == pytest.approx(float((a * found.apply(b)).sum()), rel=1e-10)
    assert float((found.precondition(a) * b).sum()) == pytest.approx(
        float((a * found.precondition(b)).sum()), rel=1e-10
    )


def smooth(seed: int) -> Tensor:
    """Return a volume without what lies beyond Nyquist."""
    axis = torch.fft.fftfreq(BOX, 1 / BOX).double().square()
    inside = axis[:, None, None] + axis[:, None] + axis[: BOX // 2 + 1] <= (BOX // 2) ** 2
    return torch.fft.irfftn(torch.fft.rfftn(random_volume(seed)) * inside, s=(BOX,) * 3)


def test_equal_weights_are_inverted_exactly() -> None:
    kernel = torch.zeros((2 * BOX,) * 3).double()
    kernel[0, 0, 0] = 3.0
    found = NormalEquations(kernel, BOX)
    for steps in (0, 2):
        torch.testing.assert_close(found.solve(3 * smooth(3), steps), smooth(3))


def test_steps_solve_a_convolution_that_no_circulant_inverts() -> None:
    kernel = torch.zeros((2 * BOX,) * 3).double()
    kernel[0, 0, 0] = 3.0
    for axis in range(3):
        kernel[tuple(2 * np.eye(3, dtype=int)[axis])] = kernel[tuple(-2 * np.eye(3, dtype=int)[axis])] = 0.4
    found = NormalEquations(kernel, BOX)
    target = found.apply(smooth(4))
    residuals = [float((found.apply(found.solve(target, steps)) - target).norm()) for steps in (0, 2, 5, 20)]
    assert residuals == sorted(residuals, reverse=True)
    assert residuals[0] > 1e-2 * float(target.norm())
    # what the box cuts off leaks beyond Nyquist, where the map is kept at 0
    assert residuals[-1] < 0.2 * residuals[0]


def test_a_shell_that_nothing_measured_stays_empty() -> None:
    rotations, weights = views()
    radius = torch.hypot(torch.fft.rfftfreq(BOX, 1 / BOX), torch.fft.fftfreq(BOX, 1 / BOX)[:, None])
    sums, low = Backprojector(4 * BOX), torch.zeros(len(rotations), 4 * BOX, 2 * BOX + 1).double()
    low[:, : BOX // 2, : BOX // 2 + 1] = ((radius <= 3) * weights)[:, : BOX // 2]
    low[:, -BOX // 2 :, : BOX // 2 + 1] = ((radius <= 3) * weights)[:, BOX // 2 :]
    sums.insert(low.to(torch.complex128), low, rotations)
    power = torch.fft.fftn(sums.volume(0)).abs()
    assert float(power[12:-12, 12:-12, 12:-12].max()) < 1e-6 * float(power.max())
    assert bool(torch.isfinite(sums.volume(3)).all())


def test_particles_without_any_weight_give_an_empty_map() -> None:
    empty = Backprojector(BOX)
    assert float(empty.volume(2).abs().max()) == 0


def test_a_kernel_smaller_than_the_lags_of_the_box_is_refused() -> None:
    with pytest.raises(ValueError, match="a kernel of 12 voxels; a box of 8 needs lags of 16"):
        NormalEquations(torch.ones(12, 12, 12).double(), BOX)
