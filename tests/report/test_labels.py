"""Long names: broken where they may be, in legends that cover no curve, in titles that cover no picture, in tables."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cryoprior.report import volumes
from cryoprior.report.figures import shell_figure
from cryoprior.report.labels import breakable, wrapped
from cryoprior.report.page import Table
from cryoprior.report.volumes import slice_montage

SOLVER = "posterior:estimate=mean,samples=1,tau_max=20.0,tau_min=0.05"
SHELLS = np.r_[np.inf, 100 / np.arange(1, 9)]


def rendered(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize("width", [1, 7, 20, 200])
@pytest.mark.parametrize("text", [SOLVER, f"{SOLVER}, prior weight 0.5", "x" * 90, "two words", ""])
def test_no_line_is_longer_than_it_may_be_and_no_character_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width).split("\n")
    assert max(len(line) for line in lines) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert unescape(breakable(text).replace("<wbr>", "")) == text


def test_text_is_broken_at_spaces_commas_and_colons() -> None:
    assert wrapped(SOLVER, 20).split("\n") == [
        "posterior:",
        "estimate=mean,",
        "samples=1,",
        "tau_max=20.0,",
        "tau_min=0.05",
    ]
    assert wrapped("prior-free, from the measurements", 24) == "prior-free, from the\nmeasurements"
    assert breakable("a<b,c: d") == "a&lt;b,<wbr>c: d"


@pytest.mark.parametrize(
    "names", [("a", "b"), (SOLVER, f"{SOLVER},seed=1", "c"), tuple(f"method {i}" for i in range(10))]
)
def test_a_legend_covers_no_curve(names: tuple[str, ...]) -> None:
    figure = rendered(shell_figure(SHELLS, {name: np.linspace(1, i / 10, 9) for i, name in enumerate(names)}))
    (axes,) = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    place, label = legend.get_window_extent(), axes.xaxis.label.get_window_extent()
    assert place.y1 < label.y0
    assert place.x0 >= axes.get_window_extent().x0 - 1
    assert place.x1 <= figure.bbox.x1 + 1
    assert [text.get_text().replace("\n", "") for text in legend.get_texts()] == list(names)


def test_titles_of_maps_do_not_reach_over_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(volumes, "png_bytes", lambda figure: drawn.append(figure) or b"")
    volume = np.random.default_rng(0).normal(size=(8, 8, 8))
    slice_montage({f"{SOLVER}, prior weight {i}": volume for i in range(6)}, columns=3)
    axes = rendered(drawn[0]).axes
    titles = [one.title.get_window_extent() for one in axes if one.get_title()]
    assert len(titles) == 6
    for i, title in enumerate(titles):
        assert all(not title.overlaps(other) for other in titles[i + 1 :])
        assert all(not title.overlaps(one.get_window_extent()) for one in axes)


def test_every_cell_of_a_table_has_its_head_beside_it() -> None:
    html = Table(["map", 'FSC "0.143"', "words"], [["a,b", "8.0", "no line: two points, three are needed"]]).html()
    assert re.findall(r'<td data-head="([^"]*)"', html) == ["FSC &quot;0.143&quot;", "words"]
    assert '<td data-head="words" class="words">' in html
    assert '<th scope="row">a,<wbr>b</th>' in html
