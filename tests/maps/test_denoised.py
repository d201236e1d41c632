"""Estimates of the signal are no data for a map, however they come."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io import write_stack, write_star
from cryoprior.maps.command import Options, run
from cryoprior.maps.denoised import SAID, check_denoised, denoised_alert, is_denoised
from kit.projected_views import draw_blobs, draw_views, project_views

PLAIN = pd.DataFrame({"rlnImageName": ["1@a.mrcs", "2@a.mrcs"]})


def test_the_column_and_the_record_both_say_it() -> None:
    assert not is_denoised(PLAIN, {"estimate": "mean"})
    assert is_denoised(PLAIN, {"estimate": "signal"})
    assert is_denoised(PLAIN.assign(cryopriorEstimate="signal"), {})
    assert is_denoised(PLAIN.assign(cryopriorEstimate=["", "signal"]), {})  # joined with others


def test_they_are_refused_with_the_reason_unless_told() -> None:
    with pytest.raises(InputError, match=r"share what the prior put in.*even_if_denoised"):
        check_denoised(Path("p.star"), denoised=True, allowed=False)
    check_denoised(Path("p.star"), denoised=True, allowed=True)
    check_denoised(Path("p.star"), denoised=False, allowed=False)
    assert "measure nothing by it" in denoised_alert().text


def test_map_refuses_them_and_says_what_it_is_where_told(tmp_path: Path) -> None:
    box, pixel = 16, 8.0
    table, optics = draw_views(np.random.default_rng(0), "p.mrcs", 60, box, pixel)
    write_stack(tmp_path / "p.mrcs", project_views(draw_blobs(box, 0), table, optics), pixel)
    star = tmp_path / "p.star"
    write_star(star, table.assign(cryopriorEstimate="signal"), optics)
    with pytest.raises(InputError, match="even_if_denoised"):
        run(Options(particles=star, output=tmp_path / "map"))
    summary = run(Options(particles=star, output=tmp_path / "map", even_if_denoised=True))
    assert SAID in summary["says"]
    assert denoised_alert().title in summary["warnings"]
    assert SAID in json.loads((tmp_path / "map" / "summary.json").read_text())["says"]
