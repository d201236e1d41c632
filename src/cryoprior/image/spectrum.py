"""Power spectra and filters on the orthonormal rfft2 grid."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError


def frequency_radius(box: int, device: torch.device | str = "cpu") -> Float[Tensor, "box half"]:
    """Return the spatial frequency of every rfft2 coefficient in cycles per pixel, (box, box // 2 + 1)."""
    ky = torch.fft.fftfreq(box, dtype=torch.float64, device=device)
    kx = torch.fft.rfftfreq(box, dtype=torch.float64, device=device)
    return torch.sqrt(ky[:, None] ** 2 + kx[None, :] ** 2)


def shell_index(box: int, device: torch.device | str = "cpu") -> Int[Tensor, "box half"]:
    """Return the shell of every rfft2 coefficient, its radius rounded to whole Fourier pixels (corners included)."""
    return torch.round(frequency_radius(box, device) * box).long()


def power_spectrum(images: Float[Tensor, "b box box"]) -> Float[Tensor, "box half"]:
    """Return the mean over images of |X_k|^2, X the orthonormal rfft2, in float64."""
    power: Tensor = torch.fft.rfft2(images.double(), norm="ortho").abs().square().mean(0)
    return power


def radial_average(power: Float[Tensor, "box half"], *, mean: bool = True) -> Float[Tensor, "shells"]:
    """Return the mean (or the sum) of a quantity of the rfft2 grid in each shell, from the centre to the corner.

    Coefficients that stand for a conjugate pair count twice.
    """
    box = power.shape[0]
    shells = shell_index(box, power.device)
    weight = pair_weight(box, power.device).to(power)
    total = torch.zeros(int(shells.max()) + 1, dtype=power.dtype, device=power.device)
    count = torch.zeros_like(total)
    total.index_add_(0, shells.flatten(), (power * weight).flatten())
    count.index_add_(0, shells.flatten(), weight.expand_as(power).flatten())
    return total / count if mean else total


def radial_filter(values: Float[Tensor, "k"], frequency: Float[Tensor, "k"], box: int) -> Float[Tensor, "box half"]:
    """Return a radial curve on the rfft2 grid of a box, linear between its points and constant beyond its ends.

    Parameters
    ----------
    values: the curve.
    frequency: where it is known, increasing, in cycles per pixel of the box.
    """
    radius = frequency_radius(box, values.device).to(values.dtype)
    right = torch.searchsorted(frequency.contiguous(), radius).clamp(1, len(frequency) - 1)
    left = right - 1
    share = ((radius - frequency[left]) / (frequency[right] - frequency[left])).clamp(0, 1)
    return values[left] + share * (values[right] - values[left])


def apply_filter(
    images: Float[Tensor, "b box box"], transfer: Float[Tensor, "*b box half"]
) -> Float[Tensor, "b box box"]:
    """Return the images with their Fourier coefficients multiplied by a real transfer function."""
    box = images.shape[-1]
    filtered: Tensor = torch.fft.irfft2(torch.fft.rfft2(images, norm="ortho") * transfer, s=(box, box), norm="ortho")
    return filtered


def pair_weight(box: int, device: torch.device | str = "cpu") -> Float[Tensor, "1 half"]:
    """Return how many coefficients of the full plane each column of the rfft2 grid stands for, 1 or 2."""
    weight = torch.full((1, box // 2 + 1), 2.0, dtype=torch.float64, device=device)
    weight[:, 0] = 1.0
    if box % 2 == 0:
        weight[:, -1] = 1.0
    return weight


def pixel_variance(power: Float[Tensor, "*b box half"]) -> Float[Tensor, "*b"]:
    """Return the variance of a pixel of images with this power spectrum: its mean over the full plane."""
    box = power.shape[-2]
    return (power * pair_weight(box, power.device).to(power)).sum((-2, -1)) / box**2


def background_spectrum(images: Float[Tensor, "b box box"], radius_pixel: float) -> Float[Tensor, "box half"]:
    """Return the power spectrum of the noise outside the particle radius, radially averaged, on the rfft2 grid.

    The images are seen through a soft annulus outside the radius, its mean taken out; powers are divided by the
    annulus' mean square, so that white noise of variance v gives v.

    Raises
    ------
    InputError: the radius leaves less than a tenth of the box.
    """
    box = images.shape[-1]
    window = 1.0 - soft_disc(box, radius_pixel, edge_pixel=max(2.0, box / 32), device=images.device)
    share = float(window.square().mean())
    if share < 0.1:
        raise InputError(
            f"particle radius {radius_pixel:.1f} pixels in a box of {box}: only {share:.0%} of it is background; "
            "expected at least 10 %; pass a smaller <noise_radius>"
        )
    images = images.double()
    mean = (images * window).sum((-2, -1), keepdim=True) / window.sum()
    power = power_spectrum((images - mean) * window) / share
    curve = radial_average(power)
    curve[0] = curve[1]  # the mean was taken out
    frequency = torch.arange(len(curve), dtype=torch.float64, device=images.device) / box
    return radial_filter(curve, frequency, box)


def soft_disc(
    box: int, radius_pixel: float, edge_pixel: float = 2.0, device: torch.device | str = "cpu"
) -> Float[Tensor, "box box"]:
    """Return a disc around box // 2 that falls from 1 to 0 by a cosine over ``edge_pixel`` beyond the radius."""
    axis = torch.arange(box, dtype=torch.float64, device=device) - box // 2
    radius = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    fall = ((radius - radius_pixel) / edge_pixel).clamp(0, 1)
    return 0.5 * (1 + torch.cos(torch.pi * fall))
