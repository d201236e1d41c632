"""Damaged files of RELION's external reconstruction: the star file, and the grid of weights."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.cases import Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, put, strangers, turned_bits
from fuzz.damage.mrc import HEADER, common
from fuzz.damage.star import NEVER, sub

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
ARRAYS = ("rlnExtReconsDataReal", "rlnExtReconsDataImag", "rlnExtReconsWeight")
NUMBERS = ("rlnTau2FudgeFactor", "rlnPaddingFactor", "rlnReferenceDimensionality", "rlnOriginalImageSize")
OTHERS = ("rlnCurrentImageSize", "rlnExtReconsResult")
SIZES = {"rlnOriginalImageSize": ("0", "17.5", "17", "4096"), "rlnCurrentImageSize": ("0", "-2", "15.5", "32")}


def sums(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of the star file."""
    yield from cuts(last=SAME)
    yield from strangers(rng)
    yield from turned_bits(rng, extra)
    yield from doubled_blocks(rng, extra // 2)
    for label in (*ARRAYS, *NUMBERS, *OTHERS):
        yield f"no label {label}", REFUSE, sub(rf"(?m)^_{label} .*\n", "")
        yield f"label {label} twice", REFUSE, sub(rf"(?m)^(_{label}) .*\n", r"\g<0>\1 1\n")
    for label in (*NUMBERS, "rlnCurrentImageSize"):
        for value in (*NEVER, *SIZES.get(label, ("0", "-1"))):
            yield f"{label} {value[:12]}", REFUSE, sub(rf"(?m)^(_{label}) .*$", rf"\1 {value}")
    for label in ARRAYS:
        for name in ("nowhere.mrc", "/dev/zero", "/proc/self/mem", "/etc/passwd", ".", "/", "a" * 300):
            yield f"{label} {name[:12]}", REFUSE, sub(rf"(?m)^(_{label}) .*$", rf"\1 {name}")
    for value in (*NEVER, "-1"):
        yield f"power {value[:12]}", REFUSE, sub(r"(?m)^( +3) \S+", rf"\1 {value}")
        if value != "-1":
            yield f"FSC {value[:12]}", REFUSE, sub(r"(?m)^( +3 \S+) +\S+", rf"\1 {value}")
    yield "a shell too few", REFUSE, sub(r"(?m)^ +5 .*\n", "")
    yield "a shell twice", REFUSE, sub(r"(?m)^( +5 .*\n)", r"\1\1")


def grid(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of the weights."""
    yield from common(rng, extra)
    yield "a weight below 0", REFUSE, put(HEADER + 4 * 5000, "f", -1.0)
