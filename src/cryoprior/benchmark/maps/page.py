"""The outputs of a benchmark of maps: tidy tables, a Markdown table, pictures and one page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryoprior.benchmark.images.sheet import Sheet
from cryoprior.benchmark.maps.paper import paper_table_3
from cryoprior.report.figures import shell_curves
from cryoprior.report.page import Block, Picture, Prose, Section, write_page
from cryoprior.report.volumes import resolution_against_compression, slice_montage, surface_montage

HALF, TRUE = "resolution_0143_angstrom", "truth_fsc_05_angstrom"
LIMITED = {HALF: "nyquist_limited", TRUE: "truth_nyquist_limited"}
FULL, PRIOR_FREE, FEWER = "full particles", "prior-free map", "fewer particles"
LEAST_SQUARES = "least squares"
NUMBERS = (
    (HALF, "half maps 0.143 (Å)"),
    (TRUE, "true map 0.5 (Å)"),
    ("truth_correlation", "correlation"),
    ("truth_correlation_about_mean", "about mean"),
)
MEANING = (
    "Half maps: the phase-randomised FSC within the mask at 0.143. True map: FSC of the full map with the true one "
    "within the same mask at 0.5. Correlation: with the true map above its 99th percentile, about zero and about the "
    "mean. Half maps of reconstructions share the prior, so their FSC may claim more than the true map confirms; read "
    "the second column. A curve that never falls below its threshold is marked ≤, limited by Nyquist. Differences of "
    "FSC with the true map: worst and best shell, its number in brackets, and the mean over shells. "
    "Two half maps of FSC F promise the full map an FSC with the truth of sqrt(2F / (1 + F)); what they claim beyond "
    "it is noise in maps without a prior, and what both halves share with one."
)


@dataclass(frozen=True)
class Pictured:
    """A map to show, with its local resolution in angstrom."""

    volume: Float[np.ndarray, "d d d"]
    local_resolution: Float[np.ndarray, "d d d"]


@dataclass(frozen=True)
class MapTable:
    """All numbers of a benchmark of maps, and the maps that are shown.

    numbers: one row for each (series, cell, method, particles). curves: their FSC by shell. poses: pose errors by cell
    and method. pictured: cell to method to map. mask: all FSC were computed within it.
    """

    title: str
    numbers: pd.DataFrame
    curves: pd.DataFrame
    poses: pd.DataFrame
    pictured: Mapping[str, Mapping[str, Pictured]]
    truth: Float[np.ndarray, "d d d"] | None
    mask: Float[np.ndarray, "d d d"]
    voxel_size_angstrom: float

    def summary(self) -> dict[str, Any]:
        """Return every row of the table and the pose errors."""
        return {
            "title": self.title,
            "rows": json.loads(self.numbers.to_json(orient="records")),
            "poses": json.loads(self.poses.to_json(orient="records")),
        }

    def write(self, folder: Path) -> None:
        """Write rows.csv, fsc.csv, poses.csv, table.md, the pictures and report.html."""
        self.numbers.to_csv(folder / "rows.csv", index=False, float_format="%.6g")
        self.curves.to_csv(folder / "fsc.csv", index=False, float_format="%.5g")
        if len(self.poses):
            self.poses.to_csv(folder / "poses.csv", index=False, float_format="%.6g")
        (folder / "table.md").write_text(self.markdown(), encoding="utf-8")
        pictures = dict(self._pictures())
        for name, (png, _) in pictures.items():
            (folder / f"{name}.png").write_bytes(png)
        write_page(folder / "report.html", self.title, list(self._sections(pictures)))

    def markdown(self) -> str:
        """Return all tables as Markdown."""
        parts = [f"# {self.title}\n", MEANING + "\n"]
        for heading, columns, rows in self._tables():
            lines = [columns, ["---"] * len(columns), *rows]
            parts.append(f"## {heading}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
        return "\n".join(parts)

    def _tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield heading, columns and rows of one table per number of particles and per score, methods across."""
        known = [(column, label) for column, label in NUMBERS if column in self.numbers]
        for particles, group in self.numbers.groupby("particles", sort=False):
            cells = group[group["cell"] != ""]
            methods = list(dict.fromkeys(cells["method"]))
            full = group[group["method"] == FULL].iloc[0]
            for column, label in known:
                beside = [*[_number(full, column)] * bool(methods), *[""] * (len(methods) - 1)]
                rows = [[FULL, "1", _bytes(full), *beside]]
                for (series, cell), rows_of_cell in cells.groupby(["series", "cell"], sort=False):
                    by = rows_of_cell.set_index("method")
                    shown = [_number(by.loc[m], column) if m in by.index else "" for m in methods]
                    first = rows_of_cell.iloc[0]
                    rows.append([f"{series} {cell}", f"{first['compression']:.3g}", _bytes(first), *shown])
                yield f"{label}, {particles} particles", ["cell", "C", "bytes", *methods], rows
            for other in (PRIOR_FREE, LEAST_SQUARES, FEWER) * ("fsc_truth" in self.curves):
                rows = list(self._differences(int(particles), methods, other))
                yield f"FSC with the true map less that of the {other}, {particles} particles", ["cell", *methods], rows
            if "fsc_truth" in self.curves:
                heading = f"What half maps claim beyond the truth, {particles} particles"
                yield heading, ["cell", *methods], list(self._claims(int(particles), methods))
        if len(self.poses):
            columns = ["cell", "method", "median angle (°)", "above 30°", "median shift (pixels)", "hand flipped"]
            yield "Pose errors", columns, [_pose_row(row) for _, row in self.poses.iterrows()]
        yield from self._paper_tables()

    def _paper_tables(self) -> Iterator[tuple[str, list[str], list[list[str]]]]:
        """Yield the paper's Table 3 of every method, at the largest number of particles."""
        particles = self.numbers["particles"].max()
        chosen = (self.numbers["particles"] == particles) & ~self.numbers["series"].isin(("", "storage"))
        cells = self.numbers[chosen]
        for method, of_method in cells.groupby("method", sort=False):
            poses = self.poses[self.poses["method"] == method] if len(self.poses) else self.poses
            columns, rows = paper_table_3(of_method, poses)
            yield f"Table 3 in the paper's shape: {method}, {particles} particles", columns, rows

    def _differences(self, particles: int, methods: list[str], other: str) -> Iterator[list[str]]:
        """Yield per cell the gain of each method's FSC with the truth over another's: worst, best, mean over shells."""
        chosen = self.curves[(self.curves["particles"] == particles) & (self.curves["cell"] != "")]
        for (series, cell), of_cell in chosen.groupby(["series", "cell"], sort=False):
            curves = {m: rows["fsc_truth"].to_numpy()[1:-1] for m, rows in of_cell.groupby("method")}
            if other not in curves:  # formats have no reconstructions
                continue
            gains = {m: curves[m] - curves[other] for m in methods if m in curves and m != other}
            yield [f"{series} {cell}", *(_gain(gains[m]) if m in gains else "" for m in methods)]

    def _claims(self, particles: int, methods: list[str]) -> Iterator[list[str]]:
        """Yield per cell by how much sqrt(2 FSC / (1 + FSC)) of the half maps exceeds the FSC with the truth."""
        chosen = self.curves[(self.curves["particles"] == particles) & (self.curves["cell"] != "")]
        for (series, cell), of_cell in chosen.groupby(["series", "cell"], sort=False):
            excess = {}
            for method, rows in of_cell.groupby("method"):
                half = rows["fsc_corrected"].to_numpy()[1:-1].clip(0, 1)
                excess[method] = np.sqrt(2 * half / (1 + half)) - rows["fsc_truth"].to_numpy()[1:-1]
            yield [f"{series} {cell}", *(_gain(excess[m]) if m in excess else "" for m in methods)]

    def _pictures(self) -> Iterator[tuple[str, tuple[bytes, str]]]:
        """Yield the name of each picture with its PNG and caption."""
        for particles, group in self.numbers.groupby("particles", sort=False):
            full = group[group["method"] == FULL].iloc[0]
            for series, rows in group[group["cell"] != ""].groupby("series", sort=False):
                for column, what in ((TRUE, "true map, FSC 0.5"), (HALF, "half maps, FSC 0.143")):
                    if column not in rows:
                        continue
                    lines, at_full = _lines(rows, column), full[column]
                    if not any(np.isfinite(angstrom) for line in lines.values() for _, angstrom, _ in line):
                        continue  # no map has a resolution
                    level = float(at_full) if pd.notna(at_full) else None
                    sizes = rows.groupby("compression")["bytes_per_particle"].max().to_dict()
                    png = resolution_against_compression(lines, level, label=f"{what} (Å)", bytes_of=sizes)
                    where = "truth" if column == TRUE else "half-maps"
                    caption = f"Resolution by {what}, against compression: {series} cells, {particles} particles."
                    yield f"resolution-{where}-{series}-{particles}", (png, caption)
        for cell, maps in self.pictured.items():
            name = cell.lower().replace(" ", "-").replace("=", "")
            resolved = {method: shown for method, shown in maps.items() if shown.volume.min() < shown.volume.max()}
            if resolved:
                yield from self._map_pictures(
                    cell, name, resolved, [method for method in maps if method not in resolved]
                )
            yield self._curve_picture(cell, name, maps)

    def _map_pictures(
        self, cell: str, name: str, maps: Mapping[str, Pictured], flat: list[str]
    ) -> Iterator[tuple[str, tuple[bytes, str]]]:
        """Yield sections and surfaces of maps; of those in ``flat`` the FSC left nothing, which the captions say."""
        truth = {} if self.truth is None else {"true map": self.truth}
        slices = {**truth, **{method: shown.volume for method, shown in maps.items()}}
        left_out = f" Nothing is left of {', '.join(flat)}." if flat else ""
        caption = f"Central sections of the maps filtered by their FSC, {cell}.{left_out}"
        yield f"slices-{name}", (slice_montage(slices, self.voxel_size_angstrom), caption)
        masked = {method: shown.volume * self.mask for method, shown in maps.items()}
        local = {method: shown.local_resolution for method, shown in maps.items()}
        surfaces = surface_montage(
            masked, local, views=("front",), pixel_size_angstrom=self.voxel_size_angstrom, columns=5
        )
        caption = (
            "Surfaces of the maps filtered by their FSC, at equal volume within the mask, coloured by the local "
            f"resolution of the half maps, {cell}. Half maps that share a prior look better than they are."
            f"{left_out}"
        )
        yield f"surfaces-{name}", (surfaces, caption)

    def _curve_picture(self, cell: str, name: str, maps: Mapping[str, Pictured]) -> tuple[str, tuple[bytes, str]]:
        """Return the FSC of the maps of a cell, with the true map where it is known."""
        curve = "fsc_truth" if "fsc_truth" in self.curves else "fsc_corrected"
        chosen = self.curves[self.curves["cell"].isin(("", cell)) & self.curves["method"].isin(maps)]
        particles = chosen["particles"].max()
        chosen = chosen[chosen["particles"] == particles]
        curves = {m: chosen[chosen["method"] == m][curve].to_numpy() for m in maps}
        resolution = chosen[chosen["method"] == next(iter(maps))]["resolution_angstrom"].to_numpy(copy=True)
        resolution[0] = np.inf
        against = "true map" if curve == "fsc_truth" else "other half map"
        png = shell_curves(resolution, curves, f"FSC with the {against}", -0.1, 1.05, line=(0.143, 0.5))
        return f"fsc-{name}", (png, f"FSC with the {against}, {cell}, {particles} particles; lines at 0.143 and 0.5.")

    def _sections(self, pictures: Mapping[str, tuple[bytes, str]]) -> Iterator[Section]:
        yield Section("", [Prose(MEANING)])
        widths = {name: 720 for name in pictures if name.startswith("fsc-")}
        blocks: list[Block] = [
            Picture(png, caption, caption, widths.get(name)) for name, (png, caption) in pictures.items()
        ]
        yield Section("Pictures", blocks)
        yield Section("Tables", [table for sheet in self._sheets() for table in sheet.blocks()])

    def _sheets(self) -> Iterator[Sheet]:
        """Yield the tables, which become several where one is wider than the page."""
        for heading, columns, rows in self._tables():
            yield Sheet(heading, columns, rows, names=3 if columns[1:2] == ["C"] else 1)


