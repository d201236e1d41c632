"""The page of ``map``: sections, curves, resolutions, and what they may be trusted for."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import for_command_line
from cryoprior.maps.anisotropy import Anisotropy
from cryoprior.maps.denoised import denoised_alert
from cryoprior.maps.files import fsc_filtered
from cryoprior.maps.job import MapJob
from cryoprior.maps.judgement import Judgement, NamedMaps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.same_maps import distinct_maps, sameness
from cryoprior.maps.verdict import prior_inside
from cryoprior.metrics.fsc import Resolution
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.report.figures import shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Lead, Picture, Prose, Section, Table, write_page
from cryoprior.report.volumes import slice_montage

log = logging.getLogger("cryoprior")

HALVES = (
    "The FSC of two half maps measures what they share. With a prior they share more than signal: what it adds to both "
    "halves correlates too, so half maps of reconstructed images flatter them. The map of the measurements alone has "
    "no such error; trust the difference between the two only where a true map confirms it."
)
CORRECTED = (
    "Corrected: within the mask, with the part that the mask itself brings taken out by randomising phases (Chen et "
    "al. 2013). Resolutions are linear between Fourier shells."
)
SECTIONS = (
    "Central sections along z, y and x of the maps filtered by their FSC. One without a resolution is shown as it is. "
    "All have the grey scale of the first."
)
SIDE_BY_SIDE, SECTION_WIDTH, CURVES_WIDTH = 3, 220, 720
"""Maps beside each other, so that their names can be read on a phone, and widths of pictures in CSS pixels."""


@dataclass(frozen=True)
class MapPage:
    """What the page shows: rows of (method, n, resolutions in angstrom, with the truth where known) and pictures.

    says: the map in one sentence, which opens the page. notes: sentences under the table.
    """

    says: str
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
    notes: Sequence[str] = ()

    def fsc_picture(self) -> bytes:
        """Return the curves of the map's own half maps as PNG."""
        label = "Fourier shell correlation"
        return shell_curves(self.resolution_angstrom, self.curves, label, -0.1, 1.05, line=(0.143, 0.5))

    def slices_picture(self) -> bytes:
        """Return central sections of the maps as PNG."""
        return slice_montage(self.maps, self.voxel_size_angstrom, SIDE_BY_SIDE)

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        head: list[Block] = [Lead(self.says), *self.warnings, KeyValues(self.facts)]
        results: list[Block] = [Table(self.columns, self.rows, "Resolutions in angstrom.", strong=(0,))]
        results += [Prose(note) for note in self.notes]
        if self.prior_inside:
            results.append(Alert("Half maps of reconstructed images share the prior", HALVES, "note"))
        curves: list[Block] = [
            Picture(self.fsc_picture(), "FSC of the half maps by how they were masked", CORRECTED, CURVES_WIDTH)
        ]
        if len(self.methods) > 1:
            label = f"FSC with the {self.against}"
            picture = shell_curves(self.resolution_angstrom, self.methods, label, -0.1, 1.05, line=(0.143, 0.5))
            alt = f"FSC with the {self.against} of every map"
            curves.append(Picture(picture, alt, f"Within the mask; {label}.", CURVES_WIDTH))
        width = SECTION_WIDTH * min(SIDE_BY_SIDE, len(self.maps))
        looks = Picture(self.slices_picture(), "central sections of the maps", SECTIONS, width)
        return [
            Section("", head),
            Section("Resolution", results),
            Section("Fourier shell correlation", curves),
            Section("Sections", [looks]),
        ]


def write_map_page(
    folder: Path,
    job: MapJob,
    named: Sequence[NamedMaps],
    says: str,
    symmetry: str,
    mask_from: str,
    truth: Float[np.ndarray, "d d d"] | None,
    warnings: Sequence[Alert],
    more: Sequence[Section] = (),
) -> None:
    """Write report.html, fsc.png and slices.png of maps beside each other; the first is the one that was asked for.

    Parameters
    ----------
    says: the map in one sentence. more: sections that follow.
    """
    facts = map_facts(job, named[0].maps, symmetry, mask_from)
    page = map_page(named, says, facts, truth, warnings, prior_inside=prior_inside(job, named))
    (folder / "fsc.png").write_bytes(page.fsc_picture())
    (folder / "slices.png").write_bytes(page.slices_picture())
    write_page(folder / "report.html", "Map report", [*page.sections(), *more], named[0].name)


