"""Measurements y = A x + noise: how they are made, and what they say by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.measurement.intensity import Contrast, Intensity
    from cryoprior.measurement.measuring import fit_levels, measure
    from cryoprior.measurement.reading import open_measurements

__all__ = ["Contrast", "Intensity", "fit_levels", "measure", "open_measurements"]

__getattr__ = lazy_names(
    __name__,
    {"intensity": ("Contrast", "Intensity"), "measuring": ("fit_levels", "measure"), "reading": ("open_measurements",)},
)