def _lines(rows: pd.DataFrame, column: str) -> dict[str, list[tuple[float, float, bool]]]:
    lines = {}
    for method, of_method in rows.groupby("method", sort=False):
        ordered = of_method.sort_values("compression")
        angstrom = pd.to_numeric(ordered[column])  # not a number where a map has no resolution
        values = zip(ordered["compression"], angstrom, ordered[LIMITED[column]], strict=True)
        lines[str(method)] = [(float(c), float(r), bool(limited)) for c, r, limited in values]
    return lines


def _gain(difference: np.ndarray) -> str:
    worst, best = int(difference.argmin()), int(difference.argmax())
    ends = f"{difference[worst]:+.3f} ({worst + 1}), {difference[best]:+.3f} ({best + 1})"
    return f"{ends}, mean\N{NO-BREAK SPACE}{difference.mean():+.3f}"


def _bytes(row: pd.Series) -> str:
    return f"{row['bytes_per_particle']:,.0f}"


def _number(row: pd.Series, column: str) -> str:
    value = row[column]
    if pd.isna(value):
        return "none" if column in LIMITED else ""
    if column in LIMITED:
        return f"≤ {value:.2f}" if row[LIMITED[column]] else f"{value:.2f}"
    return f"{value:.4f}"


def _pose_row(row: pd.Series) -> list[str]:
    numbers = [f"{row['median_angle_deg']:.2f}", f"{row['above_30_deg']:.0f}", f"{row['median_shift_pixel']:.2f}"]
    return [row["cell"] or FULL, row["method"], *numbers, "yes" if row["hand_flipped"] else "no"]
