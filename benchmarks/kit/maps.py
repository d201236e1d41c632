"""Maps of one particle file by both programs, as their users make them, and what a map has of the truth by shell."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior import make_maps, read_particles
from cryoprior.external.relion import reconstruct
from cryoprior.image.symmetry import point_group
from cryoprior.io import read_map
from cryoprior.metrics.fsc import volume_shell_sums


def our_map(star: Path, symmetry: str = "C1") -> Float[Tensor, "d d d"]:
    """Return the map of all particles that ``cryoprior map`` makes with its defaults."""
    return make_maps(read_particles(star), symmetry=symmetry, device="cpu").full


def relion_map(star: Path, output: Path, symmetry: str = "C1", half: int | None = None) -> Float[Tensor, "d d d"]:
    """Return the map that ``relion_reconstruct --ctf`` makes, or that of a half set; it is written to ``output``."""
    return volume(reconstruct(star, output, symmetry, half=half))


def volume(path: Path) -> Float[Tensor, "d d d"]:
    """Return a map from its file."""
    return torch.from_numpy(read_map(path)[0].copy())


def amplitude_ratio(found: Float[Tensor, "d d d"], truth: Float[Tensor, "d d d"]) -> Float[Tensor, " shells"]:
    """Return the slope of the regression of a map on the truth by shell, float64: 1 where amplitudes are right.

    Noise, which does not go with the truth, does not change it on average.
    """
    ours, theirs = (torch.fft.rfftn(each.double(), norm="ortho") for each in (found, truth))
    power = volume_shell_sums(theirs.abs().square())
    return volume_shell_sums((ours * theirs.conj()).real) / power.clamp_min(1e-300)


def symmetrised(found: Float[Tensor, "d d d"], symmetry: str) -> Float[Tensor, "d d d"]:
    """Return the mean of a map over a point group whose rotations turn the grid onto itself, exact voxel by voxel."""
    turned = torch.zeros_like(found, dtype=torch.float64)
    group = point_group(symmetry)
    for mate in group:
        axes = mate.flip(0, 1)  # xyz to zyx
        signs = axes.round().sum(1)
        assert torch.allclose(axes, axes.round(), atol=1e-9), f"{symmetry} turns voxels to places between voxels"
        backwards = [axis for axis in range(3) if signs[axis] < 0]
        copy = found.double().permute(*axes.abs().argmax(1).tolist())
        # the centre is voxel d // 2, so that of an even box the first voxel has no counterpart
        turned += copy.flip(backwards).roll([1 - found.shape[0] % 2] * len(backwards), backwards) if backwards else copy
    return (turned / len(group)).to(found)
