"""Damaged pickles: poses, CTF, indices, latents."""

from __future__ import annotations

import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.cases import Change, Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, edit, strangers, turned_bits
from fuzz.damage.payload import WAYS, Payload, pickled
from fuzz.good import N

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN


def poses(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of poses.pkl."""
    yield from _arrays(rng, extra, folder)
    for title, change in {
        "a rotation that is stretched": lambda r: r * 2,
        "a rotation that mirrors": lambda r: r * -1,
        "a rotation that shears": lambda r: r + 0.3,
    }.items():
        yield title, REFUSE, value(lambda v, change=change: (change(v[0]), v[1]))
    yield "shifts in pixels", REFUSE, value(lambda v: (v[0], v[1] * 100 + 3))
    yield "rotations alone", OPEN, value(lambda v: v[0])
    yield "shifts of three", REFUSE, value(lambda v: (v[0], np.ones((N, 3))))
    yield "three parts", REFUSE, value(lambda v: (*v, v[1]))


def ctf(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of ctf.pkl."""
    yield from _arrays(rng, extra, folder)
    for column, wrong in ((0, 0), (0, -32), (1, 0), (1, -8), (5, 0), (5, -300), (6, -2.7), (7, 7), (7, -1)):
        yield (
            f"column {column} of {wrong}",
            REFUSE,
            value(lambda v, column=column, wrong=wrong: _column(v, column, wrong)),
        )
    yield "eight columns", REFUSE, value(lambda v: v[:, :8])


def ind(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of ind.pkl."""
    yield from _any_pickle(rng, extra, folder)
    for title, wrong in {
        "floats": np.arange(5.0),
        "negative": np.arange(-5, 5),
        "beyond the end": np.arange(3 * N),
        "repeated": np.zeros(5, int),
        "of two dimensions": np.zeros((3, 3), int),
        "booleans of another length": np.ones(N + 1, bool),
        "no booleans set": np.zeros(N, bool),
    }.items():
        yield title, REFUSE, value(lambda _, wrong=wrong: wrong)
    yield "a list", OPEN, value(lambda _: [0, 1, 2])


def latents(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of latents."""
    yield from _arrays(rng, extra, folder)
    yield "of three dimensions", REFUSE, value(lambda v: v[:, :, None])
    yield "no dimension wide", REFUSE, value(lambda v: v[:, :0])


def _arrays(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a pickle whose arrays have a row per particle."""
    yield from _any_pickle(rng, extra, folder)
    yield "a row too few", REFUSE, value(lambda v: _each(v, lambda a: a[:-1]))
    yield "a row too many", REFUSE, value(lambda v: _each(v, lambda a: np.concatenate([a, a[:1]])))
    yield "all zero", REFUSE, value(lambda v: _each(v, np.zeros_like))
    yield "dates", REFUSE, value(lambda v: _each(v, lambda a: a.astype("M8[s]")))
    for number in (np.nan, np.inf, -np.inf):
        yield f"one {number}", REFUSE, value(lambda v, number=number: _each(v, lambda a: _with_one(a, 0, number)))
    for count in range(extra // 2):
        at, number = rng.random(), rng.choice((np.nan, np.inf))
        yield (
            f"{count}: {number} anywhere",
            REFUSE,
            value(lambda v, at=at, number=number: _each(v, lambda a: _with_one(a, int(at * a.size), number))),
        )


def _any_pickle(rng: random.Random, extra: int, folder: Path) -> Changes:
    yield from cuts()
    yield from strangers(rng)
    yield from turned_bits(rng, extra)
    yield from doubled_blocks(rng, extra // 2)
    yield from _payloads(folder / "ran")
    for protocol in range(6):
        yield f"protocol {protocol}", SAME, edit(lambda data, q=protocol: pickled(pickle.loads(data), q))
    for title, held in _holdings().items():
        yield f"holds {title}", REFUSE, value(lambda _, held=held: held)
    yield from _bombs()


def _holdings() -> dict[str, Any]:
    return {
        "None": None,
        "text": "abc",
        "a number": 5,
        "an empty list": [],
        "a dictionary": {"a": 1},
        "a scalar": np.float64(1),
        "no dimension": np.zeros(()),
        "nothing": np.zeros(0),
        "one": np.zeros(1),
        "objects": np.array([None] * N),
        "texts": np.array(["a"] * N),
        "complex numbers": np.zeros((N, 9), complex),
        "dates": np.zeros(N, "M8[s]"),
        "columns": np.zeros(N, [("a", "f4")]),
        "nested": ((np.zeros(3),),),
        "ragged lists": [[1, 2], [3]],
        "a set": {1, 2},
        "bytes": b"abc",
    }


def _payloads(mark: Path) -> Changes:
    for way in WAYS:
        yield f"runs {way}", REFUSE, edit(lambda data, way=way: pickled(Payload(way, mark)))
        yield (
            f"an array that runs {way}",
            REFUSE,
            edit(lambda data, way=way: pickled(np.array([Payload(way, mark)], dtype=object))),
        )
    yield "a second pickle that runs", OPEN, edit(lambda data: data + pickled(Payload("system", mark)))
    yield "a list with one that runs", REFUSE, edit(lambda data: pickled([pickle.loads(data), Payload("open", mark)]))


def _bombs() -> Changes:
    yield "a billion laughs", REFUSE, edit(lambda data: _laughs(10, 9))
    yield "lists 100,000 deep", REFUSE, edit(lambda data: b"\x80\x04" + b"(" * 100_000 + b"l" * 100_000 + b".")
    for size in (2**62, 3 << 30):
        head = b"\x80\x04\x8e" + struct.pack("<Q", size)
        yield f"a text said to be of {size} bytes", REFUSE, edit(lambda data, head=head: head + b"x.")
        head = b"\x80\x05\x96" + struct.pack("<Q", size)
        yield f"a bytearray said to be of {size} bytes", REFUSE, edit(lambda data, head=head: head + b"x.")
    for sides in ((800_000_000,), (30_000, 30_000), (2**40,)):
        yield f"an array of {sides} made and not filled", REFUSE, edit(lambda data, sides=sides: _made(sides))


def _laughs(width: int, depth: int) -> bytes:
    out = bytearray(b"\x80\x04](K\x01K\x01K\x01e\x94")
    for level in range(depth):
        out += b"](" + b"".join(b"h" + bytes([level]) for _ in range(width)) + b"e\x94"
    return bytes(out) + b"."


def _made(sides: tuple[int, ...]) -> bytes:
    """Return the pickle that asks numpy for an array of these sides and fills nothing in."""

    class Made:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return np.ndarray, (sides, np.dtype("f8"))

    return pickled(Made(), 2)


def value(change: Callable[[Any], Any]) -> Change:
    """Return the change of what a pickle holds."""
    return edit(lambda data: pickled(change(pickle.loads(data))))


def _each(held: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    return tuple(change(part) for part in held) if isinstance(held, tuple) else change(held)


def _with_one(array: np.ndarray, at: int, number: float) -> np.ndarray:
    changed = np.array(array, np.float32)
    changed.flat[at] = number
    return changed


def _column(array: np.ndarray, column: int, number: float) -> np.ndarray:
    changed = array.copy()
    changed[:, column] = number
    return changed
