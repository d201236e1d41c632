"""Pictures of maps beside each other: sections, surfaces coloured by local resolution, resolution by compression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.report.figures import INK, LINE, QUIET, line_styles, new_figure, png_bytes
from cryoprior.report.labels import wrapped
from cryoprior.report.surfaces import (
    OVERSAMPLING,
    VIEWS,
    Volumes,
    cast_rays,
    check_surfaces,
    light_up,
    make_surface,
    resolution_limits,
    resolution_map,
    surface_colours,
    surface_levels,
    values_at,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SECTIONS = ("xy", "xz", "yz")  # horizontal and vertical axis of the sections along z, y and x
MARKERS = "osD^vPXph*"
SIDE = 1.75  # inches of one picture
TITLE = 21 * 9  # characters that fit over a picture, times the points of their size
LEGEND = 32  # characters of a line beside a figure
RAYS = OVERSAMPLING * round(SIDE * 160)  # along one side of a surface, at the 160 dots per inch of the PNG


def slice_montage(
    maps: Volumes, pixel_size_angstrom: float | None = None, columns: int = 6, label_points: float = 9.0
) -> bytes:
    """Return the central sections along z, y and x of every map, one column per map, as PNG.

    x (of the section along x: y) points right, y (z) up from the lower left corner, as in 3dmod and ChimeraX. All maps
    have the grey scale of the first. More than ``columns`` maps go into even bands of rows.

    Parameters
    ----------
    maps: title to map; the first, the truth or the full data, sets the grey values drawn black and white.
    pixel_size_angstrom: draws a scale bar in the first picture.

    Raises
    ------
    InputError: no maps, maps of other shapes, values that are not finite, a map that is constant.
    """
    _check_maps(maps)
    columns = _balanced(len(maps), columns)
    titles = _titles(maps, label_points)
    first = next(iter(maps.values()))
    low, high = _section_limits(first)
    figure, grid = _grid(titles, columns, len(SECTIONS))
    for n, volume in enumerate(maps.values()):
        band, column = divmod(n, columns)
        for i, section in enumerate(sections(volume)):
            axes = grid[band][i][column]
            axes.imshow(section, cmap="gray", vmin=low, vmax=high, origin="lower", interpolation="bicubic")
            if column == 0:
                axes.set_ylabel(SECTIONS[i], fontsize=label_points - 0.5, color=QUIET, labelpad=4)
        grid[band][0][column].set_title(titles[n], fontsize=label_points, color=INK, pad=5)
    if pixel_size_angstrom is not None:
        _scale_bar(grid[0][0][0], len(first) * pixel_size_angstrom, "white", label_points)
    return png_bytes(figure)


def sections(volume: Float[np.ndarray, "d d d"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sections through the centre d // 2 along z, (y, x), along y, (z, x), and along x, (z, y)."""
    c = len(volume) // 2
    return volume[c], volume[:, c], volume[:, :, c]


def surface_montage(
    maps: Volumes,
    local_resolution_angstrom: Volumes | None = None,
    levels: Mapping[str, float] | None = None,
    limits_angstrom: tuple[float, float] | None = None,
    views: Sequence[str] = ("front", "side"),
    pixel_size_angstrom: float | None = None,
    dust: float = 0.01,
    columns: int = 6,
    label_points: float = 9.0,
) -> bytes:
    """Return the surface of every map, lit and coloured by local resolution, one column per map, as PNG.

    The view is orthographic, at one scale. ``front`` looks along z with x to the right and y up, as ChimeraX does when
    it opens a map; ``side`` and ``top`` turn the map by 90 degrees about the vertical and the horizontal axis.

    Parameters
    ----------
    maps: title to map, higher where there is matter.
    local_resolution_angstrom: title to the resolution at every voxel; grey where not finite. A map without is plain.
    levels: title to the level of the surface. Of a first map without one it is found by Otsu's method; every other map
        without one encloses as many voxels as the first.
    limits_angstrom: resolutions at the ends of the colours; from all surfaces where None.
    dust: pieces smaller than this share of what a level encloses are not drawn; 0 draws all.

    Raises
    ------
    InputError: as ``slice_montage``; a title, view or level that does not fit, a resolution that is 0 or below.
    """
    resolution, levels = local_resolution_angstrom or {}, levels or {}
    _check_maps(maps)
    check_surfaces(maps, resolution, levels, views)
    if limits_angstrom is not None and not 0 < limits_angstrom[0] < limits_angstrom[1]:
        raise InputError(f"limits {limits_angstrom} Å; expected two that rise, above 0; give the finest first")
    columns = _balanced(len(maps), columns)
    chosen = surface_levels(maps, levels)
    surfaces = {title: make_surface(volume, chosen[title], dust) for title, volume in maps.items()}
    radius = 1.04 * max(surface.reach for surface in surfaces.values()) + 0.5
    cast = {(title, v): cast_rays(s, VIEWS[v], radius, RAYS) for title, s in surfaces.items() for v in views}
    local = {place: values_at(resolution[place[0]], hits) for place, hits in cast.items() if place[0] in resolution}
    limits = limits_angstrom or resolution_limits(local.values())
    titles = _titles(maps, label_points)
    figure, grid = _grid(titles, columns, len(views))
    for n, title in enumerate(maps):
        band, column = divmod(n, columns)
        for i, view in enumerate(views):
            hits, axes = cast[title, view], grid[band][i][column]
            axes.imshow(
                light_up(hits, surface_colours(local.get((title, view)), hits, limits), radius),
                interpolation="antialiased",
            )
            if column == 0 and len(views) > 1:
                axes.set_ylabel(view, fontsize=label_points - 0.5, color=QUIET, labelpad=4)
        grid[band][0][column].set_title(titles[n], fontsize=label_points, color=INK, pad=5)
    if pixel_size_angstrom is not None:
        _scale_bar(grid[0][0][0], 2 * radius * pixel_size_angstrom, INK, label_points)
    if local:
        _colour_bar(figure, limits, label_points)
    return png_bytes(figure)


