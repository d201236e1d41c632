"""The syntax of STAR files, as far as RELION's go: named blocks, each one loop or one list of labels and values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryoprior.io.star_bulk import plain_columns
from cryoprior.io.star_lines import Lines

CHUNK_ROWS = 512
_SPECIAL = re.compile(r"[ \t\r\v\f]*(?:#|data_|loop_|save_|$)|;")
"""What a line begins with that may be more than a row; nearly all lines of a file are rows by this alone."""

Values = Sequence[str] | np.ndarray
"""The values of a column: as text, or as int64 or float64 where they were plain numbers of a column of numbers."""


@dataclass(frozen=True)
class Block:
    """A block's name and labels, without underscore, and its columns in chunks, to be read before the next block is."""

    name: str
    labels: list[str]
    chunks: Iterator[Sequence[Values]]


def read_blocks(path: Path) -> Iterator[Block]:
    """Yield the blocks of a STAR file one after the other; the file is never in memory as a whole.

    As RELION reads: a quote counts only where a value begins, and ends before a space; ``#`` begins a comment only
    where a value could begin. A row may begin with ``data_`` or ``_``: what has as many values as there are labels is
    a row.

    Raises
    ------
    InputError: no text in UTF-8, a control character, a row with another number of values than there are labels, a
        label that stands twice, a quote without its end, a text between semicolons, a save frame.
    """
    with path.open("rb") as file:
        yield from _blocks(Lines(path, file))


def _blocks(lines: Lines) -> Iterator[Block]:
    name: str | None = None
    labels: list[str] = []
    row: list[str] = []
    while (line := lines.take()) is not None:
        words = lines.values(line)
        if not words:
            continue
        if words[0].startswith("data_"):
            if labels:
                yield Block(str(name), labels, iter([[[value] for value in row]]))
            name, labels, row = _block_name(lines, words), [], []
        elif name is None:
            raise lines.fault(f"{line.strip()[:40]!r} before any data_ block; is it a STAR file?")
        elif words[0] == "loop_" and not labels:
            loop = _loop_labels(lines)
            yield Block(name, loop, _loop_columns(lines, loop))
            # a loop ends where a block begins, so nothing more of this one follows
        elif words[0].startswith("_"):
            label, value = _listed(lines, line, words)
            _add_label(lines, labels, label)
            row.append(value)
        else:
            raise lines.fault(f"{line.strip()[:40]!r} in block data_{name}; expected loop_, or a label and its value")
    if labels:
        yield Block(str(name), labels, iter([[[value] for value in row]]))


def _block_name(lines: Lines, words: list[str]) -> str:
    if len(words) > 1:
        raise lines.fault(f"{' '.join(words)[:40]!r}; expected the name of a block alone, such as data_particles")
    return words[0][len("data_") :]


def _listed(lines: Lines, line: str, words: list[str]) -> tuple[str, str]:
    if len(words) > 2:
        raise lines.fault(f"{len(words) - 1} values of {words[0]}; expected one; put text with spaces in quotes")
    if len(words) == 1 and lines.next_word().startswith(";"):
        raise lines.fault(f"{words[0]} has a text between semicolons, which RELION does not read; put it in quotes")
    return words[0][1:], words[1] if len(words) == 2 else ""


def _add_label(lines: Lines, labels: list[str], label: str) -> None:
    if not label or label in labels:
        fault = f"the label _{label} stands twice in its block" if label else "a label without a name"
        raise lines.fault(f"{fault}; which column is meant? remove one")
    labels.append(label)


def _loop_labels(lines: Lines) -> list[str]:
    labels: list[str] = []
    while (line := lines.take()) is not None:
        words = lines.values(line)
        if not words:
            continue
        counted = len(words) == 1 or (len(words) == 2 and words[1] == str(len(labels) + 1))  # _rlnVoltage 3, without #
        if not words[0].startswith("_") or not counted:
            lines.give_back(line)
            break
        _add_label(lines, labels, words[0][1:])
    return labels


def _loop_columns(lines: Lines, labels: list[str]) -> Iterator[Sequence[Values]]:
    """Yield the columns in chunks of rows, up to the line that begins the next block."""
    while True:
        while len(labels) > 1 and (plain := lines.plain_rows()) and (columns := plain_columns(plain, labels)):
            lines.skip(plain)
            yield columns
        rows, ended = _loop_rows(lines, len(labels))
        if rows:
            yield list(zip(*rows, strict=True))
        if ended:
            return


def _loop_rows(lines: Lines, width: int) -> tuple[list[list[str]], bool]:
    """Return the next rows, line by line, and whether they are the last of their block."""
    rows: list[list[str]] = []
    parted = False
    while len(rows) < CHUNK_ROWS and (line := lines.take()) is not None:
        special = _SPECIAL.match(line)
        if special and (not line.strip() or line.lstrip().startswith("#")):
            parted = True
            continue
        values = lines.values(line)
        if special and _ends_loop(lines, line, values, width, parted):
            lines.give_back(line)
            return rows, True
        if len(values) != width:
            raise lines.fault(
                f"{len(values)} values for {width} columns; the file is damaged or truncated; write it again"
            )
        rows.append(values)
        parted = False
    return rows, len(rows) < CHUNK_ROWS


def _ends_loop(lines: Lines, line: str, values: list[str], width: int, parted: bool) -> bool:
    """Return whether a line that does not look like a row begins a block, and is not a row that begins like one.

    ``data_2023.mrc`` alone in its line is a name where a column of names goes on, a block where an empty line parts it
    from the rows, or a table follows.
    """
    if line.startswith(";"):
        raise lines.fault("a text between semicolons, which RELION does not read; put it in quotes")
    if len(values) == width > 1:
        return False
    if values == ["loop_"]:
        raise lines.fault("a second loop in one block; expected a data_ line before it; add one")
    block = len(values) == 1 and values[0].startswith("data_")
    return block and (parted or lines.next_word().startswith(("loop_", "_")))
