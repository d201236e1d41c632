"""A prior of a bare function f(x, tau): one's own denoiser, and what its images look like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import pixel_variance, power_spectrum, radial_average, shell_index
from cryoprior.prior.checkpoint import Prior
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.signal import Spectra

Function = Callable[[Tensor, Tensor], Any]


class FunctionDenoiser:
    """E[x0 | x0 + tau e = x] from a function in a grey scale of its own, x_function = scale x + offset.

    Parameters
    ----------
    function: called as f(x, tau), (b, box, box) and (b,), both in its own grey scale; returns (b, box, box).
    box: pixels a side of its images.
    power: E|X_k|^2 of its images on the rfft2 grid, in the prior's grey scale (standard deviation 1).
    """

    def __init__(
        self, function: Function, box: int, power: Float[Tensor, "box half"], scale: float = 1.0, offset: float = 0.0
    ) -> None:
        self.function, self.box, self.power = function, box, power
        self.scale, self.offset = scale, offset

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return what the function makes of x, in the prior's grey scale; InputError for images of another shape."""
        denoised = self.function(self.scale * x + self.offset, self.scale * tau.to(x))
        if not isinstance(denoised, Tensor) or denoised.shape != x.shape:
            shape = f"shape {tuple(denoised.shape)}" if isinstance(denoised, Tensor) else type(denoised).__name__
            raise InputError(
                f"as_prior: the function returned {shape} for x of shape {tuple(x.shape)}; "
                "expected a tensor of that shape, one denoised image for each"
            )
        return (denoised.to(x) - self.offset) / self.scale

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return the power spectrum of its images; InputError for another box."""
        if box != self.box:
            raise InputError(f"as_prior: box {box}; the function was said to know {self.box}; measure with that box")
        return self.power


def as_prior(
    function: Function,
    *,
    box: int,
    spectrum: Tensor | np.ndarray,
    mean: float | None = None,
    name: str | None = None,
) -> Prior:
    """Return the prior of a denoiser f(x, tau), ready for every solver: its grey scale is found from its spectrum.

    Parameters
    ----------
    function: returns E[x0 | x0 + tau e = x] for images x, (b, box, box), and noise levels tau, (b,), standard
        deviations in the grey scale of x. No image may depend on another of its batch. Solvers that need its
        derivative take it by autograd.
    box: pixels a side of the images that it knows.
    spectrum: what its images x0 look like: images, (n, box, box), or their power, E|X_k|^2 of the orthonormal rfft2,
        by shell from the centre outwards, (shells,), or on the grid, (box, box // 2 + 1), image means removed.
    mean: the grey value about which its images vary; that of the images where they are given, 0 otherwise.
    name: what messages call it; the function's own name by default.

    Raises
    ------
    InputError: a spectrum of another shape, with values that are not finite or negative, or without power.
    """
    given = torch.as_tensor(np.array(spectrum) if not isinstance(spectrum, Tensor) else spectrum).detach().double()
    if not bool(torch.isfinite(given).all()):
        raise InputError("<spectrum>: values that are not finite; expected images or powers")
    if given.ndim == 3 and mean is None:
        mean = float(given.mean())
    offset = mean or 0.0
    curve = _radial_power(given, box, offset)
    scale = float(pixel_variance(curve[shell_index(box)])) ** 0.5
    if not bool((curve >= 0).all()) or not scale > 0:
        raise InputError("<spectrum>: negative powers, or none at all; expected images that vary, or their power")
    curve = curve / scale**2
    denoiser = FunctionDenoiser(function, box, curve[shell_index(box)].float(), scale, offset)
    known = name or str(getattr(function, "__name__", type(function).__name__))
    spectra = Spectra(tuple(curve.tolist()), (0.0,) * len(curve))
    config = PriorConfig("function", (), 0, {box: spectra}, {}, (0.0, 0.0), description=f"the function {known}")
    return Prior(denoiser, config, Path(known))


def _radial_power(given: Float[Tensor, "..."], box: int, mean: float) -> Float[Tensor, "shells"]:
    """Return the power by shell, from the centre to the corner, that a spectrum in any of its forms stands for."""
    shells = int(shell_index(box).max()) + 1
    if given.ndim == 3 and given.shape[1:] == (box, box) and len(given):
        return radial_average(power_spectrum(given - mean))
    if given.ndim == 2 and given.shape == (box, box // 2 + 1):
        return radial_average(given)
    if given.ndim == 1 and len(given) >= box // 2 + 1:
        missing = max(0, shells - len(given))
        return torch.cat([given, given[-1:].expand(missing)])[:shells]
    raise InputError(
        f"<spectrum>: shape {tuple(given.shape)}; expected images (n, {box}, {box}), a grid ({box}, {box // 2 + 1}), "
        f"or at least {box // 2 + 1} shells; for another box pass <box>"
    )
