"""Which sign the particle has in a map."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.volume_filters import lowpass_volume

PARTICLE_VOXELS = 0.005
"""The share of the voxels, the most extreme on either side, that are weighed against each other."""


def is_dark(volume: Float[Tensor, "d d d"], voxel_size_angstrom: float) -> bool:
    """Return whether the particle is darker than the solvent: the low-passed map reaches further below its median.

    Density is positive, so of a map with the right sign the few extreme voxels lie above the solvent.
    """
    d = volume.shape[-1]
    smooth = lowpass_volume(volume, voxel_size_angstrom, max(20.0, 6 * voxel_size_angstrom)).double()
    axis = torch.arange(d, dtype=torch.float64, device=volume.device) - d // 2
    radius = (axis[:, None, None].square() + axis[None, :, None].square() + axis.square()).sqrt()
    values = smooth[radius < d / 2].sort().values
    count = max(1, round(PARTICLE_VOXELS * len(values)))
    centre = values[len(values) // 2]
    return bool(values[-count:].mean() - centre < centre - values[:count].mean())
