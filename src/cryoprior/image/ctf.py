"""The contrast transfer function of particles, in RELION's sign."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch_ctf import calculate_ctf_2d

from cryoprior.image.aberrations import Frequencies, frequencies, wavelength_angstrom, zernike_phase


def ctf_image(parameters: Mapping[str, Tensor], pixel_size: Tensor, box: int) -> Float[Tensor, "b box half"]:
    """Return the CTF of every particle on the rfft2 grid, (b, box, box // 2 + 1).

    Parameters
    ----------
    parameters: (b,) tensors ``defocus_u_angstrom``, ``defocus_v_angstrom``, ``defocus_angle_deg``, ``voltage_kv``,
        ``cs_mm``, ``amplitude_contrast`` and ``phase_shift_deg``; underfocus is positive. Where given also
        ``bfactor_angstrom2`` and ``scale``, the factor scale exp(-B k^2 / 4); ``even_zernike``, (b, c), added to the
        phase; ``magnification``, (b, 2, 2), RELION's matrix, which maps every frequency first.
    pixel_size: angstrom per pixel, (b,).

    The sign is RELION's: multiplied with the transform of a projection of positive density it gives what
    ``relion_project --ctf`` gives.
    Source: torch_ctf, and RELION for the rest; conventions checked against RELION 3.1.
    """
    magnification = parameters.get("magnification")
    if magnification is None and "even_zernike" not in parameters:
        ctf = _plain(parameters, pixel_size, box)
    else:
        grid = frequencies(pixel_size, box, magnification)
        phase = _phase(parameters, grid)
        if "even_zernike" in parameters:
            phase = phase + zernike_phase(parameters["even_zernike"], grid, odd=False)
        ctf = -phase.sin()
    if "bfactor_angstrom2" in parameters:
        x, y = frequencies(pixel_size, box, magnification)
        ctf = ctf * (-parameters["bfactor_angstrom2"][:, None, None] / 4 * (x.square() + y.square())).exp()
    return ctf * parameters["scale"][:, None, None] if "scale" in parameters else ctf


def _plain(parameters: Mapping[str, Tensor], pixel_size: Tensor, box: int) -> Float[Tensor, "b box half"]:
    u, v = parameters["defocus_u_angstrom"], parameters["defocus_v_angstrom"]
    angle = parameters["defocus_angle_deg"]
    # torch_ctf gives NaN for a negative astigmatism; the same ellipse has u and v exchanged and its axis turned
    angle = torch.where(v > u, angle + 90.0, angle)
    u, v = torch.maximum(u, v), torch.minimum(u, v)
    ctf: Tensor = calculate_ctf_2d(
        defocus=(u + v) / 2e4,
        astigmatism=(u - v) / 2e4,
        astigmatism_angle=angle,
        voltage=parameters["voltage_kv"],
        spherical_aberration=parameters["cs_mm"],
        amplitude_contrast=parameters["amplitude_contrast"],
        phase_shift=parameters["phase_shift_deg"],
        pixel_size=pixel_size,
        image_shape=(box, box),
        rfft=True,
        fftshift=False,
    )
    return ctf


def _phase(parameters: Mapping[str, Tensor], grid: Frequencies) -> Float[Tensor, "b box half"]:
    """Return the symmetric phase at any frequencies, of which the CTF is minus the sine; torch_ctf has one grid."""
    p = {key: value[:, None, None] for key, value in parameters.items() if value.ndim == 1}
    wavelength = wavelength_angstrom(parameters["voltage_kv"])[:, None, None]
    (x, y), angle = grid, torch.deg2rad(p["defocus_angle_deg"])
    along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    defocused = p["defocus_u_angstrom"] * along.square() + p["defocus_v_angstrom"] * across.square()
    spherical = 0.5e7 * p["cs_mm"] * wavelength**3 * (x.square() + y.square()).square()
    constant = torch.deg2rad(p["phase_shift_deg"]) + torch.asin(p["amplitude_contrast"])
    return math.pi * (spherical - wavelength * defocused) - constant
