"""Rows of two files are matched by what names their particles, and never silently by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io.identity import Particles, matched, with_original_names
from kit.stacks import write_text

N = 6
ORDER = np.array([4, 0, 5, 2, 1, 3])


def table(stack: str = "a.mrcs", **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{stack}" for i in range(N)], **columns})


def at(folder: str, frame: pd.DataFrame) -> Particles:
    return Particles(Path(folder, "p.star"), frame.reset_index(drop=True))


UIDS = [str(18446744073709551615 - i) for i in range(N)]
PICKS = {"rlnMicrographName": ["m.mrc"] * N, "rlnCoordinateX": np.arange(N) * 10.0, "rlnCoordinateY": 5.0}
DRAWS = {name: np.random.default_rng(i).uniform(0, 180, N) for i, name in enumerate(("rlnAngleRot", "rlnAngleTilt"))}
DRAWS |= {"rlnAnglePsi": 0.0, "rlnDefocusU": np.arange(N) + 1e4}


@pytest.mark.parametrize(
    ("wanted", "among", "by"),
    [
        (table(cryosparcUid=UIDS), table("b.mrcs", cryosparcUid=UIDS), "cryoSPARC's uid"),
        (table(), table("./a.mrcs"), "image name"),
        (table("shards/0.mrcs", rlnImageOriginalName=table()["rlnImageName"]), table(), "original image name"),
        (table(), table("x.mrcs", rlnImageOriginalName=table()["rlnImageName"]), "original image name"),
        (with_original_names(table()).assign(rlnImageName=table("x")["rlnImageName"]), table(), "original image name"),
        (
            table("x", rlnImageOriginalName=table()["rlnImageName"]),
            table("y", rlnImageOriginalName=table()["rlnImageName"]),
            "original image name",
        ),
        (table(**PICKS), table("b.mrcs", **PICKS), "micrograph and coordinates"),
        (table(**DRAWS), table("b.mrcs", **DRAWS), "pose and defocus"),
    ],
)
def test_particles_are_found_by_what_names_them(wanted: pd.DataFrame, among: pd.DataFrame, by: str) -> None:
    match = matched(at("w", wanted), at("a", among.iloc[ORDER]))
    assert match.by == by
    np.testing.assert_array_equal(ORDER[match.places], np.arange(N))


def test_a_uid_is_stronger_than_a_name() -> None:
    match = matched(at("w", table(cryosparcUid=UIDS)), at("a", table(cryosparcUid=UIDS[::-1])))
    np.testing.assert_array_equal(match.places, np.arange(N)[::-1])


def test_one_name_in_two_folders_is_two_files(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_text(tmp_path / folder / "s.mrcs", "")
    first, second = (
        Particles(
            tmp_path / k / "p.star", table("s.mrcs", **DRAWS).iloc[rows].reset_index(drop=True), tmp_path / k / "p"
        )
        for k, rows in (("a", np.arange(N)), ("b", ORDER))
    )
    second = Particles(second.path, second.table.assign(rlnImageName=table("s.mrcs")["rlnImageName"]), second.beside)
    match = matched(first, second)
    assert match.by == "pose and defocus"
    np.testing.assert_array_equal(ORDER[match.places], np.arange(N))


def test_two_names_of_one_file_are_one(tmp_path: Path) -> None:
    write_text(tmp_path / "job" / "s.mrcs", "")
    first = Particles(tmp_path / "p.star", table("job/s.mrcs"), tmp_path / "p.star")
    second = Particles(tmp_path / "job" / "p.star", table("s.mrcs").iloc[ORDER], tmp_path / "job" / "p.star")
    match = matched(first, second)
    assert match.by == "image file"
    np.testing.assert_array_equal(ORDER[match.places], np.arange(N))


def test_by_place_only_with_a_warning_and_in_equal_numbers(caplog: pytest.LogCaptureFixture) -> None:
    match = matched(at("w", table()), at("a", table("b.mrcs")))
    assert match.by == "place"
    assert "a/p.star: nothing says which particles of w/p.star its own are" in caplog.text
    with pytest.raises(InputError, match=r"a/p.star: 6 particles; w/p.star has 5, and nothing in both says which are"):
        matched(at("w", table().iloc[:5]), at("a", table("b.mrcs")))


def test_particles_that_are_not_there_are_named() -> None:
    with pytest.raises(
        InputError, match=r"a/p.star: 2 of the 6 particles of w/p.star are not in it, by image name, fi"
    ):
        matched(at("w", table()), at("a", table().iloc[:4]))
    assert len(matched(at("w", table().iloc[:4]), at("a", table())).places) == 4


def test_rows_of_other_micrographs_are_refused() -> None:
    names = [f"m{i}.mrc" for i in range(N)]
    wanted, among = table(rlnMicrographName=names), table("b.mrcs", rlnMicrographName=["x/" + name for name in names])
    assert matched(at("w", wanted), at("a", among)).by == "place"
    message = (
        r"a/p.star: particle 1 is from micrograph m4.mrc, particle 1 of w/p.star, the same by place, from m0.mrc; t"
    )
    with pytest.raises(InputError, match=message):
        matched(at("w", wanted), at("a", among.iloc[ORDER]))


def test_names_that_stand_twice_name_nothing() -> None:
    twice = table().assign(rlnImageName="000001@a.mrcs")
    assert matched(at("w", twice), at("a", twice)).by == "place"
    assert matched(at("w", twice.assign(**DRAWS)), at("a", twice.assign(**DRAWS))).by == "pose and defocus"
