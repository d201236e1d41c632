"""Long names on several lines: broken at spaces, and after the commas and colons of the text of a solver."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

JOINT = re.compile(r"(?<=[,:;/])(?=\S)")
LONGEST = 24
"""Characters that stay together where no space, comma or colon parts them."""


def wrapped(text: str, width: int) -> str:
    """Return the text on lines of at most ``width`` characters, 1 or more."""
    lines = [""]
    for word in text.split():
        for i, piece in enumerate(_pieces(word, width)):
            gap = " " if i == 0 and lines[-1] else ""
            if lines[-1] and len(lines[-1]) + len(gap) + len(piece) > width:
                lines.append(piece)
            else:
                lines[-1] += gap + piece
    return "\n".join(lines)


def breakable(text: str) -> str:
    """Return the text as HTML that may be broken where :func:`wrapped` breaks it; it is escaped."""
    return " ".join("<wbr>".join(escape(piece) for piece in _pieces(word, LONGEST)) for word in text.split(" "))


def _pieces(word: str, longest: int) -> Iterator[str]:
    for piece in JOINT.split(word):
        yield from (piece[at : at + longest] for at in range(0, len(piece), longest))
