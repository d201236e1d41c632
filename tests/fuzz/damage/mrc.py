"""Damaged MRC files: stacks of images and volumes."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np

from fuzz.cases import Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, edit, put, strangers, turned_bits
from fuzz.good import BOX

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
HEADER, MOST = 1024, 2**31 - 1
IMAGE = 4 * BOX * BOX
READABLE = (0, 1, 2, 6, 12)


def stack(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a stack of images."""
    yield from common(rng, extra)
    for value in (math.nan, -math.inf, -256.0, 0.0, 1e38):
        yield f"cell of {value}", SAME, put(40, "f", value)
    yield "one constant image", REFUSE, edit(lambda data: data[:HEADER] + bytes(IMAGE) + data[HEADER + IMAGE :])
    yield "all images constant", REFUSE, edit(lambda data: data[:HEADER] + bytes(len(data) - HEADER))
    yield "said to be a volume", OPEN, put(88, "i", 1)
    yield "axes swapped", OPEN, put(64, "iii", 2, 1, 3)


def volume(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a map."""
    yield from common(rng, extra)
    for name, values in (("nan", (math.nan,) * 3), ("inf", (math.inf,) * 3), ("negative", (-256.0,) * 3)):
        yield f"cell {name}", REFUSE, put(40, "fff", *values)
    yield "cell nan along x", REFUSE, put(40, "f", math.nan)
    yield "cell longer along z", REFUSE, put(48, "f", 512.0)
    yield "cell longer along x", REFUSE, put(40, "f", 512.0)
    yield "cell angle of 60", REFUSE, put(52, "f", 60.0)
    yield "an axis twice", REFUSE, put(64, "iii", 1, 1, 3)
    yield "an axis 7", REFUSE, put(64, "iii", 7, 2, 3)
    yield "axes z y x", OPEN, put(64, "iii", 3, 2, 1)
    yield "all voxels constant", REFUSE, edit(lambda data: data[:HEADER] + bytes(len(data) - HEADER))
    yield "twice as many planes as wide", OPEN, edit(lambda data: data + data[HEADER:])


def common(rng: random.Random, extra: int) -> Changes:
    """Yield damage that stacks and volumes share."""
    yield from cuts()
    yield from strangers(rng)
    yield from turned_bits(rng, extra, SAME, 0, 56)
    yield from doubled_blocks(rng, extra // 4)
    for at, name in ((0, "nx"), (4, "ny"), (8, "nz")):
        for value in (0, -1, 1, 7, 2 * BOX, 65536, MOST):
            yield f"{name} = {value}", SAME if name != "nz" or value not in (1, 7) else OPEN, put(at, "i", value)
    yield "all sizes the largest", REFUSE, put(0, "iii", MOST, MOST, MOST)
    for mode in (-1, 3, 4, 5, 7, 8, 100, 101, MOST, 0, 1, 6, 12):
        yield f"mode {mode}", SAME if mode in READABLE else REFUSE, put(12, "i", mode)
    for value in (-1, -1024, 1, 1024, MOST):
        yield f"{value} bytes of extended header", SAME, put(92, "i", value)
    yield "sampling 0", OPEN, put(28, "iii", 0, 0, 0)
    yield "machine stamp junk", SAME, put(212, "I", 0xFF00FF00)
    yield "no word MAP", SAME, put(208, "I", 0)
    yield "labels of text not ASCII", SAME, edit(lambda data: data[:224] + b"\xff" * 800 + data[1024:])
    yield "eight bytes more", SAME, edit(lambda data: data + bytes(8))
    for value in (math.nan, math.inf, -math.inf):
        yield f"a value {value}", REFUSE, put(HEADER + 4 * 5000, "f", value)
    yield "a value 3e38", OPEN, put(HEADER + 4 * 5000, "f", 3e38)
    yield "all values near the largest", OPEN, edit(_huge)


def _huge(data: bytes) -> bytes:
    count = (len(data) - HEADER) // 4
    return data[:HEADER] + np.where(np.arange(count) % 2, 3e38, -2e38).astype("<f4").tobytes()
