"""Damaged tables of commas: labels, rows of a benchmark, CTF values."""

from __future__ import annotations

import random
import re
from pathlib import Path

from fuzz.cases import Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, edit, edit_text, strangers, turned_bits

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
MANY = ",".join(map(str, range(40)))


def labels(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of labels, one per particle."""
    yield from _table(rng, extra)
    yield "no head", REFUSE, edit_text(lambda text: text.split("\n", 1)[1])
    yield "one label for all", REFUSE, edit_text(lambda text: re.sub(r",b", ",a", text))
    yield "a row too few", REFUSE, edit_text(lambda text: text.rstrip().rpartition("\n")[0] + "\n")
    yield "a row too many", REFUSE, edit_text(lambda text: text + "24,a\n")
    yield "a label left out", REFUSE, edit_text(lambda text: text.replace("\n3,a", "\n3,"))
    yield "the same particle twice", OPEN, edit_text(lambda text: text.replace("\n3,a", "\n2,a"))


def rows(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of the rows of a benchmark."""
    yield from _table(rng, extra)
    yield "no head", REFUSE, edit_text(lambda text: text.split("\n", 1)[1])
    yield "numbers are text", REFUSE, edit_text(lambda text: _behind_head(text, r"\d", "x"))


def spectrum(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of signal over noise by resolution."""
    yield from _table(rng, extra)
    yield "no head", REFUSE, edit_text(lambda text: text.split("\n", 1)[1])
    yield "numbers are text", REFUSE, edit_text(lambda text: _behind_head(text, r"\d", "x"))
    yield "a resolution twice", REFUSE, edit_text(lambda text: text.replace("\n30,", "\n60,"))
    for number in ("nan", "inf", "1e400", "-1", "0", ""):
        yield f"a number {number!r}", REFUSE, edit_text(lambda text, n=number: text.replace("\n60,", f"\n{n},", 1))


def ctf_table(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of CTF values to draw from."""
    yield from _table(rng, extra)
    yield "no head", REFUSE, edit_text(lambda text: text.split("\n", 1)[1])
    yield "numbers are text", REFUSE, edit_text(lambda text: _behind_head(text, r"\d", "x"))
    for number in ("nan", "inf", "1e400", "--1", ""):
        yield f"a number {number!r}", REFUSE, edit_text(lambda text, n=number: text.replace("\n15000", f"\n{n}", 1))
    for old, new in (("300", "0"), ("300", "-300"), ("0.1,", "7,"), ("2.7", "-2.7")):
        yield f"{old} is {new}", REFUSE, edit_text(lambda text, old=old, new=new: text.replace(old, new))


def _table(rng: random.Random, extra: int) -> Changes:
    yield from cuts(OPEN)
    yield from strangers(rng)
    yield from turned_bits(rng, extra)
    yield from doubled_blocks(rng, extra // 2)
    yield "only the head", REFUSE, edit_text(lambda text: text.split("\n", 1)[0] + "\n")
    yield "all columns twice", OPEN, edit_text(lambda text: "\n".join(f"{row},{row}" for row in text.splitlines()))
    yield "values too many", REFUSE, edit_text(lambda text: text.replace("\n", f"\n{MANY}\n", 1))
    yield "a NUL", OPEN, edit(lambda data: data.replace(b",", b",\0", 1))
    yield "a quote that is not closed", REFUSE, edit_text(lambda text: text.replace(",", ',"', 1))
    yield "not UTF-8", REFUSE, edit(lambda data: data + b"\xff\xfe,\xff\n")
    yield "a field of 20 MB", OPEN, edit_text(lambda text: text + "x" * 20_000_000 + "\n")
    yield "a million columns", OPEN, edit_text(lambda text: text.rstrip("\n") + ",1" * 1_000_000 + "\n")
    yield "lines of DOS", OPEN, edit(lambda data: data.replace(b"\n", b"\r\n"))
    yield "a byte order mark", OPEN, edit(lambda data: b"\xef\xbb\xbf" + data)
    yield "semicolons", OPEN, edit_text(lambda text: text.replace(",", ";"))


def _behind_head(text: str, old: str, new: str) -> str:
    head, rest = text.split("\n", 1)
    return f"{head}\n{re.sub(old, new, rest)}"
