"""Latents and labels: what cryoDRGN and simulate write is read, and everything else is refused and not run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io.latents import is_latents, read_indices, read_labels, read_latents

Z = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def dumped(path: Path, *values: Any, protocol: int | None = None) -> Path:
    with path.open("wb") as file:
        for value in values:
            pickle.dump(value, file, protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_means_come_first_and_the_log_variances_behind_are_not_read(tmp_path: Path, protocol: int) -> None:
    found = read_latents(dumped(tmp_path / "z.9.pkl", Z, -5 * np.ones_like(Z), protocol=protocol))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, Z)


def test_npy_holds_the_same(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", Z)
    np.testing.assert_array_equal(read_latents(tmp_path / "z.npy"), Z)
    assert is_latents(tmp_path / "z.npy")
    assert is_latents(Path("Z.99.PKL"))
    assert not is_latents(Path("particles.star"))


def test_published_latents(shared_data: Path) -> None:
    found = read_latents(shared_data / "published" / "original_z.99.pkl")
    assert found.shape == (26380, 8)


class Harm:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("read", [read_latents, lambda path: read_indices(path, 5)])
def test_a_pickle_that_runs_something_is_refused_and_not_run(tmp_path: Path, read: Any) -> None:
    marker = tmp_path / "harmed"
    path = dumped(tmp_path / "z.pkl", Harm(marker))
    with pytest.raises(InputError, match=r"z.pkl: .*names (posix|nt).system"):
        read(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the pickle of this test does no harm, so the test shows nothing"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"z": Z}, "holds a dict"),
        (["a", "b"], "holds a str"),
        ((Z, Z), "holds a tuple"),
        (Z[:, 0], "shape 12;"),
        (Z[None], "shape 1 x 12 x 3"),
        (Z[:0], "shape 0 x 3"),
        (np.array(3.0), "a single number"),
        (Z > 0, "type bool"),
        (Z.astype(complex), "type complex"),
        (Z.astype(object), "Python objects"),
        (np.ones((12, 3)), "all 12 particles have the same latents"),
    ],
)
def test_what_is_no_latents(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"z\.pkl: .*{message}"):
        read_latents(dumped(tmp_path / "z.pkl", value))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_name_the_particle(tmp_path: Path, bad: float) -> None:
    values = Z.copy()
    values[7, 1] = values[9, 0] = bad
    with pytest.raises(InputError, match="2 particles are NaN or infinite, first those of particle 7"):
        read_latents(dumped(tmp_path / "z.pkl", values))


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_latents(tmp_path / "z.pkl")
    whole = dumped(tmp_path / "whole.pkl", Z).read_bytes()
    cut = tmp_path / "z.pkl"
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"z\.pkl"):
            read_latents(cut)
    for text in (b"cryo", b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff", b"\x93NUMPY\x01", b"PK\x03\x04"):
        for name in ("z.pkl", "z.npy"):
            (tmp_path / name).write_bytes(text)
            with pytest.raises(InputError, match=rf"{name}"):
                read_latents(tmp_path / name)


def test_an_npy_of_objects_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", Z.astype(object), allow_pickle=True)
    with pytest.raises(InputError, match=r"z\.npy: an array of Python objects; expected one array of latents"):
        read_latents(tmp_path / "z.npy")


def labels(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text)
    return folder / "labels.csv"


def test_labels_as_simulate_writes_them(tmp_path: Path) -> None:
    path = labels(tmp_path, "particle,state,name\n0,1,small\n1,0,whole\n2,0,whole\n")
    assert read_labels(path) == ("state", ["1", "0", "0"])
    assert read_labels(path, "name") == ("name", ["small", "whole", "whole"])


def test_labels_of_the_particles_that_were_trained_on(tmp_path: Path) -> None:
    path = labels(tmp_path, "state\na\nb\nc\nb\n")
    indices = dumped(tmp_path / "ind.pkl", np.array([3, 0, 1]))
    assert read_labels(path, indices=indices)[1] == ["b", "a", "b"]
    assert read_labels(path, indices=dumped(tmp_path / "list.pkl", [3, 0, 1]))[1] == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([0, 4]), "rows from 0 to 4; expected 0 to 3"),
        (np.array([-1, 2]), "rows from -1 to 2"),
        (np.array([0.0, 1.0]), "no list of whole numbers"),
        (np.zeros((2, 2), int), "no list of whole numbers"),
        ({"a": 1}, "holds a dict; expected arrays, .* as cryoDRGN's --ind"),
        ([], "no list of whole numbers"),
    ],
)
def test_indices_that_are_none(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_indices(dumped(tmp_path / "ind.pkl", value), 4)


def test_the_only_column_that_names_classes_is_taken(tmp_path: Path) -> None:
    assert read_labels(labels(tmp_path, "particle,class\n0,a\n1,b\n2,a\n")) == ("class", ["a", "b", "a"])
    assert read_labels(labels(tmp_path, "class\n1\n2\n1\n")) == ("class", ["1", "2", "1"])


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a,b\n1,1\n2,2\n1,1\n", None, "columns a, b, and none or several"),
        ("a,b\n1,1\n2,2\n", "c", "no column 'c'; found a, b"),
        ("state\na\n\nb\n", None, None),
        ('particle,state\n0,a\n1,""\n2,b\n', None, "no state for particle 1"),
        ("particle,state\n0,a\n1,a\n", None, "1 different values of state"),
        ("particle,state\n0,a\n1,b\n2,a\n", "particle", "3 different values of particle"),
        ("", None, "not CSV"),
        ('"a,b\n1,2', None, None),
    ],
)
def test_labels_that_are_refused(tmp_path: Path, text: str, column: str | None, message: str | None) -> None:
    path = labels(tmp_path, text)
    with pytest.raises(InputError, match=rf"labels\.csv: .*{message or ''}"):
        read_labels(path, column)


def test_labels_that_are_absent_or_binary(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "labels.csv")
    (tmp_path / "labels.csv").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not CSV"):
        read_labels(tmp_path / "labels.csv")
