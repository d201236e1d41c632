"""The page of what to keep: its counts, its front and its pictures come from the rows."""

from __future__ import annotations

import pytest
from benchmarks.maps.what_to_keep_page import page

HEAD = (
    "data",
    "n",
    "way",
    "kind",
    "bytes",
    "predicted",
    "finest",
    "coarsest",
    "predicted_worth",
    "found",
    "truth",
    "worth",
)
WAYS = (
    ("float32", "format", 16384, 10.0, 10.2, 1.0),
    ("quantize:bits=1", "bits", 512, 11.0, 11.4, 0.64),
    ("fourier:compression=4", "masks", 4096, 13.0, 12.0, 0.25),
    ("crop:size=32", "masks", 4096, 13.0, 12.5, 0.25),
)


def rows(names: tuple[str, ...] = ("one", "two")) -> list[dict[str, str]]:
    made = []
    for name in names:
        for way, kind, size, predicted, found, worth in WAYS * (3 if name == "one" else 1):
            values = (
                name,
                100,
                way,
                kind,
                size,
                predicted,
                predicted - 0.5,
                predicted + 0.5,
                worth,
                found,
                found,
                worth,
            )
            made.append({key: str(value) for key, value in zip(HEAD, values, strict=True)})
    fewer = {**dict.fromkeys(HEAD, ""), "data": "one", "n": "3", "way": "fewer, as quantize:bits=1", "kind": "fewer"}
    return [*made, {**fewer, "bytes": "512", "found": "40.0"}]


def test_the_check_counts_what_lies_in_the_range() -> None:
    text, _ = page(rows(), "made")
    assert "Over 16 maps of 2 data sets" in text
    assert "within the range of one deviation 12 times of 16" in text
    assert "| one | 12 | 10.0 (9.5 to 10.5) | 10.2 | 11.0 (10.5 to 11.5) | 11.4 | 1.02 | 9 of 12 |" in text
    assert "| two | 4 | 10.0 (9.5 to 10.5) | 10.2 | 11.0 (10.5 to 11.5) | 11.4 | 1.02 | 3 of 4 |" in text


def test_the_front_is_bold_and_small_data_sets_have_no_table() -> None:
    text, pictures = page(rows(), "made")
    assert "| **quantize:bits=1** | 100 | 512 | 32 | 11.4 | 11.4 |" in text
    assert "| fourier:compression=4 | 100 | 4,096 | 4 | 12.0 | 12.0 |" in text
    assert "| fewer, as quantize:bits=1 | 3 | 512 | 32 | 40.0 |" in text
    assert "## one" in text
    assert "## two" not in text
    assert all(png.startswith(b"\x89PNG") for png in pictures.values())


@pytest.mark.parametrize("gone", ["quantize:bits=1"])
def test_data_without_one_bit_have_empty_places(gone: str) -> None:
    text, _ = page([row for row in rows() if row["way"] != gone], "made")
    assert "| two | 3 | 10.0 (9.5 to 10.5) | 10.2 |  |  |" in text
