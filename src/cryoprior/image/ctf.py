"""The contrast transfer function of particles, in RELION's sign."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch_ctf import calculate_ctf_2d


def ctf_image(parameters: Mapping[str, Tensor], pixel_size: Tensor, box: int) -> Float[Tensor, "b box half"]:
    """Return the CTF of every particle on the rfft2 grid, (b, box, box // 2 + 1).

    Parameters
    ----------
    parameters: (b,) tensors ``defocus_u_angstrom``, ``defocus_v_angstrom``, ``defocus_angle_deg``, ``voltage_kv``,
        ``cs_mm``, ``amplitude_contrast`` and ``phase_shift_deg``; underfocus is positive.
    pixel_size: angstrom per pixel, (b,).

    The sign is RELION's: multiplied with the transform of a projection of positive density it gives what
    ``relion_project --ctf`` gives.
    Source: torch_ctf; conventions checked against RELION 3.1.
    """
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
