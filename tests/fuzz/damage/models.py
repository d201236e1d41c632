"""Damaged atomic models."""

from __future__ import annotations

import random
import re
from pathlib import Path

from fuzz.cases import Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, edit, edit_text, strangers, turned_bits

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN


def model(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a PDB file."""
    yield from cuts(OPEN)
    yield from strangers(rng)
    yield from turned_bits(rng, extra)
    yield from doubled_blocks(rng, extra // 2)
    for number in ("     nan", "     inf", "     abc", "        "):
        yield f"an x of {number.strip()!r}", REFUSE, edit_text(lambda text, n=number: _with_x(text, n))
    yield "an atom far away", REFUSE, edit_text(lambda text: _with_x(text, "9999999.", 1))
    yield "an unknown element", OPEN, edit_text(lambda text: re.sub(r"(?m)^(ATOM.*?)\S\s*$", r"\1Q", text))
    yield "one atom", OPEN, edit_text(lambda text: text.splitlines()[0] + "\nEND\n")
    yield "plain text", REFUSE, edit_text(lambda text: "hello\n" * 100)
    yield "not UTF-8", OPEN, edit(lambda data: data.replace(b"ALA A", b"ALA \xff"))
    yield "the same atom 100,000 times", OPEN, edit_text(lambda text: (text.splitlines()[0] + "\n") * 100_000 + "END\n")
    yield "50,000 models", OPEN, edit_text(lambda text: "".join(f"MODEL {i}\nENDMDL\n" for i in range(50_000)) + text)


def _with_x(text: str, number: str, count: int = 0) -> str:
    return re.sub(r"(?m)^(ATOM.{26})(.{8})", rf"\g<1>{number}", text, count=count)
