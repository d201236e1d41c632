"""Damaged particle files of cryoSPARC."""

from __future__ import annotations

import io
import math
import random
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.cases import Change, Changes, Right
from fuzz.damage.bytes import cuts, edit, strangers, turned_bits
from fuzz.damage.payload import Payload, pickled

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
PATH = b">sim/particles.mrcs"


def cryosparc(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a .cs file."""
    mark = folder / "ran"
    yield from cuts()
    yield from strangers(rng)
    yield from turned_bits(rng, extra, OPEN, 0, 512)
    yield from _columns()
    yield from _values(rng, extra)
    yield from _files(mark)


def _columns() -> Changes:
    for name in ("blob/path", "blob/idx", "ctf/df2_A", "ctf/accel_kv"):
        yield f"no {name}", REFUSE, rows(lambda a, name=name: a[[n for n in a.dtype.names if n != name]].copy())
    for name in ("blob/shape", "blob/psize_A", "uid", "alignments3D/shift"):
        yield f"no {name}", OPEN, rows(lambda a, name=name: a[[n for n in a.dtype.names if n != name]].copy())
    yield "paths of Python objects", REFUSE, typed("blob/path", "O", PATH.decode())
    yield "paths of Unicode", SAME, typed("blob/path", "U40", PATH.decode())
    yield "paths of numbers", REFUSE, typed("blob/path", "<f8", 1.5)
    yield "paths not UTF-8", REFUSE, typed("blob/path", "S40", b">sim/\xff\xfe.mrcs")
    yield "an absolute path", REFUSE, typed("blob/path", "S40", b">/etc/passwd")
    yield "a path upwards", REFUSE, typed("blob/path", "S60", b"../../../../../../etc/passwd")
    yield "places of complex numbers", REFUSE, typed("blob/idx", "<c16", 0)
    yield "places of -1", REFUSE, typed("blob/idx", "<i8", -1)
    yield "places of halves", REFUSE, typed("blob/idx", "<f8", 0.5)
    yield "places of text", REFUSE, typed("blob/idx", "S8", b"one")
    yield "shapes of one number", REFUSE, typed("blob/shape", "<u4", 32)
    yield "shapes of NaN", REFUSE, typed("blob/shape", ("<f4", (2,)), math.nan)
    yield "poses of two numbers", REFUSE, typed("alignments3D/pose", ("<f4", (2,)), 0.1)
    yield "poses of one number", REFUSE, typed("alignments3D/pose", "<f4", 0.1)
    yield "poses of text", REFUSE, typed("alignments3D/pose", ("S4", (3,)), b"x")
    yield "shifts of one number", REFUSE, typed("alignments3D/shift", ("<f4", (1,)), 0.1)
    for kind, value in ((("<f4", (2,)), 15000), ("S8", b"x"), ("<c8", 15000)):
        yield f"defocus of {kind}", REFUSE, typed("ctf/df1_A", kind, value)
    yield "group of NaN", REFUSE, typed("ctf/exp_group_id", "<f4", math.nan)
    yield "pixel size of text", REFUSE, typed("blob/psize_A", "S8", b"8")
    yield "unknown columns more", OPEN, rows(_more)  # they stay, so that nothing is lost


def _values(rng: random.Random, extra: int) -> Changes:
    yield "a place beyond the stack", REFUSE, setting("blob/idx", 1000)
    yield "a shape of another box", REFUSE, setting("blob/shape", 16)
    numbers = ("alignments3D/pose", "alignments3D/shift", "ctf/df1_A", "ctf/df2_A", "ctf/accel_kv", "ctf/cs_mm")
    for name in numbers:
        for value in (math.nan, math.inf):
            yield f"{name} {value}", REFUSE, setting(name, value)
    for value in (0, -8, math.nan, math.inf, 1e38):
        yield f"pixel size {value}", REFUSE, typed("blob/psize_A", "<f4", value)
    yield "the same uid twice", REFUSE, rows(lambda a: _set(a, "uid", 5))
    yield "no row", REFUSE, rows(lambda a: a[:0])
    yield "two dimensions", REFUSE, rows(lambda a: a.reshape(2, -1))
    yield "no dimension", REFUSE, rows(lambda a: a[0])
    yield "no columns", REFUSE, rows(lambda a: np.zeros(5))
    for number in range(extra):
        name, row = rng.choice(numbers), rng.randrange(12)
        yield f"{number}: {name} nan in row {row}", REFUSE, setting(name, math.nan, row)


def _files(mark: Path) -> Changes:
    yield "objects that run", REFUSE, edit(lambda data: _objects(Payload("system", mark)))
    yield "a pickle that runs", REFUSE, edit(lambda data: pickled(Payload("system", mark)))
    yield "an archive", REFUSE, lambda path: _archive(path, 10)
    yield "an archive that grows to 3 GB", REFUSE, lambda path: _archive(path, 3 << 30)
    for shape in ("(1000000000000,)", "(10000000,)", "(-5,)", "(99999999999999999999999,)", "()", "(12, 12)"):
        yield f"a head of shape {shape}", REFUSE, edit(lambda data, shape=shape: _with_shape(data, shape))
    head = b"\x93NUMPY\x01\x00"
    yield "a head of 60,000 brackets", REFUSE, edit(lambda data: head + struct.pack("<H", 60000) + b"(" * 60000)
    call = f"__import__('os').mkdir({str(mark)!r})".encode().ljust(200)
    yield "a head that calls", REFUSE, edit(lambda data: head + struct.pack("<H", len(call)) + call)


def rows(change: Callable[[np.ndarray], Any]) -> Change:
    """Return the change of the array of rows."""

    def apply(path: Path) -> None:
        changed = change(np.load(path))
        with path.open("wb") as file:
            np.save(file, changed, allow_pickle=True)

    return apply


def typed(name: str, kind: Any, value: Any) -> Change:
    """Return the change that gives a column another type and all its rows a value."""

    def change(array: np.ndarray) -> np.ndarray:
        kinds = [(n, kind if n == name else array.dtype[n]) for n in array.dtype.names or ()]
        other = np.zeros(len(array), kinds)
        for n in array.dtype.names or ():
            other[n] = value if n == name else array[n]
        return other

    return rows(change)


def setting(name: str, value: Any, row: int = 0) -> Change:
    """Return the change that sets a column in one row."""

    def change(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[name][row] = value
        return changed

    return rows(change)


def _set(array: np.ndarray, name: str, value: Any) -> np.ndarray:
    changed = array.copy()
    changed[name] = value
    return changed


def _more(array: np.ndarray) -> np.ndarray:
    names = [*((n, array.dtype[n]) for n in array.dtype.names or ()), ("mine/score", "<f4"), ("mine/tag", "S4")]
    other = np.zeros(len(array), names)
    for n in array.dtype.names or ():
        other[n] = array[n]
    return other


def _objects(value: object) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([value], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def _archive(path: Path, size: int) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (size,)})
        for start in range(0, size, 1 << 20):
            file.write(bytes(min(1 << 20, size - start)))


def _with_shape(data: bytes, shape: str) -> bytes:
    length = struct.unpack("<H", data[8:10])[0]
    head = re.sub(rb"'shape': \([^)]*\)", b"'shape': " + shape.encode(), data[10 : 10 + length]).strip() + b"\n"
    return data[:8] + struct.pack("<H", len(head)) + head + data[10 + length :]
