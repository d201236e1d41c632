"""The transfer of particles: what an image holds of each frequency of its projection, and how a sum takes it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from cryoprior.image.aberrations import frequencies, tilt_phase, zernike_phase
from cryoprior.image.ctf import ctf_image

ODD = ("beam_tilt_x_mrad", "odd_zernike")


@dataclass(frozen=True, eq=False)
class Transfer:
    """The transfer of b particles on the rfft2 grid.

    ctf: with scale and B-factor; its magnitude where the images were phase-flipped.
    phase: exp(i phi) of beam tilt and odd aberrations; None where there are none.
    premultiplied: whether the images were multiplied by their CTF once more; None where none was.
    """

    ctf: Float[Tensor, "b box half"]
    phase: Complex[Tensor, "b box half"] | None = None
    premultiplied: Bool[Tensor, " b"] | None = None

    @property
    def image(self) -> Float[Tensor, "b box half"] | Complex[Tensor, "b box half"]:
        """What the transform of a projection is multiplied by: c exp(i phi), or c^2 exp(i phi) where premultiplied."""
        held = self.ctf
        if self.premultiplied is not None:
            held = torch.where(self.premultiplied[:, None, None], held.square(), held)
        return held if self.phase is None else held * self.phase

    @property
    def back(self) -> Float[Tensor, "b box half"] | Complex[Tensor, "b box half"]:
        """What the transform of an image is multiplied by before it is summed with the weight: its CTF, once in all.

        Premultiplied images bear it, and noise that it multiplied: they are summed as they are.
        """
        once = self.ctf
        if self.premultiplied is not None:
            once = torch.where(self.premultiplied[:, None, None], 1.0, once)
        return once if self.phase is None else once * self.phase.conj()

    @property
    def weight(self) -> Float[Tensor, "b box half"]:
        """What a frequency of these particles weighs in a sum: c^2."""
        return self.ctf.square()


def particle_transfer(parameters: Mapping[str, Tensor], pixel_size: Float[Tensor, " b"], box: int) -> Transfer:
    """Return the transfer of particles.

    Parameters
    ----------
    parameters: as :func:`cryoprior.io.geometry.table_ctf` gives them, tensors of b rows: those of
        :func:`cryoprior.image.ctf.ctf_image`, ``beam_tilt_x_mrad``, ``beam_tilt_y_mrad`` and ``odd_zernike``, (b, c),
        a phase; ``premultiplied`` and ``phase_flipped``, (b,) bool.
    pixel_size: angstrom per pixel, (b,).
    """
    ctf = ctf_image(parameters, pixel_size, box)
    if "phase_flipped" in parameters:
        ctf = torch.where(parameters["phase_flipped"][:, None, None], ctf.abs(), ctf)
    return Transfer(ctf, _odd_phase(parameters, pixel_size, box), parameters.get("premultiplied"))


def _odd_phase(
    parameters: Mapping[str, Tensor], pixel_size: Float[Tensor, " b"], box: int
) -> Complex[Tensor, "b box half"] | None:
    """Return exp(i phi) of what has no inversion symmetry; tilt and Zernike terms add, as in RELION."""
    if not any(name in parameters for name in ODD):
        return None
    grid, phase = frequencies(pixel_size, box, parameters.get("magnification")), torch.zeros(())
    if "beam_tilt_x_mrad" in parameters:
        tilt = parameters["beam_tilt_x_mrad"], parameters["beam_tilt_y_mrad"]
        phase = phase.to(pixel_size) + tilt_phase(*tilt, parameters["voltage_kv"], parameters["cs_mm"], grid)
    if "odd_zernike" in parameters:
        phase = phase.to(pixel_size) + zernike_phase(parameters["odd_zernike"], grid, odd=True)
    return torch.polar(torch.ones_like(phase), phase)