def resolution_against_compression(
    methods: Mapping[str, Sequence[tuple[float, float, bool]]],
    full_data_angstrom: float | None = None,
    logarithmic: bool = True,
    label: str = "resolution (Å)",
    bytes_of: Mapping[float, float] | None = None,
) -> bytes:
    """Return the resolution each method reaches by compression, better is up, as PNG.

    Parameters
    ----------
    methods: name to (compression, resolution in angstrom, whether Nyquist limits it), in any order; a resolution
        that is not finite breaks the line. Ten names stay apart.
    full_data_angstrom: the resolution of the full data, a thin line.
    bytes_of: what a particle takes by compression, written below it.

    Raises
    ------
    InputError: no finite point, or a compression or resolution that is 0 or below.
    """
    points = [point for line in methods.values() for point in line]
    if not any(np.isfinite(resolution) for _, resolution, _ in points):
        raise InputError(
            "resolution by compression: no point with a finite resolution; expected one; give a method one"
        )
    if any(compression <= 0 or resolution <= 0 for compression, resolution, _ in points):
        raise InputError("resolution by compression: a value of 0 or below; expected positive numbers; correct it")
    figure = new_figure(6.6, 3.9)
    axes = figure.subplots()
    for n, ((name, line), style) in enumerate(zip(methods.items(), line_styles(len(methods)), strict=True)):
        _method_line(axes, name, sorted(line), style, n)
    if full_data_angstrom is not None:
        axes.axhline(full_data_angstrom, color=INK, linewidth=0.8, zorder=1, label="full data")
    if any(limited for _, _, limited in points):
        axes.plot([], [], "o", markersize=5.5, markerfacecolor="white", markeredgecolor=INK, label="hollow: at Nyquist")
    _compression_axis(axes, sorted({compression for compression, _, _ in points}), logarithmic, bytes_of or {})
    axes.invert_yaxis()
    axes.set_ylabel(label, color=INK)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=3.4)
    return png_bytes(figure)


def _method_line(axes: Axes, name: str, line: list[tuple[float, float, bool]], style: dict[str, Any], n: int) -> None:
    compression, resolution = (np.array([point[i] for point in line], dtype=np.float64) for i in (0, 1))
    resolution[~np.isfinite(resolution)] = np.nan
    limited = np.array([point[2] for point in line], dtype=bool)
    look: dict[str, Any] = {"marker": MARKERS[n % len(MARKERS)], "markersize": 6.5 - 0.3 * (n % len(MARKERS))}
    axes.plot(compression, resolution, label=wrapped(name, LEGEND), zorder=2 + 0.05 * n, **look, **style)
    hollow = {
        "linestyle": "none",
        "markerfacecolor": "white",
        "markeredgecolor": style["color"],
        "zorder": 3 + 0.05 * n,
    }
    axes.plot(compression[limited], resolution[limited], markeredgewidth=1.4, **look, **hollow)


