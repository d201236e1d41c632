"""Pages on a screen of 1,400 pixels and on a phone: the numbers of their tables can be read without scrolling."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.audit.page import write_audit_page
from cryoprior.benchmark.images.sheet import Sheet
from cryoprior.benchmark.maps.page import FULL, HALF, TRUE, MapTable, Pictured
from cryoprior.maps.page import MapPage
from cryoprior.maps.worth import HALF_MAPS, TRUTH, Curve, Point, Worth
from cryoprior.maps.worth_page import worth_section
from cryoprior.metrics.fsc import Resolution
from cryoprior.reconstruction.check import Check
from cryoprior.reconstruction.page import ReconstructionPage
from cryoprior.reconstruction.pictures import SignalPictures
from cryoprior.reconstruction.withholding import Withheld
from cryoprior.referee import audit_maps
from cryoprior.report.page import Section, Table, render_page
from cryoprior.report.slider import Slider
from kit.browser import Layout, chromium, lay_out, shoot
from kit.half_maps import Halves

pytestmark = pytest.mark.external

WIDTHS = (1400, 390)
SOLVER = "posterior:estimate=mean,samples=1,tau_max=20.0,tau_min=0.05"
NAMES = (f"{SOLVER}, prior weight 0.1", "prior-free, from the measurements", "full particles", "x" * 90)
BOX, PIXEL = 16, 4.0


@pytest.fixture(autouse=True)
def _browser() -> None:
    chromium()


def readable(page: str, width: int, folder: Path) -> Layout:
    """Return the layout of a page after it was seen that nothing of it lies beyond the window."""
    layout = lay_out(page, width, folder)
    assert layout.width == width
    assert layout.cells
    assert layout.hidden == []
    assert layout.content <= width
    return layout


def map_report() -> str:
    """Return a page of maps with the longest names there are."""
    shells = np.r_[np.inf, BOX * PIXEL / np.arange(1, BOX // 2 + 1)]
    curve, volume = np.linspace(1, 0, len(shells)), np.random.default_rng(0).normal(size=(BOX,) * 3)
    page = MapPage(
        says="9.1 A by half maps; views cover the sphere; the prior is not in this map",
        facts=[("Solver", SOLVER)],
        columns=("map", "particles", "half maps 0.143", "half maps 0.5", "truth 0.5", "correlation"),
        rows=[(name, "100000", "≤ 8.00 (Nyquist)", "10.25", "12.50", "0.9876") for name in NAMES],
        resolution_angstrom=shells,
        curves={"corrected": curve, "masked": curve},
        methods=dict.fromkeys(NAMES, curve),
        against="true map",
        maps=dict.fromkeys(NAMES, volume),
        voxel_size_angstrom=PIXEL,
        prior_inside=False,
    )
    points = [Curve(tuple(Point(800 // 2**i, Resolution(d + i, False), "") for i in range(3))) for d in (8.0, 9.0)]
    few = dataclasses.replace(points[0], points=points[0].points[:2])
    worths = [Worth(name, {HALF_MAPS: few, TRUTH: points[1]}) for name in NAMES]
    return render_page("Map report", [*page.sections(), worth_section(worths, worths[2], prior_inside=False)], NAMES[0])


def bench_report(folder: Path) -> str:
    """Return a page of a benchmark of maps with ten methods, whose names spell out a solver with all its options."""
    rng, shells = np.random.default_rng(0), np.r_[np.inf, BOX * PIXEL / np.arange(1, BOX // 2 + 1)]
    methods = ["prior-free map", "fewer particles", "least squares", *(f"{SOLVER}, seed={i}" for i in range(7))]
    places = [("", "", FULL), *(("pixel", cell, method) for cell in ("K=2 C=4", "K=16 C=1.33") for method in methods)]
    rows = [
        {
            "series": series,
            "cell": cell,
            "method": method,
            "particles": 1000,
            "compression": 4.0 if cell else 1.0,
            "bytes_per_particle": 4096,
        }
        | {"operator": "pixel:block=2,masks=1,rows=hadamard", HALF: 8.0 + i, "nyquist_limited": i == 0, TRUE: 12.3456}
        | {"truth_nyquist_limited": False, "truth_correlation": 0.9876, "truth_correlation_about_mean": 0.98}
        for i, (series, cell, method) in enumerate(places)
    ]
    curves = [
        {"series": series, "cell": cell, "method": method, "particles": 1000, "resolution_angstrom": d}
        | {"fsc_truth": rng.uniform(), "fsc_corrected": rng.uniform()}
        for series, cell, method in places
        for d in shells
    ]
    volume = rng.normal(size=(BOX,) * 3)
    shown = {"K=2 C=4": {method: Pictured(volume, np.abs(volume) + 1) for method in (FULL, *methods[2:4])}}
    grid = (volume, np.ones((BOX,) * 3, np.float32), PIXEL)
    MapTable("Maps", pd.DataFrame(rows), pd.DataFrame(curves), pd.DataFrame(), shown, *grid).write(folder)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_numbers_of_a_map_page_can_be_read(width: int, tmp_path: Path) -> None:
    layout = readable(map_report(), width, tmp_path)
    assert sum(cell["text"] == "0.9876" for cell in layout.cells) == len(NAMES)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_numbers_of_a_benchmark_of_maps_can_be_read(width: int, tmp_path: Path) -> None:
    layout = readable(bench_report(tmp_path), width, tmp_path)
    assert len(layout.cells) > 100


@pytest.mark.parametrize("width", WIDTHS)
def test_a_sheet_of_many_methods_can_be_read(width: int, tmp_path: Path) -> None:
    columns = ["cell", *(f"a method with a long name, number {i}" for i in range(12))]
    sheet = Sheet("Scores", columns, [["K=2 C=4", *(f"**.{i:03d}** ± .002" for i in range(12))]], "Note.")
    assert len(readable(render_page("T", [Section("S", sheet.blocks())]), width, tmp_path).cells) == 12


def test_a_table_that_is_too_wide_is_seen(tmp_path: Path) -> None:
    wide = Table(["", *(f"column {i}" for i in range(40))], [["row", *(f"{i}.000" for i in range(40))]])
    page = render_page("T", [Section("S", [wide])])
    hidden = lay_out(page, 1400, tmp_path).hidden
    assert "39.000" in hidden
    assert "0.000" not in hidden
    assert lay_out(page, 390, tmp_path).hidden == []  # a phone has one cell under the other
    unstacked = page.replace("(max-width: 44rem)", "(max-width: 1px)")
    assert "39.000" in lay_out(unstacked, 390, tmp_path).hidden


def test_a_picture_that_is_too_wide_is_seen(tmp_path: Path) -> None:
    page = render_page("T", [Section("S", [Table(["", "x"], [["row", "1"]])])])
    wider = page.replace("</main>", '<div style="width:2000px;height:1px"></div></main>')
    assert lay_out(wider, 390, tmp_path).content > 390 == lay_out(page, 390, tmp_path).content


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_of_an_audit_can_be_read(width: int, tmp_path: Path) -> None:
    of = Halves(0)
    maps = [volume.numpy() for volume in (*of.halves, *of.prior("good until invented"))]
    write_audit_page(tmp_path, audit_maps(*maps, PIXEL), {"Half maps": f"{'a' * 60}.mrc, {'b' * 60}.mrc"})
    readable((tmp_path / "report.html").read_text(encoding="utf-8"), width, tmp_path)


def ramp(sign: int) -> np.ndarray:
    """Return an image that is black on its upper half and white on its lower, or the other way about."""
    return sign * np.repeat([-1.0, 1.0], BOX // 2)[:, None] * np.ones(BOX)


STEPS = (
    "<script>const s = document.querySelector('input'); s.focus(); {moves} s.dispatchEvent(new Event('input'));"
    "</script>"
)


def test_the_slider_moves_pixels(tmp_path: Path) -> None:
    # Seen to fail without the attribute that tells the pictures where the slider is.
    flat = np.random.default_rng(0).choice([-0.01, 0.01], (BOX, BOX)) * 100
    slider = Slider("Particle 1", {"recorded": ramp(1), "measured": flat, "signal": ramp(-1)}, at=0)
    page = render_page("T", [Section("S", [slider])])
    assert "http" not in page.partition("<body>")[2]  # nothing is fetched
    shown = {}
    for name, moves in (("none", ""), ("half", "s.value = 150;"), ("all", "s.value = 200;"), ("key", "s.stepUp(8);")):
        shown[name] = shoot(page.replace("</body>", STEPS.replace("{moves}", moves) + "</body>"), 700, tmp_path)
    top = {name: picture[205:335, 20:318].mean(axis=(0, 2)) for name, picture in shown.items()}
    assert top["all"].mean() > top["none"].mean() + 0.2
    left, right = top["half"][:130], top["half"][150:]
    np.testing.assert_allclose(left, top["all"][:130], atol=0.05)
    assert abs(right - top["none"][150:]).max() > 0.1  # there it is the middle picture
    assert abs(right - top["all"][150:]).max() > 0.1
    assert abs(top["key"][:100] - top["none"][:100]).max() > 0.1
    np.testing.assert_allclose(top["key"][150:], top["none"][150:], atol=0.02)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_of_signals_can_be_read(width: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sums = [torch.from_numpy(rng.normal(size=(20, BOX // 2 + 1))) for _ in range(4)]
    power = [torch.ones(20, BOX // 2 + 1, dtype=torch.float64)] * 2
    half = torch.full((BOX // 2 + 1,), 0.5, dtype=torch.float64)
    check = Check(Withheld(*sums, *power), half, half, BOX, PIXEL)
    images = rng.normal(size=(3, BOX, BOX)).astype(np.float32)
    pictures = SignalPictures([1, 20, 300], "least squares", images, images, images)
    page = ReconstructionPage([("Solver", SOLVER)], pictures, check, signal=True)
    layout = readable(render_page("Reconstruction", page.sections(), "y.zarr"), width, tmp_path)
    assert len(layout.cells) == 6 * 8
