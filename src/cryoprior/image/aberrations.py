"""Aberrations as phases on the rfft2 grid, beyond defocus and spherical aberration: beam tilt, Zernike polynomials."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

Frequencies = tuple[Float[Tensor, "_ box half"], Float[Tensor, "_ box half"]]
"""Frequencies along x and y in 1 / angstrom, one grid for each particle, or one for all."""


def frequencies(
    pixel_size: Float[Tensor, " b"], box: int, magnification: Float[Tensor, "b 2 2"] | None = None
) -> Frequencies:
    """Return the frequencies of the particle that lie under those of its image, 1 / angstrom: k' = M k.

    Parameters
    ----------
    pixel_size: angstrom, (b,).
    magnification: RELION's matrix M of every particle; None for the identity.
    """
    if magnification is None and bool((pixel_size == pixel_size[0]).all()):
        pixel_size = pixel_size[:1]
    spacing = pixel_size[:, None, None]
    y = torch.fft.fftfreq(box, dtype=pixel_size.dtype, device=pixel_size.device)[:, None] / spacing
    x = torch.fft.rfftfreq(box, dtype=pixel_size.dtype, device=pixel_size.device) / spacing
    if magnification is None:
        return x.expand(-1, box, -1), y.expand(-1, -1, box // 2 + 1)
    m = magnification.to(pixel_size)[:, :, :, None, None]
    return m[:, 0, 0] * x + m[:, 0, 1] * y, m[:, 1, 0] * x + m[:, 1, 1] * y


def wavelength_angstrom(voltage_kv: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return the wavelength of electrons in angstrom, with RELION's constants."""
    volts = voltage_kv * 1e3
    return 12.2643247 / (volts * (1 + 0.978466e-6 * volts)).sqrt()


def tilt_phase(
    tilt_x_mrad: Float[Tensor, " b"],
    tilt_y_mrad: Float[Tensor, " b"],
    voltage_kv: Float[Tensor, " b"],
    cs_mm: Float[Tensor, " b"],
    grid: Frequencies,
) -> Float[Tensor, "b box half"]:
    """Return the phase in radians that a beam tilt adds to the transform of an image: -2 pi Cs lambda^2 k^2 (t . k).

    Source: RELION; sign and unit checked against ``relion_reconstruct``.
    """
    x, y = grid
    factor = -2e-3 * math.pi * 1e7 * cs_mm * wavelength_angstrom(voltage_kv).square()
    along_x, along_y = ((factor * tilt)[:, None, None] for tilt in (tilt_x_mrad, tilt_y_mrad))
    return (along_x * x + along_y * y) * (x.square() + y.square())


def zernike_phase(coefficients: Float[Tensor, "b c"], grid: Frequencies, *, odd: bool) -> Float[Tensor, "b box half"]:
    """Return the sum of Zernike polynomials of the frequency, in radians.

    Parameters
    ----------
    coefficients: in RELION's order: n = 1, 3, 5, ... where odd, n = 0, 2, 4, ... where even, and in each m = -n,
        -n + 2, ..., n; Z = R(|m|, n, k) cos(m phi), or sin(|m| phi) where m is negative, with k in 1 / angstrom.

    Source: F. Zernike, Physica 1 (1934) 689, for the polynomials; the order checked against ``relion_project``.
    """
    x, y = grid
    squares = x.square() + y.square()
    total = torch.zeros(len(coefficients), *x.shape[1:], dtype=x.dtype, device=x.device)
    for place, (m, n) in enumerate(zernike_order(coefficients.shape[1], odd=odd)):
        column = coefficients[:, place].to(x)
        if bool((column == 0).all()):
            continue
        total += column[:, None, None] * _radial(squares, abs(m), n) * _angular(x, y, m)
    return total


def zernike_order(count: int, *, odd: bool) -> list[tuple[int, int]]:
    """Return (m, n) of the first ``count`` odd or even Zernike polynomials in RELION's order."""
    order: list[tuple[int, int]] = []
    n = int(odd)
    while len(order) < count:
        order += [(m, n) for m in range(-n, n + 1, 2)]
        n += 2
    return order[:count]


def _radial(squares: Float[Tensor, "..."], m: int, n: int) -> Float[Tensor, "..."]:
    """Return R(m, n, k) / k^m as a polynomial of k^2, by Horner's rule."""
    half_sum, half_rest = (n + m) // 2, (n - m) // 2
    total = torch.zeros_like(squares)
    for k in range(half_rest + 1):
        below = math.factorial(k) * math.factorial(half_sum - k) * math.factorial(half_rest - k)
        total = total * squares + (-1) ** k * math.factorial(n - k) / below
    return total


def _angular(x: Float[Tensor, "..."], y: Float[Tensor, "..."], m: int) -> Float[Tensor, "..."]:
    """Return k^|m| cos(m phi), or k^|m| sin(|m| phi) where m is negative."""
    power = torch.complex(x, y) ** abs(m)
    return power.real if m >= 0 else power.imag
