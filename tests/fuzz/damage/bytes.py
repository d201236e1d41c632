"""Damage that any file can take: cut short, replaced, not a file at all, bits turned."""

from __future__ import annotations

import gzip
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

from fuzz.cases import Change, Changes, Right


def cuts(right: Right = Right.REFUSE, last: Right | None = None) -> Changes:
    """Yield the file cut to shares of its length; ``last`` is right for the last byte alone, ``right`` without it."""
    for share in (0.0, 0.001, 0.1, 0.5, 0.9):
        yield f"cut to {share:g} of it", right, edit(lambda data, share=share: data[: int(len(data) * share)])
    yield "the last byte cut off", last or right, edit(lambda data: data[:-1])


def strangers(rng: random.Random, right: Right = Right.REFUSE) -> Changes:
    """Yield what is no such file: noise, zeros, a folder, links, a pipe, a device."""
    noise = rng.randbytes(3000)
    yield "noise", right, lambda path: path.write_bytes(noise)
    yield "zeros", right, lambda path: path.write_bytes(bytes(4096))
    yield "gone", right, lambda path: path.unlink()
    yield "a folder", right, lambda path: (path.unlink(), path.mkdir())
    yield "a link to itself", right, lambda path: (path.unlink(), path.symlink_to(path.name))
    yield "a link to nowhere", right, lambda path: (path.unlink(), path.symlink_to("/nowhere/at/all"))
    yield "a pipe", right, lambda path: (path.unlink(), os.mkfifo(path))
    yield "an endless device", right, lambda path: (path.unlink(), path.symlink_to("/dev/zero"))
    yield "gzip under the old name", right, edit(gzip.compress)


def turned_bits(
    rng: random.Random, count: int, right: Right = Right.OPEN, first: int = 0, last: int | None = None
) -> Changes:
    """Yield the file with one bit turned between two places."""
    for number in range(count):
        share, bit = rng.random(), rng.randrange(8)

        def turn(data: bytes, share: float = share, bit: int = bit) -> bytes:
            end = len(data) if last is None else min(last, len(data))
            at = first + int(share * (end - first))
            return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]

        yield f"bit {number} turned", right, edit(turn)


def doubled_blocks(rng: random.Random, count: int, right: Right = Right.OPEN) -> Changes:
    """Yield the file with a block of it written twice, or left out."""
    for number in range(count):
        at, length, out = rng.random(), rng.choice((1, 7, 64, 512)), rng.random() < 0.5

        def change(data: bytes, at: float = at, length: int = length, out: bool = out) -> bytes:
            start = int(at * len(data))
            block = b"" if out else data[start : start + length] * 2
            return data[:start] + block + data[start + length :]

        yield f"a block {'left out' if out else 'doubled'} {number}", right, edit(change)


def edit(change: Callable[[bytes], bytes]) -> Change:
    """Return the change of a file's bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def edit_text(change: Callable[[str], str]) -> Change:
    """Return the change of a file's text; AssertionError where it changes nothing."""

    def apply(path: Path) -> None:
        text = path.read_bytes().decode()
        changed = change(text)
        assert changed != text, "the change changes nothing"
        path.write_bytes(changed.encode("utf-8", "surrogatepass"))

    return apply


def put(at: int, kind: str, *values: float) -> Change:
    """Return the change that writes little-endian numbers at a place."""
    packed = struct.pack(f"<{kind}", *values)
    return edit(lambda data: data[:at] + packed + data[at + len(packed) :])
