"""Maps of measurements that mix frequencies: the same problem with the operator in it, by passes over the particles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.image.backprojection import Backprojector, centring
from cryoprior.image.descent import Descent
from cryoprior.image.normal_equations import NormalEquations
from cryoprior.image.regularised import Solution
from cryoprior.image.slices import VolumeSlices
from cryoprior.io.rows import row_batches
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings, insert
from cryoprior.progress import track

RESIDUAL = 2e-2
"""Passes end where the residual falls to this part of the target; see :class:`cryoprior.image.descent.Descent`."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The equations of one map, its target and lambda, and the solution as if no image mixed frequencies."""

    equations: NormalEquations
    target: Float[Tensor, "d d d"]
    ridge: Float[Tensor, " shells"]
    solution: Solution


@dataclass(frozen=True)
class ParticlePasses:
    """sum_i P_i' T_i A_i+ A_i T_i P_i of a source, T the transfer, by a pass over its particles; no image is read.

    Particles are taken by mask set, so that what a set needs is made once a pass.
    """

    source: Source
    settings: MapSettings

    def apply(self, volumes: Sequence[Float[Tensor, "d d d"]], label: str) -> list[Float[Tensor, "d d d"]]:
        """Return the sums over half 1, half 2 and all particles, each of its own volume."""
        box, device = self.source.box, self.settings.device
        slices = [VolumeSlices(volume.float()) for volume in volumes]
        first, second, whole = (Backprojector(box, device=device) for _ in volumes)
        order = np.argsort(self.source.mask_sets, kind="stable")
        for batch in track(row_batches(self.source.n, self.settings.batch), label):
            rows = order[np.array(batch)]
            by_half, of_all = self._seen(slices, rows).chunk(2)
            none = torch.zeros_like(by_half.real)
            for sums, numerators in (((first, second), by_half), ((whole, whole), of_all)):
                insert(sums, self.source.geometry, rows, numerators, none, self.settings.symmetry)
        return [sums.target() for sums in (first, second, whole)]

    def _seen(self, slices: Sequence[VolumeSlices], rows: np.ndarray) -> Complex[Tensor, "two_b box half"]:
        """Return T A+ A T P v of these rows, of the maps of their halves and of the map of all."""
        geometry, box = self.source.geometry, self.source.box
        like = torch.empty(len(rows), box, box, device=self.settings.device)
        rotations = geometry.slices(rows, like)
        transforms = torch.zeros(2 * len(rows), box, box // 2 + 1, dtype=torch.complex64, device=like.device)
        for half in (1, 2):
            here = np.flatnonzero(geometry.half[rows] == half)
            if len(here):
                transforms[here] = slices[half - 1].read(rotations[here])
        transforms[len(rows) :] = slices[2].read(rotations)
        centre = centring(like, torch.as_tensor(geometry.origin_pixel[rows], device=like.device)).repeat(2, 1, 1)
        transfer = geometry.transfer(rows, like)
        turned = centre if transfer is None else centre * transfer.image.conj().repeat(2, 1, 1)
        images = torch.fft.irfft2(transforms * turned.conj(), s=(box, box))
        seen: Tensor = torch.fft.rfft2(self.source.seen(images, np.concatenate((rows, rows))))
        return seen * turned


def solve_by_passes(
    passes: ParticlePasses, problems: Sequence[Problem], most: int, label: str = "map"
) -> list[Solution]:
    """Return the solutions of the maps of half 1, half 2 and all particles with the operator in their equations.

    Conjugate gradients, each problem its own, one pass a step for the three of them. Every step lowers the objective.

    Parameters
    ----------
    problems: those in which no image mixes frequencies; their solutions are the start, their circulants precondition.
    most: passes at most.
    """
    descents = [Descent(p.equations, p.target, p.ridge, p.solution.volume) for p in problems]
    for done in range(1, most + 1):
        images = passes.apply([descent.asked for descent in descents], f"{label}, pass {done}")
        for descent, image in zip(descents, images, strict=True):
            descent.take(image)
        if all(descent.residual <= RESIDUAL for descent in descents):
            break
    return [Solution(d.volume, done, d.residual, d.residual <= RESIDUAL) for d in descents]
