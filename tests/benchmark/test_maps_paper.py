"""Table 3 in the paper's shape: pixel cells beside Fourier cells, errors of poses where they are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.benchmark.maps import page as bench_maps
from cryoprior.benchmark.maps.page import FULL, MapTable
from cryoprior.benchmark.maps.paper import paper_table_3

QUALITY = ["resolution (Å)", "volume correlation", "angular error (°)", "shift error (pixels)"]
CELLS = (
    ("pixel", "K=2 C=4", "pixel:block=2,masks=1", 4.0, 4096, 9.984, 0.831),
    ("pixel", "fine", "pixel:block=16,masks=197", 1.2995, 12608, 6.99, 0.97),
    ("fourier", "C=10", "fourier:compression=10", 10.0, 1640, 11.03, np.nan),
)
SIZE = ["compression", "bytes_per_particle"]
COLUMNS = ["series", "cell", "operator", *SIZE, "resolution_0143_angstrom", "truth_correlation"]
POSES = pd.DataFrame(
    {"cell": ["C=10", "fine"], "method": "ours", "median_angle_deg": [128.8, 1.7], "median_shift_pixel": [22.1, 0.9]}
)


def numbers() -> pd.DataFrame:
    return pd.DataFrame(CELLS, columns=COLUMNS)


def test_pixel_and_fourier_stand_side_by_side() -> None:
    columns, rows = paper_table_3(numbers(), POSES)
    assert columns == ["pixel K", "C", "bytes", *QUALITY, "Fourier C", "bytes", *QUALITY]
    assert rows == [
        ["2", "4", "4,096", "9.98", "0.83", "", "", "10", "1,640", "11.03", "", "128.80", "22.10"],
        ["16", "1.3", "12,608", "6.99", "0.97", "1.70", "0.90", *[""] * 6],
    ]


def test_the_longer_side_sets_the_rows() -> None:
    more = pd.concat([numbers(), numbers()[2:].assign(cell="C=5", compression=5.0)] * 2)
    _, rows = paper_table_3(more[more["cell"] != "fine"], POSES)
    assert len(rows) == 4
    assert [row[0] for row in rows] == ["2", "2", "", ""]
    assert [row[7] for row in rows] == ["10", "5", "10", "5"]


def test_a_series_without_cells_has_no_columns_and_unknown_numbers_stay_empty() -> None:
    found = numbers().drop(columns="truth_correlation")
    columns, rows = paper_table_3(found[found["series"] == "fourier"], pd.DataFrame())
    assert columns == ["Fourier C", "bytes", *QUALITY]
    assert rows == [["10", "1,640", "11.03", "", "", ""]]


@pytest.fixture
def table() -> MapTable:
    """Two methods at 100 particles, one at 50, and full data."""
    rows = [numbers().assign(method=name, particles=n) for name, n in (("ours", 100), ("other", 100), ("ours", 50))]
    full = [numbers()[:1].assign(cell="", series="", method=FULL, particles=n) for n in (100, 50)]
    found = pd.concat([*full, *rows], ignore_index=True).assign(nyquist_limited=False)
    found.loc[found["particles"] == 50, "resolution_0143_angstrom"] = 77.0
    poses = POSES.assign(above_30_deg=0.0, hand_flipped=False)
    curves = pd.DataFrame({"method": [], "cell": [], "particles": [], "fsc_corrected": []})
    return MapTable("Maps", found, curves, poses, {}, None, np.ones((4, 4, 4)), 2.0)


def test_every_method_has_its_table_at_the_largest_number_of_particles(table: MapTable) -> None:
    text = table.markdown()
    parts = text.split("## Table 3 in the paper's shape: ")[1:]
    assert [part.splitlines()[0] for part in parts] == ["ours, 100 particles", "other, 100 particles"]
    assert "| 2 | 4 | 4,096 | 9.98 | 0.83 |  |  | 10 | 1,640 | 11.03 |  | 128.80 | 22.10 |" in parts[0]
    assert "128.80" not in parts[1]
    assert "77.00" not in "".join(parts)


def test_the_page_has_it_too(table: MapTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_maps, "resolution_against_compression", lambda *_, **__: b"")
    table.write(tmp_path)
    assert "Table 3 in the paper&#x27;s shape: ours, 100 particles" in (tmp_path / "report.html").read_text()
    assert "Table 3 in the paper's shape: other" in (tmp_path / "table.md").read_text()
