"""Sections lie where they should, surfaces change with the local resolution, methods stay apart."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread

from cryoprior.errors import InputError
from cryoprior.report import figures, volumes
from cryoprior.report.volumes import resolution_against_compression, sections, slice_montage, surface_montage

D = 32
CELLS = (2.0, 8.0, 32.0)


def blob(x: float, y: float, z: float, width: float = 2.0) -> np.ndarray:
    zs, ys, xs = np.indices((D, D, D)) - D // 2
    return np.exp(-((xs - x) ** 2 + (ys - y) ** 2 + (zs - z) ** 2) / (2 * width**2))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures made, in place of their PNG."""
    made: list[Figure] = []

    def keep(figure: Figure) -> bytes:
        made.append(figure)
        return b""

    monkeypatch.setattr(volumes, "png_bytes", keep)
    monkeypatch.setattr(figures, "png_bytes", keep)
    monkeypatch.setattr(volumes, "RAYS", 120)
    return made


def pixels(axes: Axes) -> np.ndarray:
    """Return the red of what is drawn on axes, row 0 at the top."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = np.asarray(canvas.buffer_rgba())
    box = axes.get_window_extent()
    rows = slice(len(page) - int(box.y1), len(page) - int(np.ceil(box.y0)))
    return page[rows, int(np.ceil(box.x0)) : int(box.x1), 0].astype(np.float64)


def brightest(axes: Axes) -> tuple[float, float]:
    """Return where the brightest place of axes is, right and up from the centre voxel, in voxels."""
    image = pixels(axes)
    rows, columns = np.nonzero(image >= image.max() - 2)
    right, up = (columns.mean() + 0.5) / image.shape[1] * D, (1 - (rows.mean() + 0.5) / image.shape[0]) * D
    return right - 0.5 - D // 2, up - 0.5 - D // 2


def test_sections_are_central_and_the_right_way_up(drawn: list[Figure]) -> None:
    marked = blob(8, 3, 0) + blob(-5, 0, 7) + blob(0, -9, 4)  # one in each section
    slice_montage({"map": marked})
    xy, xz, yz = drawn[0].axes
    assert [axes.get_ylabel() for axes in (xy, xz, yz)] == ["xy", "xz", "yz"]
    assert brightest(xy) == pytest.approx((8, 3), abs=0.6)
    assert brightest(xz) == pytest.approx((-5, 7), abs=0.6)
    assert brightest(yz) == pytest.approx((-9, 4), abs=0.6)
    odd = np.arange(5.0**3).reshape(5, 5, 5)
    for section, plane in zip(sections(odd), (odd[2], odd[:, 2], odd[:, :, 2]), strict=True):
        np.testing.assert_array_equal(section, plane)


def test_all_sections_have_the_grey_scale_of_the_first(drawn: list[Figure]) -> None:
    slice_montage({"truth": blob(0, 0, 0), "ten times": 10 * blob(0, 0, 0)})
    slice_montage({"ten times": 10 * blob(0, 0, 0), "truth": blob(0, 0, 0)})
    one, ten = ({axes.images[0].get_clim() for axes in figure.axes} for figure in drawn)
    assert len(one) == len(ten) == 1
    np.testing.assert_allclose(ten.pop(), 10 * np.array(one.pop()), rtol=1e-6)


def test_many_maps_go_into_even_bands(drawn: list[Figure]) -> None:
    maps = {f"map {n}": blob(n, 0, 0) for n in range(7)}
    slice_montage(maps)
    titles = [axes for axes in drawn[0].axes if axes.get_title()]
    assert [axes.get_title() for axes in titles] == list(maps)
    heights = [round(axes.get_position().y0, 3) for axes in titles]
    assert [heights.count(h) for h in sorted(set(heights), reverse=True)] == [4, 3]
    assert len(drawn[0].axes) == 21


def test_pictures_are_png_of_the_expected_size_and_repeat() -> None:
    maps = {"a": blob(0, 0, 0, 5), "b": blob(3, 0, 0, 5)}
    resolution = {"b": np.full((D, D, D), 7.0)}
    first, second = (surface_montage(maps, resolution, views=("front",), pixel_size_angstrom=5.0) for _ in range(2))
    assert first == second
    height, width, _ = imread(io.BytesIO(first)).shape
    assert 2 * 270 < width < 2 * 330
    assert 270 < height < 330 + 120  # the bar lies below
    height, width, _ = imread(io.BytesIO(slice_montage(maps, 5.0))).shape
    assert 2 * 270 < width < 2 * 330
    assert 3 * 270 < height < 3 * 330


def test_surfaces_change_with_the_local_resolution(drawn: list[Figure]) -> None:
    maps = {"fine": blob(0, 0, 0, 5), "coarse": blob(0, 0, 0, 5), "plain": blob(0, 0, 0, 5)}
    resolution = {"fine": np.full((D, D, D), 5.0), "coarse": np.full((D, D, D), 15.0)}
    surface_montage(maps, resolution, views=("front",))
    fine, coarse, plain, bar = drawn[0].axes
    middle = [np.asarray(axes.images[0].get_array())[30, 30] for axes in (fine, coarse, plain)]
    assert middle[0][2] > 1.5 * middle[0][0]
    assert middle[1][0] > 1.5 * middle[1][2]
    assert np.ptp(middle[2][:3]) < 0.5 * np.ptp(middle[0][:3])
    assert bar.get_xlabel() == "local resolution (Å)"
    assert bar.get_xlim() == pytest.approx((5, 15))
    surface_montage({"fine": maps["fine"]}, {"fine": resolution["fine"]}, {"fine": 0.5}, (2.0, 50.0), ("front",))
    assert drawn[1].axes[-1].get_xlim() == (2, 50)


def test_without_local_resolution_there_is_no_bar_and_views_are_rows(drawn: list[Figure]) -> None:
    surface_montage({"a": blob(5, 0, 0, 4) + blob(-5, 0, 0, 4)}, views=("front", "side", "top"))
    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["front", "side", "top"]
    seen = [np.asarray(axes.images[0].get_array())[..., 3] > 0.5 for axes in drawn[0].axes]
    wide = [picture.any(0).sum() / picture.any(1).sum() for picture in seen]
    assert wide[0] > 1.3
    assert wide[1] == pytest.approx(1, abs=0.1)  # along the long axis
    assert wide[2] > 1.3


@pytest.mark.parametrize("picture", [slice_montage, surface_montage])
@pytest.mark.parametrize(
    ("maps", "text"),
    [
        ({}, "no map; expected at least one"),
        ({"empty": np.zeros((D, D, D))}, "map 'empty': values from 0 to 0"),
        ({"a": blob(0, 0, 0), "b": blob(0, 0, 0)[:16, :16, :16]}, r"map 'b': shape \(16, 16, 16\)"),
        ({"a": blob(0, 0, 0), "b": np.full((D, D, D), np.nan)}, "map 'b': values from nan"),
    ],
)
def test_maps_that_cannot_be_drawn_are_refused(
    picture: Callable[..., bytes], maps: dict[str, np.ndarray], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        picture(maps)
    with pytest.raises(InputError, match="columns 0"):
        picture({"a": blob(0, 0, 0)}, columns=0)


def test_limits_must_rise() -> None:
    with pytest.raises(InputError, match="give the finest first"):
        surface_montage({"a": blob(0, 0, 0)}, limits_angstrom=(9.0, 9.0))


def test_methods_stay_apart_and_better_is_up(drawn: list[Figure]) -> None:
    methods = {f"m{n}": [(c, 8.0 + n + c / 8, c == 2) for c in CELLS] for n in range(10)}
    resolution_against_compression(methods, full_data_angstrom=8.0)
    axes = drawn[0].axes[0]
    bottom, top = axes.get_ylim()
    assert bottom > top
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2×", "8×", "32×"]
    lines = {line.get_label(): line for line in axes.get_lines() if line.get_label() in methods}
    for what in ("get_color", "get_marker"):
        assert len({getattr(line, what)() for line in lines.values()}) == 10
    hollow = [
        line for line in axes.get_lines() if len(line.get_xdata()) and to_hex(line.get_markerfacecolor()) == "#ffffff"
    ]
    assert [list(line.get_xdata()) for line in hollow] == [[2.0]] * 10
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [*methods, "full data", "hollow: at Nyquist"]


def test_points_are_sorted_and_gaps_are_kept(drawn: list[Figure]) -> None:
    resolution_against_compression({"a": [(32, 30, False), (2, 10, False), (8, np.inf, False)]}, logarithmic=False)
    axes = drawn[0].axes[0]
    line = axes.get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), CELLS)
    np.testing.assert_array_equal(line.get_ydata(), [10, np.nan, 30])
    assert axes.get_xscale() == "linear"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a"]  # nothing at Nyquist, no note


def test_values_that_are_no_resolution_are_refused() -> None:
    with pytest.raises(InputError, match="no point with a finite resolution"):
        resolution_against_compression({"a": [(2, np.nan, False)]})
    with pytest.raises(InputError, match="a value of 0 or below"):
        resolution_against_compression({"a": [(0, 5, False)]})


def test_shell_curves_mark_both_thresholds(drawn: list[Figure]) -> None:
    resolution = np.concatenate([[np.inf], 100 / np.arange(1, 9)])
    figures.shell_curves(resolution, {"a": np.linspace(1, 0, 9)}, line=(0.143, 0.5))
    figures.shell_curves(resolution, {"a": np.linspace(1, 0, 9)}, line=1)
    figures.shell_curves(resolution, {"a": np.linspace(1, 0, 9)})
    levels = [[line.get_ydata()[0] for line in figure.axes[0].get_lines()[1:]] for figure in drawn]
    assert levels == [[0.143, 0.5], [1], []]
