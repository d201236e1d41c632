"""The page of map: what it shows, and what it warns of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cryoprior.maps.page import HALVES, MapPage, angstrom
from cryoprior.metrics.fsc import Resolution
from cryoprior.report.page import Alert, KeyValues, Lead, Picture, Prose, Table

SHELLS = np.r_[np.inf, 32.0 / np.arange(1, 9)]


def page(names: tuple[str, ...] = ("one",), **more: object) -> MapPage:
    curve = np.linspace(1, 0, 9)
    volume = np.random.default_rng(0).normal(size=(16, 16, 16))
    given: dict[str, object] = {
        "says": "8.0 A by half maps; views cover the sphere; no prior",
        "facts": [("Particles", "12")],
        "columns": ("map", "half maps 0.143"),
        "rows": [(name, "8.00") for name in names],
        "resolution_angstrom": SHELLS,
        "curves": {"corrected": curve, "masked": curve},
        "methods": dict.fromkeys(names, curve),
        "against": "true map",
        "maps": dict.fromkeys(names, volume),
        "voxel_size_angstrom": 2.0,
        "prior_inside": False,
    }
    return MapPage(**{**given, **more})


def blocks(shown: MapPage, kind: type) -> list[object]:
    return [block for section in shown.sections() for block in section.blocks if isinstance(block, kind)]


def test_facts_resolutions_curves_and_sections_are_shown() -> None:
    shown = page()
    assert [section.title for section in shown.sections()][1:3] == ["Resolution", "Fourier shell correlation"]
    assert len(blocks(shown, KeyValues)) == len(blocks(shown, Table)) == 1
    assert len(blocks(shown, Picture)) == 2
    assert not blocks(shown, Alert)


def test_several_maps_are_compared_in_one_picture() -> None:
    pictures = blocks(page(("one", "two")), Picture)
    assert len(pictures) == 3


def test_the_sentence_comes_first_then_warnings_and_half_maps_of_a_prior_are_noted() -> None:
    warning = Alert("No CTF", "none")
    shown = page(prior_inside=True, warnings=[warning])
    assert shown.sections()[0].blocks[:2] == [Lead(shown.says), warning]
    assert [alert.text for alert in blocks(shown, Alert)] == ["none", HALVES]


def test_notes_stand_under_the_table() -> None:
    _, results, *_ = page(notes=["“a” is the same map as “b”"]).sections()
    assert results.blocks[1] == Prose("“a” is the same map as “b”")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Resolution(9.123, False), "9.12"),
        (Resolution(8.0, True), "≤ 8.00 (Nyquist)"),
        (Resolution(math.inf, False), "none"),
    ],
)
def test_a_resolution_is_a_number_or_none(value: Resolution, text: str) -> None:
    assert angstrom(value) == text


@pytest.mark.parametrize("picture", ["fsc_picture", "slices_picture"])
def test_pictures_are_png(picture: str) -> None:
    assert getattr(page(), picture)().startswith(b"\x89PNG")