def _compression_axis(axes: Axes, ticks: list[float], logarithmic: bool, bytes_of: Mapping[float, float]) -> None:
    if logarithmic:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(ticks, [f"{tick:g}×" + (f"\n{bytes_of[tick]:,.0f}" if tick in bytes_of else "") for tick in ticks])
    sizes = ", bytes a particle" if bytes_of else ""
    axes.set_xlabel(f"compression{' (logarithmic)' if logarithmic else ''}{sizes}", color=INK)


def _check_maps(maps: Volumes) -> None:
    if not maps:
        raise InputError("pictures of maps: no map; expected at least one; give title and map")
    shape = next(iter(maps.values())).shape
    for title, volume in maps.items():
        if volume.shape != shape or len(set(shape)) != 1 or len(shape) != 3:
            raise InputError(f"map {title!r}: shape {volume.shape}; expected the cube {shape} of the first; resize it")
        if not np.isfinite(volume).all() or volume.min() == volume.max():
            raise InputError(
                f"map {title!r}: values from {volume.min():g} to {volume.max():g}; expected finite values that differ; "
                "leave the map out"
            )


def _section_limits(volume: Float[np.ndarray, "d d d"]) -> tuple[float, float]:
    """Return the grey values drawn black and white: the sections' range, with room for noise below."""
    low, high = np.percentile(np.stack(sections(volume)), (0.5, 99.8))
    if high <= low:
        low, high = float(volume.min()), float(volume.max())
    return float(low - 0.08 * (high - low)), float(high)


def _colour_bar(figure: Figure, limits: tuple[float, float], label_points: float) -> None:
    """Draw the bar of resolutions under the pictures, at most three inches long."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    width, height = figure.get_size_inches()
    length = min(3.0, 0.9 * width)
    axes = figure.add_axes((0.5 - length / width / 2, -0.12 / height, length / width, 0.11 / height))
    bar = figure.colorbar(ScalarMappable(Normalize(*limits), resolution_map()), cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=label_points - 1, color=QUIET, labelcolor=INK, length=2.5)
    bar.set_label("local resolution (Å)", fontsize=label_points, color=INK)


def _balanced(maps: int, columns: int) -> int:
    """Return how many of the columns allowed are used, so that the bands are as even as they can be."""
    if columns < 1:
        raise InputError(f"columns {columns}; expected at least 1; give how many maps stand side by side")
    bands = -(-maps // columns)
    return -(-maps // bands)


def _titles(maps: Volumes, label_points: float) -> list[str]:
    """Return the titles of the maps on lines that do not reach over the next picture."""
    return [wrapped(title, max(1, int(TITLE / label_points))) for title in maps]


def _grid(titles: Sequence[str], columns: int, rows: int) -> tuple[Figure, list[list[list[Axes]]]]:
    """Return a figure and its axes by band, row of the band and column; a band has up to ``columns`` maps."""
    maps = len(titles)
    across, bands = columns, -(-maps // columns)
    gap = 0.16 + 0.16 * max(1 + title.count("\n") for title in titles)
    width, height = SIDE * across, bands * SIDE * rows + (bands - 1) * gap
    figure = new_figure(width, height)
    grid: list[list[list[Axes]]] = []
    for band in range(bands):
        grid.append([])
        for row in range(rows):
            bottom = height - band * (SIDE * rows + gap) - (row + 1) * SIDE
            boxes = [(SIDE * (c + 0.01) / width, (bottom + 0.01 * SIDE) / height) for c in range(across)]
            size = (0.98 * SIDE / width, 0.98 * SIDE / height)
            grid[band].append([figure.add_axes((*box, *size)) for box in boxes])
            for axes in grid[band][row]:
                _bare(axes)
    for column in range(maps - (bands - 1) * columns, across):
        for line in grid[-1]:
            line[column].remove()
    return figure, grid


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _scale_bar(axes: Axes, field_angstrom: float, colour: str, label_points: float) -> None:
    """Draw a bar of a round length, about a fifth to two fifths of the field, in the lower left corner."""
    decade = 10 ** np.floor(np.log10(0.4 * field_angstrom))
    length = float(decade * max(step for step in (1, 2, 5) if step * decade <= 0.4 * field_angstrom))
    share = length / field_angstrom
    axes.plot(
        [0.06, 0.06 + share], [0.06, 0.06], transform=axes.transAxes, color=colour, linewidth=2, solid_capstyle="butt"
    )
    text: dict[str, Any] = {"fontsize": label_points - 1.5, "color": colour, "ha": "center", "va": "bottom"}
    axes.text(0.06 + share / 2, 0.085, f"{length:g} Å", transform=axes.transAxes, **text)
