"""Maps of measurements that mix frequencies, refined: what the map does not explain of y is back-projected again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image import project_particles
from cryoprior.maps.backprojection import MapSet, MapSettings, backproject_maps
from cryoprior.maps.geometry import Geometry
from cryoprior.maps.source import Source, Views


@dataclass(frozen=True)
class Unexplained(Source):
    """The part of measured images that projections of a map do not explain: A+ (y - A CTF P v).

    volumes: the map of each half set.
    """

    source: Source
    volumes: Sequence[Float[Tensor, "d d d"]]
    contrast: float

    @property
    def path(self) -> Path:
        return self.source.path

    @property
    def files(self) -> tuple[Path, ...]:
        return self.source.files

    @property
    def n(self) -> int:
        return self.source.n

    @property
    def box(self) -> int:
        return self.source.box

    @property
    def geometry(self) -> Geometry:
        return self.source.geometry

    @property
    def mixes(self) -> bool:
        return self.source.mixes

    def views(self, rows: np.ndarray) -> Views:
        images, share = self.source.views(rows)
        return images - self.source.seen(self._projections(rows, images), rows), share

    def seen(self, images: Float[Tensor, "b box box"], rows: np.ndarray) -> Float[Tensor, "b box box"]:
        return self.source.seen(images, rows)

    def _projections(self, rows: np.ndarray, like: Tensor) -> Float[Tensor, "b box box"]:
        geometry, images = self.geometry, torch.empty_like(like)
        for half, volume in enumerate(self.volumes, start=1):
            here = np.flatnonzero(geometry.half[rows] == half)
            if len(here):
                images[here] = self.contrast * _project(geometry, rows[here], volume.to(like))
        return images


def make_refined_maps(source: Source, settings: MapSettings, label: str = "map") -> MapSet:
    """Return the maps of a source, refined ``settings.refinements`` times where its images mix frequencies.

    Weights CTF^2 q treat what A+ A mixes into a frequency from others as noise. It is not: the map predicts it. Every
    refinement adds the map of the unexplained part, a preconditioned step towards the minimum of
    sum_i ||A+ (y_i - A CTF_i P_i v)||^2, by two more passes over all images, for the halves and for the full map.
    """
    maps = backproject_maps(source, settings, label)
    for step in range(1, 1 + source.mixes * settings.refinements):
        halves = Unexplained(source, (maps.half_1, maps.half_2), settings.contrast)
        whole = Unexplained(source, (maps.full, maps.full), settings.contrast)
        change = backproject_maps(halves, settings, f"{label}, refinement {step}, halves")
        full = backproject_maps(whole, settings, f"{label}, refinement {step}, all").full
        maps = dataclasses.replace(
            maps, half_1=maps.half_1 + change.half_1, half_2=maps.half_2 + change.half_2, full=maps.full + full
        )
    return maps


def _project(geometry: Geometry, rows: np.ndarray, volume: Float[Tensor, "d d d"]) -> Float[Tensor, "b box box"]:
    euler, origin = (
        torch.as_tensor(a[rows], device=volume.device) for a in (geometry.euler_deg, geometry.origin_pixel)
    )
    transfer = geometry.transfer(rows, volume)
    held = None if transfer is None else transfer.image
    return project_particles(volume, euler, origin, held, geometry.magnification(rows, volume))
