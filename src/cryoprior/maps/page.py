"""The page of ``map``: sections, curves, resolutions, and what they may be trusted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from cryoprior.report.figures import shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Section, Table
from cryoprior.report.volumes import slice_montage

HALVES = (
    "The FSC of two half maps measures what they share. With a prior they share more than signal: what it adds to both "
    "halves correlates too, so half maps of reconstructed images flatter them. The map of the measurements alone has "
    "no such error; trust the difference between the two only where a true map confirms it."
)
CORRECTED = (
    "Corrected: within the mask, with the part that the mask itself brings taken out by randomising phases (Chen et "
    "al. 2013). Resolutions are linear between Fourier shells."
)


@dataclass(frozen=True)
class MapPage:
    """What the page shows: rows of (method, n, resolutions in angstrom, with the truth where known) and pictures."""

    facts: Sequence[tuple[str, str]]
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    resolution_angstrom: Float[np.ndarray, " shells"]
    curves: Mapping[str, Float[np.ndarray, " shells"]]
    methods: Mapping[str, Float[np.ndarray, " shells"]]
    against: str
    maps: Mapping[str, Float[np.ndarray, "d d d"]]
    voxel_size_angstrom: float
    prior_inside: bool
    warnings: Sequence[Alert] = field(default_factory=list)

    def fsc_picture(self) -> bytes:
        """Return the curves of the map's own half maps as PNG."""
        label = "Fourier shell correlation"
        return shell_curves(self.resolution_angstrom, self.curves, label, -0.1, 1.05, line=(0.143, 0.5))

    def slices_picture(self) -> bytes:
        """Return central sections of the maps as PNG."""
        return slice_montage(self.maps, self.voxel_size_angstrom)

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        head: list[Block] = [*self.warnings, KeyValues(self.facts)]
        results: list[Block] = [Table(self.columns, self.rows, "Resolutions in angstrom.", strong=(0,))]
        if self.prior_inside:
            results.append(Alert("Half maps of reconstructed images share the prior", HALVES, "note"))
        curves: list[Block] = [
            Picture(self.fsc_picture(), "FSC of the half maps: unmasked, masked, randomised, corrected", CORRECTED)
        ]
        if len(self.methods) > 1:
            label = f"FSC with the {self.against}"
            picture = shell_curves(self.resolution_angstrom, self.methods, label, -0.1, 1.05, line=(0.143, 0.5))
            curves.append(Picture(picture, f"FSC with the {self.against} of every map", f"Within the mask; {label}."))
        looks: list[Block] = [
            Picture(self.slices_picture(), "central sections of the maps", "Central sections along z, y and x."),
            Prose("All maps have the grey scale of the first."),
        ]
        return [
            Section("", head),
            Section("Resolution", results),
            Section("Fourier shell correlation", curves),
            Section("Sections", looks),
        ]
