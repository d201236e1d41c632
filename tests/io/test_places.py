"""Where files are looked for, and where they never are."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.io.places import LEVELS, find_file, find_files
from kit.stacks import write_text


def test_the_longest_tail_under_the_datadir(tmp_path: Path) -> None:
    for name in ("m.mrcs", "b/m.mrcs", "a/b/m.mrcs"):
        write_text(tmp_path / "data" / name, "")
    for name, found in (("/old/a/b/m.mrcs", "a/b/m.mrcs"), ("x/b/m.mrcs", "b/m.mrcs"), ("x/m.mrcs", "m.mrcs")):
        assert find_file(name, tmp_path / "p.star", tmp_path / "data") == tmp_path / "data" / found


def test_two_names_do_not_become_one_file(tmp_path: Path) -> None:
    write_text(tmp_path / "data" / "m.mrcs", "")
    with pytest.raises(InputError, match=r"the files a/m.mrcs and b/m.mrcs both become .*data/m.mrcs in datadir"):
        find_files(["a/m.mrcs", "b/m.mrcs"], tmp_path / "p.star", tmp_path / "data")
    with pytest.raises(InputError, match=r"both become"):
        find_files(["m.mrcs", "b/m.mrcs"], tmp_path / "p.star", tmp_path / "data")
    assert len(find_files(["m.mrcs", "./m.mrcs"], tmp_path / "p.star", tmp_path / "data")) == 2


def test_the_search_ends_at_the_project(tmp_path: Path) -> None:
    star = write_text(tmp_path / "project" / "Refine3D" / "job012" / "p.star", "")
    write_text(tmp_path / "project" / "Extract" / "a.mrcs", "")
    write_text(tmp_path / "b.mrcs", "")
    assert find_file("Extract/a.mrcs", star, None) == tmp_path / "project" / "Extract" / "a.mrcs"
    assert find_file("b.mrcs", star, None) == tmp_path / "b.mrcs"
    write_text(tmp_path / "project" / "default_pipeline.star", "")
    assert find_file("Extract/a.mrcs", star, None) == tmp_path / "project" / "Extract" / "a.mrcs"
    with pytest.raises(InputError, match=r"no image file b.mrcs in .*job012 or the 2 folders above it; pass datadir"):
        find_file("b.mrcs", star, None)


def test_the_search_ends_after_four_levels_and_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path.joinpath(*"abcdef"[: LEVELS + 1])
    write_text(tmp_path / "far.mrcs", "")
    with pytest.raises(InputError, match=r"no image file far.mrcs"):
        find_file("far.mrcs", write_text(deep / "p.star", ""), None)
    assert find_file("far.mrcs", write_text(deep.parent / "p.star", ""), None) == tmp_path / "far.mrcs"
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"no image file far.mrcs"):
        find_file("far.mrcs", deep.parent / "p.star", None)


@pytest.mark.parametrize("name", ["a" * 5000, "a\x00b", ""])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"no image file"):
        find_file(name, tmp_path / "p.star", tmp_path)
