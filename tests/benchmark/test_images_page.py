"""Tables, pictures and page of a benchmark of images hold the numbers of its rows, and say who wins among equals."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from cryoprior.benchmark.images import cost_figure as bench_cost_figure
from cryoprior.benchmark.images import figures as bench_figures
from cryoprior.benchmark.images.cost_figure import over_least_squares, quality_against_cost
from cryoprior.benchmark.images.figures import compression_figures, example_pictures, quality_of
from cryoprior.benchmark.images.page import ImageTable
from cryoprior.benchmark.images.sheet import Sheet, general, short
from cryoprior.benchmark.operating_point import operating_points

METHODS = (
    ("exact mean", "method", "mean", 10, 0.240),
    ("DPS, mean of 8", "method", "mean", 8000, 0.230),
    ("exact", "method", "sample", 10, 0.150),
    ("DPS", "method", "sample", 1000, 0.140),
    ("least squares", "method", "least-squares", 0, 0.200),
    ("bin", "control", "control", 0, 0.190),
    ("constant", "floor", "floor", 0, 0.0),
)
CELLS = (
    ("pixel", "K=16 C=2.5", "K=16", "hadamard", 2.5),
    ("pixel", "K=16 C=1.4", "K=16", "hadamard", 1.4),
    ("pixel", "K=2 C=4", "K=2", "hadamard", 4.0),
    ("fourier", "spoke C=10", "spoke", "hermitian", 10.0),
    ("fourier", "ring C=10", "ring", "hermitian", 10.0),
    ("fourier", "ring C=2.5", "ring", "hermitian", 2.5),
)
ZEROS = ("psnr_std", "ssim_std", "lpips_std", "residual", "seconds_network", "seconds_own")


def row(cell: tuple[Any, ...], method: tuple[Any, ...], seed: int) -> dict[str, Any]:
    series, name, mask, variant, compression = cell
    title, kind, estimate, evaluations, frc = method
    frc += 0.002 * seed - 0.01 * compression
    return {
        "series": series, "cell": name, "mask": mask, "variant": variant, "operator": "", "compression": compression,
        "effective_compression": 1.25 * compression, "stored": 100, "method": title, "kind": kind,
        "bytes_per_particle": 400,
        "estimate": estimate, "solver": "", "samples": 1, "seed": seed, "n": 8, "psnr": 20 + frc, "ssim": 2 * frc + 0.5,
        "lpips": 0.4 - frc, "correlation": frc + 0.01, "frc": frc, "evaluations": evaluations, "backward": 0,
        "memory_mb": 100.0, "seconds": 0.001 + evaluations / 500, **dict.fromkeys(ZEROS, 0.0),
        "frc_gain": frc - 0.2 + 0.01 * compression, "ssim_gain": 2 * frc - 0.4 + 0.02 * compression,
    }  # fmt: skip


def made_up_rows() -> pd.DataFrame:
    """Return rows of all methods in all cells; samples have two seeds."""
    lines = [row(c, m, seed) for c in CELLS for m in METHODS for seed in range(2 if m[2] == "sample" else 1)]
    full = row(("", "", "", "", 1.0), ("full image", "control", "control", 0, 0.27), 0)
    return pd.DataFrame([*lines, full])


def pair(ours: str, other: str, estimate: str, frc: float) -> dict[str, Any]:
    verdict = "LOWER" if frc < -0.006 else "not lower"
    return {
        "cell": "K=16 C=2.5", "ours": ours, "other": other, "estimate": estimate, "n": 8, "correlation": 0.0125,
        "correlation_error": 0.004, "frc": frc, "frc_error": 0.003, "power_ours": 0.97, "power_other": 0.78,
        "evaluations_ours": 10, "evaluations_other": 8000, "backward_other": 7000, "ratio": 800.0, "verdict": verdict,
    }  # fmt: skip


def made_up_table(**changed: Any) -> ImageTable:
    image = np.random.default_rng(0).normal(size=(16, 16))
    pairs = [
        pair("exact mean", "DPS, mean of 8", "mean", -0.0111),
        pair("exact mean", "least squares", "mean", 0.0222),
        pair("exact", "DPS", "sample", 0.0333),
    ]
    published = pd.DataFrame(
        {"mask": ["K=16", "ring"], "compression": [2.56, 10.0], "lpips": 0.17, "ssim": [0.44, 0.14]}
    )
    table = ImageTable(
        title="Images",
        rows=made_up_rows(),
        pairs=pd.DataFrame(pairs),
        examples={"K=16 C=2.5": {"clean": image, "original": image, "measured": image, "exact mean": image}},
        facts=[("particles", "8"), ("prior", "none <at all>")],
        published=published,
        headline=("exact mean",),
    )
    return replace(table, **changed)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the made-up table was written to."""
    folder = tmp_path_factory.mktemp("page")
    made_up_table().write(folder)
    return folder


