"""A prior fitted to the data set at hand: its grey scale and its power spectrum, from measurements alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import pixel_variance, shell_index
from cryoprior.measurement.appearance import fit_spectrum
from cryoprior.measurement.intensity import (
    Contrast,
    Intensity,
    contrast_clearness,
    contrast_doubt,
    decide_contrast,
    fit_intensity,
)
from cryoprior.operators import Operator
from cryoprior.prior.denoiser import Denoiser, Tunable


@dataclass(frozen=True)
class Calibration:
    """A denoiser for the data at hand, the map from its grey scale to theirs, and the sign of their contrast.

    doubt: why the user should pass the contrast, an empty text where nothing speaks against the one that was decided.
    """

    denoiser: Denoiser
    intensity: Intensity
    contrast: Contrast
    doubt: str = ""


def calibrate(
    y: Float[Tensor, "b m"],
    operator: Operator,
    denoiser: Denoiser,
    sigma: float,
    particles: Sequence[int],
    *,
    spectrum: bool = True,
    contrast: str = "auto",
) -> Calibration:
    """Return the prior in the grey scale and contrast of the measurements and, where it can be, with their spectrum.

    Parameters
    ----------
    y: measurements of a fixed sample of the stack, in the input's grey scale, (b, m).
    sigma: standard deviation of the noise on y, in the same scale.
    spectrum: False keeps the spectrum that the prior was trained with.
    contrast: ``bright``, ``dark``, or ``auto`` to look at the images; the scale of the map of dark ones is negative.

    Raises
    ------
    InputError: measurements with no power above sigma.
    """
    decided = decide_contrast(contrast, contrast_clearness(operator.pinv(y, particles)))
    doubt = contrast_doubt(decided, operator, y, particles)
    power = denoiser.spectrum(operator.box).to(y)
    intensity = fit_intensity(y, operator, power, sigma, particles)
    if spectrum and isinstance(denoiser, Tunable):
        inner = intensity.to_prior(y, operator, particles)
        inside, relative = intensity.operator(operator), sigma / intensity.scale
        factor = fit_spectrum(inner, inside, power, relative, particles)
        variance = float(pixel_variance(power * factor[shell_index(operator.box, y.device)]))
        denoiser = denoiser.with_power_factor(operator.box, factor / variance)
        intensity = Intensity(intensity.offset, intensity.scale * variance**0.5)
    scale = -intensity.scale if decided.particles == "dark" else intensity.scale
    return Calibration(denoiser, Intensity(intensity.offset, scale), decided, doubt)
