"""Files that name more than they hold: refused before memory or time is taken, and nothing that they name is run."""

from __future__ import annotations

import gzip
import pickle
import resource
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import read_pickle
from cryoprior.io.atomic_models import read_atomic_model
from cryoprior.io.latents import read_indices, read_labels, read_latents
from cryoprior.io.npy import read_npy
from cryoprior.io.tables import read_csv_table
from cryoprior.simulation.states import read_states

MOST_KIB, MOST_SECONDS = 300 << 10, 5
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Fail a test that takes more memory than any of these files deserves, or more time."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KIB
    assert time.process_time() - start < MOST_SECONDS


def laughs(width: int, depth: int) -> bytes:
    out = bytearray(b"\x80\x04](K\x01K\x01K\x01e\x94")
    for level in range(depth):
        out += b"](" + b"".join(b"h" + bytes([level]) for _ in range(width)) + b"e\x94"
    return bytes(out) + b"."


def tuples(depth: int) -> bytes:
    """Return a dictionary whose key is a tuple that takes 2^depth steps to hash."""
    return (
        b"\x80\x04}K\x01"
        + b"".join(b"\x94h" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))
        + b"K\x01s."
    )


def huge_array(shape: bytes, content: bytes = b"C\x08" + bytes(8)) -> bytes:
    kind = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR"
    return b"\x80\x04" + ARRAY + b"(K\x01" + shape + kind + b"\x89" + content + b"tb."


BOMBS = {
    "a place of the memo at 2^31": b"\x80\x04K\x01r\xff\xff\xff\x7f.",
    "a place of the memo at 5e8": b"\x80\x04K\x01r" + struct.pack("<I", 500_000_000) + b".",
    "the same as text": b"I1\np500000000\n.",
    "a billion laughs": laughs(10, 9),
    "a key that takes years to hash": tuples(60),
    "an array of 1e10 numbers": huge_array(b"\x8a\x05\x00\xe4\x0b\x54\x02\x85"),
    "an array of -1 numbers": huge_array(b"J\xff\xff\xff\xff\x85"),
    "an array with too few bytes": huge_array(b"K\x02\x85"),
    "an array made by its class": b"\x80\x04cnumpy\nndarray\n\x8a\x05\x00\xe4\x0b\x54\x02\x85R.",
    "an array of 1e10 by _reconstruct": b"\x80\x04cnumpy.core.multiarray\n_reconstruct\n"
    b"(cnumpy\nndarray\n\x8a\x05\x00\xe4\x0b\x54\x02\x85C\x01btR.",
    "a type of 2e9 bytes": b"\x80\x04cnumpy\ndtype\n(X\x0b\x00\x00\x00S2000000000K\x00K\x01tR.",
    "a bytearray of 1e10": b"\x80\x04cbuiltins\nbytearray\n\x8a\x05\x00\xe4\x0b\x54\x02\x85R.",
    "bytes said to be 2^62": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "bytes said to be 3 GB": b"\x80\x04\x8e" + struct.pack("<Q", 3 << 30) + b"x.",
    "a bytearray said to be 3 GB": b"\x80\x05\x96" + struct.pack("<Q", 3 << 30) + b"x.",
    "a text said to be 3 GB": b"\x80\x04\x8d" + struct.pack("<Q", 3 << 30) + b"x.",
    "lists 100,000 deep": b"\x80\x04" + b"(" * 100_000 + b"l" * 100_000 + b".",
    "tuples 100,000 deep": b"\x80\x04)" + b"\x85" * 100_000 + b".",
    "another encoding": b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00xX\x08\x00\x00\x00punycodetR.",
    "a number of 100,000 digits": b"L" + b"9" * 100_000 + b"L\n.",
    "a state of its own": b"\x80\x04" + ARRAY + b"K\x05b.",
    "a type with another state": b"\x80\x04cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tRK\x01b.",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_takes_no_more_than_its_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "ind.pkl").write_bytes(BOMBS[name])
    with pytest.raises(InputError, match=r"ind\.pkl: not a pickle of numpy arrays: .*; save the arrays alone"):
        read_pickle(tmp_path / "ind.pkl")
    with pytest.raises(InputError):
        read_indices(tmp_path / "ind.pkl", 5)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        np.arange(5),
        np.arange(12, dtype=">f4").reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array([True, False]),
        np.zeros((0, 3), np.float32),
        np.array(2.5),
        np.float32(2.5),
        (np.eye(3)[None], np.ones((1, 2), np.float32)),
        [1, 2, 3],
        7,
    ],
    ids=lambda value: f"{type(value).__name__} {np.shape(value) if not isinstance(value, tuple) else ''}",
)
def test_what_numpy_writes_is_read(tmp_path: Path, protocol: int, value: Any) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol))
    found = read_pickle(tmp_path / "x.pkl")
    assert type(found) is type(value)
    for one, two in zip(found, value, strict=True) if isinstance(value, tuple) else [(found, value)]:
        np.testing.assert_array_equal(one, two)
        assert np.asarray(one).dtype == np.asarray(two).dtype.newbyteorder("=")


def header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000,)") + bytes(64),
        header("(10000000000, 2)") + bytes(64),
        header("(-5,)") + bytes(64),
        header("(3,)") + bytes(23),
        header("(99999999999999999999999,)"),
        header("(3,)", "|V0"),
        header("(3,)", "|O") + bytes(64),
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 60000) + b"(" * 60000,
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 40) + b"__import__('os').mkdir('x')".ljust(40),
        b"\x93NUMPY\x09\x00" + bytes(64),
        b"PK\x03\x04",
        b"",
    ],
    ids=range(12),
)
def test_an_npy_takes_no_more_than_its_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "z.npy").write_bytes(content)
    for read in (read_latents, lambda path: read_npy(path, "numbers")):
        with pytest.raises(InputError, match=r"z\.npy: "):
            read(tmp_path / "z.npy")


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npy_of_numpy_is_read(tmp_path: Path, order: Any) -> None:
    values = np.arange(12.0).reshape(3, 4, order=order)
    np.save(tmp_path / "z.npy", values)
    np.testing.assert_array_equal(read_npy(tmp_path / "z.npy", "numbers"), values, strict=True)


@pytest.mark.parametrize(
    "text",
    [",".join(f"c{i}" for i in range(1_000_000)) + "\n1\n", "x" * (2 << 20), "state,state\na,b\n", "\xff\xfe", ""],
    ids=["a million columns", "a name of 2 MB", "two of one name", "not UTF-8", "empty"],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"labels\.csv: .*expected a CSV with a head and a row per particle"):
        read_labels(tmp_path / "labels.csv")
    with pytest.raises(InputError):
        read_csv_table(tmp_path / "labels.csv", "numbers")


@pytest.mark.parametrize("name", ["a.pdb.gz", "a.cif.gz"])
def test_a_model_that_its_gzip_only_pretends_to_be_is_refused(tmp_path: Path, name: str) -> None:
    """200 MB of blanks in 200 kB."""
    with gzip.open(tmp_path / name, "wb", 6) as file:
        for _ in range(200):
            file.write(b" " * (1 << 20))
    for read in (read_atomic_model, lambda path: read_states(path, 8, 4.0, (), (), 80.0)):
        with pytest.raises(InputError, match=rf"{name}: at least \d+ bytes, packed in \d+; expected an atomic model"):
            read(tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:1000])
    with pytest.raises(InputError, match=rf"{name}: damaged gzip"):
        read_atomic_model(tmp_path / name)
