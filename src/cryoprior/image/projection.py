"""Projections of a map as a microscope would record them: orientation, in-plane shift, CTF."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch_fourier_shift import fourier_shift_dft_2d
from torch_fourier_slice import project_3d_to_2d


def rotation_matrices(euler_deg: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Return the rotation of each (rot, tilt, psi) in degrees, acting on xyz column vectors from the left.

    Source: RELION's Euler angles are ZYZ; checked against ``relion_project``.
    """
    matrices = Rotation.from_euler("ZYZ", euler_deg.cpu().numpy(), degrees=True).as_matrix()
    return torch.as_tensor(matrices, dtype=euler_deg.dtype, device=euler_deg.device)


def slice_matrices(
    euler_deg: Float[Tensor, "b 3"], magnification: Float[Tensor, "b 2 2"] | None = None
) -> Float[Tensor, "b 3 3"]:
    """Return what maps a frequency (x, y, 0) of an image into the transform of the map: R, or R M where magnified.

    Source: RELION; checked against ``relion_project``.
    """
    rotations = rotation_matrices(euler_deg)
    if magnification is None:
        return rotations
    along = rotations[:, :, :2] @ magnification.to(rotations)
    return torch.cat((along, rotations[:, :, 2:]), dim=2)


def project_particles(
    volume: Float[Tensor, "d d d"],
    euler_deg: Float[Tensor, "b 3"],
    origin_pixel: Float[Tensor, "b 2"],
    ctf: Float[Tensor, "b box half"] | Complex[Tensor, "b box half"] | None = None,
    magnification: Float[Tensor, "b 2 2"] | None = None,
) -> Float[Tensor, "b box box"]:
    """Return the projection of the volume for every pose, shifted and CTF-modulated, up to Nyquist, (b, d, d).

    Parameters
    ----------
    volume: the map, z y x, centred at d // 2.
    euler_deg: RELION's rot, tilt, psi.
    origin_pixel: RELION's origin (x, y) in pixels: the image is shifted by its negative.
    ctf: transfer function on the rfft2 grid, or None.
    magnification: RELION's matrix M: the image at frequency k is the projection at M k.

    Source: RELION conventions; correlation with ``relion_project --ctf`` above 0.9999 (tested).
    """
    box = volume.shape[-1]
    transform = torch.fft.rfft2(_projections(volume, slice_matrices(euler_deg, magnification).to(volume)))
    shift_yx = -origin_pixel.flip(-1).to(volume)
    transform = fourier_shift_dft_2d(transform, (box, box), shift_yx, rfft=True, fftshifted=False)
    if ctf is not None:
        transform = transform * ctf.to(transform if ctf.is_complex() else volume)
    shifted: Tensor = torch.fft.irfft2(transform, s=(box, box))
    return shifted


def _projections(volume: Float[Tensor, "d d d"], rotations: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b d d"]:
    """Return the projections; an odd box gets a plane before each axis, since the library pads it off its centre."""
    odd = volume.shape[-1] % 2
    even = torch.nn.functional.pad(volume, (odd, 0) * 3)
    images: Tensor = project_3d_to_2d(even, rotations, pad_factor=2.0, fftfreq_max=0.5)
    return images[..., odd:, odd:]