def section(text: str, heading: str) -> list[list[str]]:
    """Return the table below a heading, its head first."""
    body = text.split(f"### {heading}\n")[1].split("\n### ", maxsplit=1)[0]
    lines = [line for line in body.splitlines() if line.startswith("| ")]
    return [line[2:-2].split(" | ") for line in lines if not line.startswith("| ---")]


def cell_of(text: str, heading: str, key: str, column: str) -> str:
    """Return the place of a table whose row begins with a key."""
    head, *rows = section(text, heading)
    (found,) = [line for line in rows if " ".join(line).startswith(key)]
    return found[head.index(column)]


def changed_rows(method: str, cell: str, **values: float) -> pd.DataFrame:
    rows = made_up_rows()
    rows.loc[(rows["method"] == method) & (rows["cell"] == cell), list(values)] = list(values.values())
    return rows


PIXEL, FOURIER = "LPIPS / SSIM, pixel masks, hadamard", "LPIPS / SSIM, Fourier masks, hermitian"


def test_scores_stand_in_the_shape_of_table_1_beside_the_paper() -> None:
    text = made_up_table().markdown()
    head, *rows = section(text, PIXEL)
    assert head == ["mask", "C", "effective C", "bytes", *(m[0] for m in METHODS), "paper"]
    sizes = [["K=16", "2.5", "3.12", "400"], ["K=16", "1.4", "1.75", "400"], ["K=2", "4", "5", "400"]]
    assert [line[:4] for line in rows] == sizes
    assert cell_of(text, PIXEL, "K=16 2.5", "exact mean") == "**.185** / **.930**"
    assert cell_of(text, PIXEL, "K=16 2.5", "least squares") == ".225 / .850"
    assert cell_of(text, PIXEL, "K=16 2.5", "exact") == "**.274** ± .001 / **.752** ± .003"
    assert [line[-1] for line in rows] == [".17 / .44", "", ""]


def test_a_number_of_the_table_is_that_of_the_rows() -> None:
    rows = changed_rows("bin", "K=2 C=4", lpips=0.777, ssim=0.111)
    before, after = made_up_table().markdown(), made_up_table(rows=rows).markdown()
    assert cell_of(after, PIXEL, "K=2 4", "bin") == ".777 / .111" != cell_of(before, PIXEL, "K=2 4", "bin")
    assert cell_of(after, PIXEL, "K=16 2.5", "bin") == cell_of(before, PIXEL, "K=16 2.5", "bin")


def test_unknown_lpips_is_a_dash() -> None:
    text = made_up_table(rows=made_up_rows().assign(lpips=np.nan)).markdown()
    assert cell_of(text, PIXEL, "K=16 2.5", "bin") == "– / .830"


def test_the_headline_is_arranged_as_in_the_paper() -> None:
    text = made_up_table().markdown()
    head, *rows = section(text, f"exact mean, {PIXEL}, as the paper arranges it")
    assert head == ["K", "C", "LPIPS / SSIM", "C", "LPIPS / SSIM"]
    assert rows == [
        ["K=16", "2.5", ".185 / .930", "1.4", ".174 / .952"],
        ["paper", "", ".17 / .44", "", ""],
        ["K=2", "4", ".200 / .900", "", ""],
    ]
    head, *rows = section(text, f"exact mean, {FOURIER}, as the paper arranges it")
    assert head == ["C", "bytes", "spoke", "ring"]
    assert rows == [
        ["10", "400", ".260 / .780", ".260 / .780"],
        ["paper", "", "", ".17 / .14"],
        ["2.5", "400", "", ".185 / .930"],
    ]


