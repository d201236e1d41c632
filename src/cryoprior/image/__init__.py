"""Maths on images and volumes: pure functions of tensors, device and dtype follow the input."""

from __future__ import annotations

from cryoprior.image.ctf import ctf_image
from cryoprior.image.potential import assembly_model, potential_map
from cryoprior.image.projection import project_particles
from cryoprior.image.spectrum import (
    apply_filter,
    background_spectrum,
    frequency_radius,
    power_spectrum,
    radial_average,
    radial_filter,
    shell_index,
)

__all__ = [
    "apply_filter",
    "assembly_model",
    "background_spectrum",
    "ctf_image",
    "frequency_radius",
    "potential_map",
    "power_spectrum",
    "project_particles",
    "radial_average",
    "radial_filter",
    "shell_index",
]
