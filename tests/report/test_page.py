"""Pages need nothing but themselves, and what is put in comes out escaped."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from cryoprior.report import (
    Alert,
    KeyValues,
    MontageRow,
    Picture,
    Prose,
    Section,
    Table,
    grey_limits,
    montage,
    render_page,
    shell_curves,
    write_page,
)

PNG = b"\x89PNG\r\n\x1a\n"
BLOCKS = [
    Prose("a < b & c"),
    Table(["", "x"], [["row", "1"], ["best", "2"]], "caption", strong=(1,)),
    KeyValues([("key", "<value>")]),
    Alert("Careful", "why"),
    Alert("Know", "this", "note"),
    Picture(PNG, 'says "what"', "caption", 300),
]


def test_a_page_is_self_contained() -> None:
    page = render_page("Title", [Section("Part", BLOCKS)], "subtitle", "footer")
    assert not re.search(r"<script|<link|@import|url\(|https?:", page)
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert 'name="viewport"' in page
    assert page.count("<h1>") == 1


def test_text_is_escaped_and_dollars_are_kept() -> None:
    page = render_page("<T>", [Section("5 $body", BLOCKS)])
    assert "&lt;T&gt;" in page
    assert "5 $body" in page
    assert "a &lt; b &amp; c" in page
    assert "<value>" not in page
    assert 'alt="says &quot;what&quot;"' in page


def test_alerts_and_strong_rows_stand_out() -> None:
    page = render_page("T", [Section("", BLOCKS)])
    assert 'class="alert danger" role="alert"' in page
    assert 'class="alert note"' in page
    assert page.count('<tr class="strong">') == 1
    assert "<h2>" not in page


def test_write_page(tmp_path: Path) -> None:
    path = write_page(tmp_path / "report.html", "T", [Section("S", [Prose("Å")])])
    assert "Å" in path.read_text(encoding="utf-8")


def test_figures_are_png_and_repeat() -> None:
    image = np.random.default_rng(0).normal(5, 2, (16, 16))
    low, high = grey_limits(image)
    row = MontageRow("particle 1", [image, image - image, None], low, high, differences=(1,))
    assert row.limits(0) == (low, high)
    assert row.limits(1) == pytest.approx(((low - high) / 2, (high - low) / 2))
    first, second = (montage([row, row], ["a", "b", "c"]) for _ in range(2))
    assert first[:8] == PNG
    assert first == second
    resolution = np.concatenate([[np.inf], 100 / np.arange(1, 9)])
    assert shell_curves(resolution, {"a": np.linspace(1, 0, 9), "b": np.ones(9)}, line=0.5)[:8] == PNG