@pytest.mark.parametrize(
    ("method", "frc", "bold"),
    [
        ("DPS, mean of 8", 0.2161, {"DPS, mean of 8", "exact"}),
        ("DPS, mean of 8", 0.2149, {"DPS, mean of 8", "exact mean", "exact"}),
        ("least squares", 0.3, {"least squares", "exact"}),
        ("exact", 0.3, {"exact mean", "exact"}),
        ("bin", 0.9, {"exact mean", "exact"}),
        ("constant", 0.9, {"exact mean", "exact"}),
    ],
)
def test_bold_is_the_best_of_its_estimate(method: str, frc: float, bold: set[str]) -> None:
    # exact mean has .2150; .2149 shows as the same .215
    rows = changed_rows(method, "K=16 C=2.5", frc=frc)
    text = made_up_table(rows=rows).markdown()
    heading = "FRC with the clean image, pooled over particles"
    found = {m[0] for m in METHODS if "**" in cell_of(text, heading, "K=16 C=2.5", m[0])}
    assert found == bold


def test_nothing_wins_alone() -> None:
    rows = made_up_rows()
    text = made_up_table(rows=rows[rows["method"].isin(["exact mean", "exact", "bin", "constant"])]).markdown()
    assert "**" not in "".join(cell_of(text, PIXEL, "K=16 2.5", name) for name in ("exact mean", "exact", "bin"))


def test_the_full_image_stands_beside_the_signal() -> None:
    text = made_up_table().markdown()
    assert cell_of(text, "Correlation with the clean image", "ring C=10", "full image") == ".270"
    assert "full image" not in section(text, "PSNR against the recorded image (dB)")[0]


def test_without_clean_images_there_is_no_signal_but_psnr() -> None:
    rows = made_up_rows().assign(frc=np.nan, correlation=np.nan)
    text = made_up_table(rows=rows).markdown()
    assert "FRC with the clean image, pooled" not in text
    assert cell_of(text, "PSNR against the recorded image (dB)", "K=2 C=4", "exact mean") == "**20.20**"
    assert (quality_of(rows), quality_of(made_up_rows())) == ("ssim", "frc")


def test_costs_are_medians_over_cells_and_seeds() -> None:
    rows = made_up_rows()
    mine = rows["method"] == "exact"
    rows.loc[mine, "seconds"] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1000]
    text = made_up_table(rows=rows).markdown()
    assert cell_of(text, "Cost of an image", "exact 10", "seconds") == "6.5"
    assert cell_of(text, "Cost of an image", "DPS, mean", "forward") == "8,000"
    assert {line[0] for line in section(text, "Cost of an image")[1:]} == {m[0] for m in METHODS if m[1] == "method"}


def test_comparisons_name_the_winner_where_ours_is_lower() -> None:
    text = made_up_table().markdown()
    means = section(text, "Comparisons, means against means")
    assert means[1] == [
        "K=16 C=2.5", "exact mean", "**DPS, mean of 8**", "-.0111 ± .0030", "LOWER", "+.0125 ± .0040", ".97 / .78",
        "8", "10 / 8,000", "7,000", "800×",
    ]  # fmt: skip
    assert means[2][2] == "least squares"
    assert "Of 2 comparisons, means against means" in text
    assert "standard errors in 1: DPS, mean of 8 above exact mean at K=16 C=2.5." in text
    assert [line[1:4] for line in section(text, "Comparisons, samples against samples")[1:]] == [
        ["exact", "DPS", "+.0333 ± .0030"]
    ]
    assert "standard errors in 0." in text


