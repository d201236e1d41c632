"""Maths on images and volumes: pure functions of tensors, device and dtype follow the input."""

from __future__ import annotations

from cryoprior.image.alignment import Alignment, align, transform_volume
from cryoprior.image.backprojection import Backprojector, centred_transforms
from cryoprior.image.ctf import ctf_image
from cryoprior.image.potential import assembly_model, potential_map
from cryoprior.image.projection import project_particles
from cryoprior.image.soft_mask import soft_mask, sphere_mask
from cryoprior.image.spectrum import (
    apply_filter,
    background_spectrum,
    frequency_radius,
    power_spectrum,
    radial_average,
    radial_filter,
    shell_index,
)
from cryoprior.image.symmetry import point_group
from cryoprior.image.volume_filters import lowpass_volume

__all__ = [
    "Alignment",
    "Backprojector",
    "align",
    "apply_filter",
    "assembly_model",
    "background_spectrum",
    "centred_transforms",
    "ctf_image",
    "frequency_radius",
    "lowpass_volume",
    "point_group",
    "potential_map",
    "power_spectrum",
    "project_particles",
    "radial_average",
    "radial_filter",
    "shell_index",
    "soft_mask",
    "sphere_mask",
    "transform_volume",
]
