"""The page of ``map``: sections, curves, resolutions, and what they may be trusted for."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cryoprior.errors import for_command_line
from cryoprior.maps.anisotropy import Anisotropy
from cryoprior.maps.backprojection import MapSet
from cryoprior.maps.job import MapJob
from cryoprior.maps.judgement import Judgement, NamedMaps
from cryoprior.metrics.fsc import Resolution
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.report.figures import shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Section, Table, write_page
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


def write_map_page(
    folder: Path,
    job: MapJob,
    named: Sequence[NamedMaps],
    symmetry: str,
    mask_from: str,
    truth: Float[np.ndarray, "d d d"] | None,
    warnings: Sequence[Alert],
    more: Sequence[Section] = (),
) -> None:
    """Write report.html, fsc.png and slices.png of maps beside each other; the first is the one that was asked for.

    more: sections that follow.
    """
    facts = map_facts(job, named[0].maps, symmetry, mask_from)
    page = map_page(named, facts, truth, warnings, prior_inside=job.prior_weight is not None)
    (folder / "fsc.png").write_bytes(page.fsc_picture())
    (folder / "slices.png").write_bytes(page.slices_picture())
    write_page(folder / "report.html", "Map report", [*page.sections(), *more], named[0].name)


def map_page(
    named: Sequence[NamedMaps],
    facts: Sequence[tuple[str, str]],
    truth: Float[np.ndarray, "d d d"] | None,
    warnings: Sequence[Alert],
    *,
    prior_inside: bool,
) -> MapPage:
    """Return the page of maps; methods are compared by the true map where it is known, else by their other halves."""
    first = named[0]
    known, curves = first.judgement.truth is not None, first.judgement.curves
    return MapPage(
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
            **{one.name: one.maps.full.numpy() for one in named},
        },
        voxel_size_angstrom=first.maps.voxel_size_angstrom,
        prior_inside=prior_inside,
        warnings=warnings,
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
        facts += [("Operator", measurements.operator_spec), ("Compression", compression)]
    return facts


def map_warnings(job: MapJob, maps: MapSet, anisotropy: Anisotropy) -> Iterator[Alert]:
    """Yield the warnings to read before the maps are used; each is logged too."""
    if maps.dark:
        yield _warning(
            job,
            "The map is dark",
            "The particle is darker than the solvent: its contrast is reversed. Pass <invert> to turn all images; "
            "RELION and ModelAngelo expect bright density.",
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
    """Return a resolution as text; a curve that never falls below its threshold is marked as at most that."""
    return f"≤ {value.angstrom:.2f} (Nyquist)" if value.nyquist_limited else f"{value.angstrom:.2f}"


def _warning(job: MapJob, title: str, text: str) -> Alert:
    log.warning("%s: %s", job.source.path, text)
    return Alert(title, for_command_line(text))


def _method_curve(judgement: Judgement) -> Float[np.ndarray, " shells"]:
    return (judgement.curves.corrected if judgement.truth is None else judgement.truth.fsc).numpy()


def _row(named: NamedMaps) -> list[str]:
    judgement = named.judgement
    row = [named.name, str(named.maps.n), angstrom(judgement.resolution), angstrom(judgement.resolution_05)]
    if judgement.truth is not None:
        row += [angstrom(judgement.truth.resolution), f"{judgement.truth.correlation.about_zero:.4f}"]
    return row