def test_what_there_is_none_of_is_left_out(tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    png = (written / "cost-seconds.png").read_bytes()
    monkeypatch.setattr("cryoprior.benchmark.images.page.quality_against_cost", lambda *_: png)
    monkeypatch.setattr("cryoprior.benchmark.images.page.compression_figures", lambda *_: iter(()))
    table = made_up_table(pairs=pd.DataFrame(), examples={}, published=None, headline=())
    table.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert not re.search("Comparisons|<h2>Images|As the paper|paper</th>", page)
    assert "<h2>Quality against cost</h2>" in page
    assert not (tmp_path / "pairs.csv").exists()


def test_downstream_has_the_shape_of_table_5() -> None:
    found = {
        "method": "exact",
        "agreement": {"a": 0.821, "b": 0.914},
        "agreement_all": 0.879,
        "chains": (51, 42),
        "pairs": 40,
        "rmsd_angstrom": 2.344,
        "confidence": (67.3, 62.5),
    }
    unknown = {"method": "DMPlug", "chains": (None, 28), "confidence": None, "rmsd_angstrom": 2.75, "agreement": None}
    head, *rows = section(made_up_table(downstream=[found, unknown]).markdown(), "States and atoms")
    assert head == ["method", "a", "b", "all", "chains", "pairs", "RMSD (Å)", "confidence"]
    assert rows[0] == ["exact", "82.1 %", "91.4 %", "87.9 %", "51 / 42", "40", "2.34", "67.3 / 62.5"]
    assert [text.strip() for text in rows[1]] == ["DMPlug", "", "", "", "– / 28", "", "2.75", ""]
    assert "States and atoms" not in made_up_table().markdown()


def test_operating_points_are_the_largest_compressions_that_reach_the_score() -> None:
    rows = made_up_rows()
    points = operating_points(rows, "ssim", 0.94).set_index(["mask", "method"])
    assert points.loc[("K=16", "exact mean"), "compression"] == 1.4
    assert points.loc[("K=16", "exact mean"), "effective_compression"] == 1.75
    assert points.loc[("K=16", "exact mean"), "ssim"] == pytest.approx(0.952)
    assert points.loc[("K=16", "DPS"), ["compression", "effective_compression", "ssim"]].isna().all()
    assert ("", "full image") not in points.index
    at_once = operating_points(rows, "ssim", 0.5).set_index(["mask", "method"])
    assert at_once.loc[("K=16", "exact mean"), "compression"] == 2.5
    text = made_up_table().markdown()
    assert cell_of(text, "Operating points, SSIM of at least .8", "fourier ring", "exact mean") == "2.5"
    assert cell_of(text, "Operating points, SSIM of at least .8", "fourier ring", "constant") == "never"


def test_operating_points_of_scores_of_which_less_is_better_and_of_equal_compressions() -> None:
    rows = made_up_rows()
    rows.loc[rows["cell"] == "K=16 C=1.4", "compression"] = 2.5
    lowest = operating_points(rows, "lpips", 0.2).set_index(["mask", "method"])
    assert lowest.loc[("K=16", "exact mean"), "lpips"] == pytest.approx(0.174)  # of .185 and .174, both at 2.5
    assert np.isnan(lowest.loc[("K=16", "least squares"), "compression"])
    reached = operating_points(rows, "lpips", 0.185).set_index(["mask", "method"])
    assert reached.loc[("K=16", "exact mean"), "compression"] == 2.5


def test_a_score_exactly_at_the_limit_is_reached_by_the_mean_over_seeds() -> None:
    rows = made_up_rows()
    mine = (rows["method"] == "exact") & (rows["cell"] == "K=2 C=4")
    rows.loc[mine, "ssim"] = [0.75, 1.0]
    assert operating_points(rows, "ssim", 0.875).set_index(["mask", "method"]).loc[("K=2", "exact"), "compression"] == 4
    assert operating_points(rows, "ssim", 0.876).set_index(["mask", "method"])["compression"].isna()[("K=2", "exact")]


def test_pictures_are_the_same_png_twice_and_small(tmp_path: Path, written: Path) -> None:
    made_up_table().write(tmp_path)
    pictures = sorted(path.name for path in written.glob("*.png"))
    assert pictures == [
        "compression-fourier-masks-hermitian.png",
        "compression-pixel-masks-hadamard.png",
        "cost-evaluations.png",
        "cost-seconds.png",
        "images-k16-c2.5-1.png",
    ]
    for name in pictures:
        png = (written / name).read_bytes()
        assert imread(io.BytesIO(png)).size > 10_000
        assert png == (tmp_path / name).read_bytes()
        assert len(png) < 250_000


def test_everything_is_written_and_the_page_marks_the_best(written: Path) -> None:
    table = made_up_table()
    rows = pd.read_csv(written / "rows.csv")
    np.testing.assert_allclose(rows["frc"], table.rows["frc"], rtol=1e-5)
    assert list(rows.columns) == list(table.rows.columns)
    assert len(pd.read_csv(written / "pairs.csv")) == 3
    page = (written / "report.html").read_text()
    assert "<strong>.185</strong> / <strong>.930</strong>" in page
    assert "**" not in page
    assert "none &lt;at all&gt;" in page
    assert page.count("data:image/png;base64,") == 5
    assert "exact mean | DPS, mean of 8" in (written / "table.md").read_text()


def test_the_summary_is_json_with_none_for_what_is_unknown() -> None:
    summary = made_up_table(rows=made_up_rows().assign(lpips=np.nan)).summary()
    assert json.loads(json.dumps(summary)) == summary
    assert (len(summary["rows"]), summary["rows"][0]["lpips"], len(summary["pairs"])) == (55, None, 3)
    never = [point for point in summary["operating_points"] if point["method"] == "constant"]
    assert {point["compression"] for point in never} == {None}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures made, in place of their PNG."""
    made: list[Any] = []
    for module in (bench_figures, bench_cost_figure):
        monkeypatch.setattr(module, "png_bytes", lambda figure: made.append(figure) or b"")
        monkeypatch.setattr(module, "with_palette", lambda png: png)
    return made


def test_points_lie_at_their_cost_and_samples_are_open(drawn: list[Any]) -> None:
    quality_against_cost(made_up_rows(), ["K=16 C=2.5", "ring C=10"], "evaluations")
    first = drawn[0].axes[0]
    assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["K=16 C=2.5", "ring C=10"]
    points = [line for line in first.lines if line.get_marker() in ("o", "s")]
    places = [(float(line.get_xdata()[0]), round(float(line.get_ydata()[0]), 4)) for line in points]
    assert places == [(10, 0.04), (8000, 0.03), (10, -0.049), (1000, -0.059), (1, 0.0)]  # 0 evaluations at 1
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["0", "10", "100", "1000", "10000"]
    faces = [line.get_markerfacecolor() == "white" for line in points]
    assert faces == [False, False, True, True, False]
    names = [text.get_text() for text in first.texts if text.get_text()]
    assert sorted(names) == sorted([*(m[0] for m in METHODS if m[1] != "floor"), "full image"])


def test_without_clean_images_the_full_image_is_no_level(drawn: list[Any]) -> None:
    quality_against_cost(made_up_rows().assign(frc=np.nan), ["K=16 C=2.5"], "evaluations")
    names = {text.get_text() for text in drawn[0].axes[0].texts}
    assert "bin" in names
    assert "full image" not in names


def test_names_of_points_do_not_overlap(drawn: list[Any]) -> None:
    quality_against_cost(made_up_rows(), ["K=16 C=2.5"], "seconds")
    figure = drawn[0]
    names = [text for text in figure.axes[0].texts if text.get_text()]
    boxes = [text.get_window_extent() for text in names]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_many_points_in_one_place_keep_their_names_apart(drawn: list[Any]) -> None:
    crowd = [(f"method {i}", "method", "mean", 100, 0.2 + 1e-4 * i) for i in range(9)]
    far = [("low", "method", "mean", 1, 0.1), ("high", "method", "mean", 9000, 0.3)]
    rows = pd.DataFrame([row(CELLS[0], method, 0) for method in (*crowd, *far)])
    quality_against_cost(rows, ["K=16 C=2.5"], "evaluations")
    boxes = [text.get_window_extent() for text in drawn[0].axes[0].texts if text.get_text()]
    assert len(boxes) == 11
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_lines_by_compression_are_ten_at_most_means_first_and_controls_grey(drawn: list[Any]) -> None:
    extra = [(f"mean {i}", "method", "mean", 1, 0.1) for i in range(9)]
    rows = pd.concat([made_up_rows(), pd.DataFrame([row(c, m, 0) for c in CELLS for m in extra])])
    names = [heading for heading, _ in compression_figures(rows)]
    assert names == ["pixel masks, hadamard", "Fourier masks, hermitian"]
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    assert list(lines) == ["exact mean", "DPS, mean of 8", *(f"mean {i}" for i in range(6)), "bin", "constant"]
    assert {name for name, line in lines.items() if line.get_color() == bench_figures.GREY} == {"bin", "constant"}
    np.testing.assert_allclose(lines["exact mean"].get_xydata(), [[1.4, 0.226], [2.5, 0.215]])
    list(compression_figures(rows, ["DPS", "bin", "unknown"]))
    assert [line.get_label() for line in drawn[2].axes[0].lines] == ["DPS", "bin"]


def test_a_single_compression_has_no_line() -> None:
    rows = made_up_rows()
    assert not list(compression_figures(rows[rows["compression"] == 10.0]))


def test_examples_go_into_even_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    bands: list[tuple[list[str], float, float]] = []

    def keep(rows: list[Any], columns: list[str]) -> bytes:
        bands.append((columns, rows[0].low, rows[0].high))
        return b""

    monkeypatch.setattr(bench_figures, "montage", keep)
    monkeypatch.setattr(bench_figures, "_in_grey", lambda png: png)
    original = np.random.default_rng(1).normal(size=(8, 8))
    images = {"original": original, **{f"method {i}": 9 * original for i in range(8)}}
    assert len(list(example_pictures("cell", images))) == 2
    assert [len(columns) for columns, _, _ in bands] == [5, 5]
    assert [*bands[0][0], *bands[1][0]] == [*images, ""]
    assert [high - low for _, low, high in bands] == pytest.approx([6 * original.std()] * 2)


def test_a_wide_sheet_becomes_several_tables_that_name_their_rows() -> None:
    columns = ["cell", "C", *(f"method number {i}" for i in range(12))]
    sheet = Sheet("Wide", columns, [["K=2", "4", *(f"**{i}**" for i in range(12))]], "Note.", names=2)
    tables = sheet.blocks()
    assert len(tables) == 2  # heads go on two lines
    assert all(list(table.columns[:2]) == ["cell", "C"] and len(table.columns) == 8 for table in tables)
    assert [column for table in tables for column in table.columns[2:]] == columns[2:]
    assert [table.caption for table in tables] == ["Wide (1 of 2).", "Wide (2 of 2). Note."]
    assert re.search(r"<td[^>]*><strong>11</strong></td>", tables[1].html())
    halves = Sheet("Halves", columns, [["a", "1", *["1"] * 6, *[""] * 6], ["b", "2", *["2"] * 12]], names=2).blocks()
    assert [[row[0] for row in table.rows] for table in halves] == [["a", "b"], ["b"]]
    (narrow,) = Sheet("Narrow", ["a", "b"], [["1", "2"]]).blocks()
    assert narrow.caption == "Narrow."


@pytest.mark.parametrize(
    ("value", "text"), [(0.1432, ".143"), (-0.05, "-.050"), (-0.0001, ".000"), (1.0, "1.000"), (10.04, "10.040")]
)
def test_numbers_are_written_as_in_the_paper(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(8000.0, "8,000"), (1234.6, "1,235"), (112.3, "112"), (0.00449, "0.00449"), (float("nan"), "")]
)
def test_numbers_of_any_size_keep_three_digits(value: float, text: str) -> None:
    assert general(value) == text


def test_methods_with_fewer_particles_say_so_and_stand_in_no_contest() -> None:
    rows = made_up_rows()
    whole = made_up_table().markdown()
    partial = made_up_table(rows=rows.assign(n=rows["n"].where(rows["method"] != "exact mean", 2))).markdown()
    assert "(n = 2)" not in whole
    assert "| **.215** | .205 |" in whole  # FRC at C = 2.5
    assert "| .215 (n = 2) | **.205** |" in partial


def test_the_full_image_stands_at_its_gain_over_least_squares_of_each_cell() -> None:
    found = over_least_squares(made_up_rows(), ["K=16 C=2.5", "K=16 C=1.4"], "frc")
    full = found[found["method"] == "full image"].set_index("cell")["frc"]
    assert full["K=16 C=2.5"] == pytest.approx(0.27 - 0.01 - (0.2 - 0.025))  # the full image has compression 1
    assert full["K=16 C=1.4"] == pytest.approx(0.27 - 0.01 - (0.2 - 0.014))


def test_comparisons_show_the_power_of_both() -> None:
    assert "| .97 / .78 |" in made_up_table().markdown()
    assert "| .97 / .50 |" in made_up_table(pairs=made_up_table().pairs.assign(power_other=0.5)).markdown()