def map_page(
    named: Sequence[NamedMaps],
    says: str,
    facts: Sequence[tuple[str, str]],
    truth: Float[np.ndarray, "d d d"] | None,
    warnings: Sequence[Alert],
    *,
    prior_inside: bool,
) -> MapPage:
    """Return the page of maps; methods are compared by the true map where it is known, else by their other halves.

    Of maps that are numerically one the first is shown, and a sentence says what the others are.
    """
    kept, equals = distinct_maps(named)
    named = [named[place] for place in kept]
    first = named[0]
    known, curves = first.judgement.truth is not None, first.judgement.curves
    return MapPage(
        says=says,
        facts=facts,
        columns=("map", "particles", "half maps 0.143", "half maps 0.5", *(("truth 0.5", "correlation") * known)),
        rows=[_row(one) for one in named],
        resolution_angstrom=shell_resolution_angstrom(first.maps.box, first.maps.voxel_size_angstrom).numpy(),
        curves={
            "corrected": curves.corrected.numpy(),
            "masked": curves.masked.numpy(),
            "unmasked": curves.unmasked.numpy(),
            "phases randomised": curves.randomised.numpy(),
        },
        methods={one.name: _method_curve(one.judgement) for one in named},
        against="true map" if known else "other half map",
        maps={
            **({} if truth is None else {"true map": truth}),
            **{one.name: _shown(one).numpy() for one in named},
        },
        voxel_size_angstrom=first.maps.voxel_size_angstrom,
        prior_inside=prior_inside,
        warnings=warnings,
        notes=sameness(equals),
    )


def map_facts(job: MapJob, maps: MapSet, symmetry: str, mask_from: str) -> list[tuple[str, str]]:
    """Return what the head of the page says of the maps and of the measurements behind them."""
    facts = [
        ("Particles", f"{maps.n} ({maps.n_half_1} and {maps.n_half_2} in the half maps)"),
        ("Box", f"{maps.box} voxels of {maps.voxel_size_angstrom:.3f} Å"),
        ("Symmetry", symmetry),
        ("Mask", mask_from),
    ]
    if job.measured is not None:
        measurements, operator = job.measured
        compression = f"{operator.compression:.3g} nominal, {operator.effective_compression:.3g} by rank"
        facts += [("Solver", job.solver)] * bool(job.solver)
        size = f"{measurements.bytes_per_particle:,.0f} bytes a particle; {4 * operator.n:,} for the whole image"
        facts += [("Operator", measurements.operator_spec), ("Compression", compression), ("Size", size)]
    return facts


def map_warnings(job: MapJob, maps: MapSet, anisotropy: Anisotropy) -> Iterator[Alert]:
    """Yield the warnings to read before the maps are used; each is logged too."""
    if job.denoised:
        alert = denoised_alert()
        log.warning("%s: %s: %s", job.source.path, alert.title, alert.text)
        yield alert
    if maps.dark:
        yield _warning(
            job,
            "The map is dark",
            "The particle is darker than the solvent: its contrast is reversed. Pass <invert> to turn all images; "
            "RELION and ModelAngelo expect bright density.",
        )
    if not maps.converged:
        yield _warning(
            job,
            "The map is not solved to the end",
            f"The solver stopped after {maps.steps} steps, {maps.residual:.1%} of the target left. Few views, or masks "
            "that keep little, take more: pass more <passes> where pixels were summed, or add particles.",
        )
    if job.source.geometry.ctf is None:
        yield _warning(
            job,
            "No CTF",
            "The file gives no defocus, so no CTF was corrected. Pass <ctf>, or add rlnDefocusU and its companions.",
        )
    if anisotropy.warning is not None:
        title, _, text = anisotropy.warning.partition(": ")
        log.warning("%s: %s", job.source.path, anisotropy.warning)
        yield Alert(title, f"{text[0].upper()}{text[1:]}")
    for sentence in job.source.geometry.left_in:  # said when the file was read
        yield Alert("The images hold more than the map undoes", sentence, "note")


def angstrom(value: Resolution) -> str:
    """Return a resolution as text: at most that where the curve never falls below its threshold, or ``none``."""
    if not math.isfinite(value.angstrom):
        return "none"
    return f"≤ {value.angstrom:.2f} (Nyquist)" if value.nyquist_limited else f"{value.angstrom:.2f}"


def _warning(job: MapJob, title: str, text: str) -> Alert:
    log.warning("%s: %s", job.source.path, text)
    return Alert(title, for_command_line(text))


def _shown(named: NamedMaps) -> Float[Tensor, "d d d"]:
    maps, judgement = named.maps, named.judgement
    return fsc_filtered(maps, judgement) if judgement.determined else maps.full


def _method_curve(judgement: Judgement) -> Float[np.ndarray, " shells"]:
    return (judgement.curves.corrected if judgement.truth is None else judgement.truth.fsc).numpy()


def _row(named: NamedMaps) -> list[str]:
    judgement = named.judgement
    row = [named.name, str(named.maps.n), angstrom(judgement.resolution), angstrom(judgement.resolution_05)]
    if judgement.truth is not None:
        row += [angstrom(judgement.truth.resolution), f"{judgement.truth.correlation.about_zero:.4f}"]
    return row
