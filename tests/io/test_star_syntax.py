"""What RELION's STAR files may hold, by rule and against RELION's own reading."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_star, star_lines, write_star
from kit.stacks import write_text

HEAD = "data_particles\nloop_\n_rlnMicrographName #1\n_rlnDefocusU #2\n"


def rows(tmp_path: Path, text: str, head: str = HEAD) -> list[list]:
    return read_star(write_text(tmp_path / "a.star", head + text))["particles"].to_numpy().tolist()


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("5'UTR.mrc 1", "5'UTR.mrc"),
        ("'two words' 1", "two words"),
        ('"it\'s" 1', "it's"),
        ('"a"b c" 1', 'a"b c'),  # RELION: a quote ends a value only before a space
        ("a#b 1 # by hand", "a#b"),
        ("'' 1", ""),
        ("data_1.mrc 1", "data_1.mrc"),
        ("loop_1 1", "loop_1"),
        ("_x 1", "_x"),
        ("save_1 1", "save_1"),
        ("\u00e9t\u00e9\u00a0x 1", "\u00e9t\u00e9\u00a0x"),  # only ASCII spaces part values
    ],
)
def test_values_of_a_row(tmp_path: Path, row: str, value: str) -> None:
    found = rows(tmp_path, f"first 0\n{row}\nlast 2\n")
    assert [line[0] for line in found] == ["first", value, "last"]
    assert [line[1] for line in found] == [0, 1, 2]
    write_star(tmp_path / "b.star", pd.DataFrame(found, columns=["rlnMicrographName", "rlnDefocusU"]), None)
    assert read_star(tmp_path / "b.star")["particles"].to_numpy().tolist() == found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_byte_order_mark(tmp_path: Path, end: str) -> None:
    (tmp_path / "a.star").write_bytes(b"\xef\xbb\xbf" + (HEAD + "a 1\nb 2\n").replace("\n", end).encode())
    assert read_star(tmp_path / "a.star")["particles"].to_numpy().tolist() == [["a", 1], ["b", 2]]


def test_blocks_end_where_the_next_begins(tmp_path: Path) -> None:
    names = "data_names\nloop_\n_rlnMicrographName\ndata_1.mrc\ndata_2.mrc\n"
    text = f"{names}data_optics\nloop_\n_rlnVoltage\n300\n\ndata_x\n\n_rlnResolution 3\n"
    blocks = read_star(write_text(tmp_path / "a.star", text))
    assert blocks["names"]["rlnMicrographName"].tolist() == ["data_1.mrc", "data_2.mrc"]
    assert blocks["optics"]["rlnVoltage"].tolist() == [300]
    assert blocks["x"]["rlnResolution"].tolist() == [3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a 1\nb\n", r"line 6: 1 values for 2 columns; the file is damaged or truncated"),
        ("a 1\ndata_b.mrc\n", r"line 6: 1 values for 2 columns"),
        ("a 1\nb 2 3\n", r"line 6: 3 values for 2 columns"),
        ("a 1\n'b 2\n", r"line 6: the quote at \"'b 2\" has no end before a space; add it"),
        ("a 1\n;text\n", r"line 6: a text between semicolons, which RELION does not read"),
        ("a 1\nloop_\n", r"line 6: a second loop in one block; expected a data_ line before it"),
        ("a 1\nb\x00 2\n", r"line 6: a control character; the file is damaged"),
        ("a 1\n'" + "b" * star_lines.LONGEST_LINE + "' 2\n", r"line 6: more than 1048576 bytes"),
        ("a 1\n\ndata_particles\nloop_\n_rlnVoltage\n1\n", r"two blocks data_particles; which is meant\?"),
    ],
)
def test_what_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        rows(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data_\nloop_\n_rlnA #1\n_rlnA #2\n1 2\n", r"line 4: the label _rlnA stands twice in its block"),
        ("data_\n_rlnA 1\n_rlnA 2\n", r"line 3: the label _rlnA stands twice"),
        ("data_\n_rlnA one two\n", r"line 2: 2 values of _rlnA; expected one"),
        ("data_\n_rlnA\n;text\n;\n", r"line 2: _rlnA has a text between semicolons"),
        ("data_\nsave_x\n", r"line 2: 'save_x' in block data_; expected loop_, or a label and its value"),
        ("data_one two\n", r"line 1: 'data_one two'; expected the name of a block alone"),
    ],
)
def test_blocks_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_star(write_text(tmp_path / "a.star", text))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.star").write_bytes((HEAD + "caf\u00e9 1\n").encode("latin-1"))
    with pytest.raises(InputError, match=r"line 5: byte 0xe9 is not UTF-8 text; save the file as UTF-8"):
        read_star(tmp_path / "a.star")


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["1", "2"], [1, 2]),
        (["0.5", "-2.25"], [0.5, -2.25]),
        (["1.10", "1.1"], ["1.10", "1.1"]),
        (["1", "2.5"], ["1", "2.5"]),
        (["007", "8"], ["007", "8"]),
        (["1e5", "2e5"], ["1e5", "2e5"]),
        (["1_0", "2_0"], ["1_0", "2_0"]),
        (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
    ],
)
def test_unknown_columns_become_numbers_only_where_nothing_is_lost(tmp_path: Path, values: list, kept: list) -> None:
    lines = "".join(f"{value} {place}\n" for place, value in enumerate(values))
    found = rows(tmp_path, lines, "data_particles\nloop_\n_myOwn\n_rlnDefocusU\n")
    assert [line[0] for line in found] == kept


def test_columns_of_numbers_are_numbers_however_written(tmp_path: Path) -> None:
    found = rows(tmp_path, "a 12000.000000\nb 1e4\nc +3\n")
    assert [line[1] for line in found] == [12000.0, 1e4, 3.0]


LINES = [f"mic{i % 7}.mrc {i * 1.25:12.6f} {i:8d} {i % 3}.{i % 10}0 {i}@stack.mrcs \n" for i in range(9000)]
LABELS = "data_particles\nloop_\n_rlnMicrographName\n_rlnDefocusU\n_rlnClassNumber\n_rlnGroupName\n_rlnImageName\n"


def slowly(path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    with monkeypatch.context() as patch:
        patch.setattr(star_lines.Lines, "plain_rows", lambda self: b"")
        return read_star(path)["particles"]


@pytest.mark.parametrize("odd", ["", "\n", "# a comment\n", "'quoted name.mrc' 1 2 x 1@a # end\n", "mic 1_0 2 x 1@a\n"])
def test_many_rows_at_once_are_the_rows_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    monkeypatch.setattr(star_lines, "BLOCK_BYTES", 1 << 15)
    path = write_text(tmp_path / "a.star", LABELS + "".join([*LINES[:5000], odd, *LINES[5000:]]))
    calls = []
    skip = star_lines.Lines.skip
    monkeypatch.setattr(star_lines.Lines, "skip", lambda self, plain: (calls.append(plain), skip(self, plain)))
    fast = read_star(path)["particles"]
    assert len(b"".join(calls)) > 0.5 * path.stat().st_size
    pd.testing.assert_frame_equal(fast, slowly(path, monkeypatch), check_exact=True)
    assert fast["rlnGroupName"][:3].tolist() == ["0.00", "1.10", "2.20"]
    assert len(fast) == 9000 + odd.startswith(("'", "mic"))


@pytest.mark.parametrize("wrong", ["mic 1 2 x\n", "mic 1 2 x 1@a 7\n", "mic 1 2 x 1@a 7 8\n", "data_x\n"])
def test_a_wrong_row_among_many_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setattr(star_lines, "BLOCK_BYTES", 1 << 15)
    path = write_text(tmp_path / "a.star", LABELS + "".join([*LINES[:5000], wrong, *LINES[5000:]]))
    with pytest.raises(InputError, match=rf"line 5008: {len(wrong.split())} values for 5 columns"):
        read_star(path)


def test_numbers_keep_all_their_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(star_lines, "BLOCK_BYTES", 1 << 15)
    rng = np.random.default_rng(0)
    values = rng.normal(size=20000) * 10.0 ** rng.integers(-300, 300, 20000)
    write_star(tmp_path / "a.star", pd.DataFrame({"rlnImageName": "1@a", "rlnDefocusU": values}), None)
    np.testing.assert_array_equal(read_star(tmp_path / "a.star")["particles"]["rlnDefocusU"], values)


@pytest.mark.parametrize("text", ["two\nlines", "both \" and ' kinds", "a\x00b"])
def test_what_no_file_can_hold_is_not_written(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"cannot be written to a STAR file: .*; rename it"):
        write_star(tmp_path / "a.star", pd.DataFrame({"rlnMicrographName": [text]}), None)
    assert not list(tmp_path.iterdir())
