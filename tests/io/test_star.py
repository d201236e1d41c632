from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_star, write_star
from kit.stacks import draw_optics, draw_table, write_text


def test_what_is_written_is_read(tmp_path: Path) -> None:
    table, optics = draw_table(), draw_optics()
    write_star(tmp_path / "a.star", table, optics)
    blocks = read_star(tmp_path / "a.star")
    assert list(blocks) == ["optics", "particles"]
    pd.testing.assert_frame_equal(blocks["particles"], table, check_dtype=False, check_exact=True)
    pd.testing.assert_frame_equal(blocks["optics"], optics, check_dtype=False, check_exact=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.star"]


def test_starfile_reads_the_same(tmp_path: Path) -> None:
    import starfile

    table, optics = draw_table(), draw_optics()
    write_star(tmp_path / "a.star", table, optics)
    blocks = starfile.read(tmp_path / "a.star")
    np.testing.assert_array_equal(blocks["particles"]["rlnDefocusU"], table["rlnDefocusU"])
    assert list(blocks["optics"]["rlnOpticsGroupName"]) == ["one", "two"]


def test_leading_zeros_and_spaces_stay(tmp_path: Path) -> None:
    write_star(tmp_path / "a.star", draw_table(), None)
    particles = read_star(tmp_path / "a.star")["particles"]
    assert list(particles["rlnGroupName"][:2]) == ["000", "001"]
    assert particles["rlnMicrographName"][0] == "mic 0.mrc"


def test_single_rows_and_labels_without_numbers(tmp_path: Path) -> None:
    text = (
        "# made by hand\ndata_general\n\n_rlnA 1\n_rlnB 'two words'\n\ndata_\n\nloop_\n_rlnC #1\n_rlnD\n 1 x\n 2.5 y\n"
    )
    blocks = read_star(write_text(tmp_path / "a.star", text))
    assert blocks["general"].iloc[0].to_dict() == {"rlnA": 1, "rlnB": "two words"}
    assert list(blocks[""]["rlnC"]) == ["1", "2.5"]  # no label of RELION: written back as it was


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no data_ block; expected a STAR file with a particle table"),
        ("hello\n", r"line 1: 'hello' before any data_ block; is it a STAR file\?"),
        ("data_\nloop_\n_rlnA\n_rlnB\n1 2\n3\n", r"line 6: 1 values for 2 columns; the file is damaged or truncated"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_star(write_text(tmp_path / "a.star", text))


@pytest.mark.parametrize("name", ["relion31.v2.star", "relion31.6opticsgroups.star", "relion5.star"])
def test_relion_files_survive_a_round_trip(tmp_path: Path, shared_data: Path, name: str) -> None:
    blocks = read_star(shared_data / "meta" / name)
    particles = next(t for t in blocks.values() if "rlnImageName" in t.columns)
    write_star(tmp_path / "a.star", particles, blocks.get("optics"))
    again = read_star(tmp_path / "a.star")
    pd.testing.assert_frame_equal(again["particles"], particles, check_exact=True)
    if "optics" in blocks:
        pd.testing.assert_frame_equal(again["optics"], blocks["optics"], check_exact=True)
