"""STAR files: blocks in, blocks out. What the columns mean is defined in :mod:`cryoprior.io.formats.relion`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.labels import NUMBERS, is_text
from cryoprior.io.star_syntax import CHUNK_ROWS, Block, Values, read_blocks
from cryoprior.output.files import write_whole

_PLAIN = re.compile(r"[^\s\"'#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*\Z")
_SHARED = 1 << 16
"""A column with more different texts than this is taken for one of names that are all different."""


def read_star(path: Path | str) -> dict[str, pd.DataFrame]:
    """Return the blocks of a STAR file by name (``optics``, ``particles``, or the empty name), one table each.

    Column names lose their underscore. A column that RELION defines as numbers becomes numbers; any other is text,
    unless it is numbers that are written back as the same text: a group called ``1.10`` stays one.

    Raises
    ------
    InputError: missing file, no block, two blocks of one name, and what :func:`read_blocks` refuses.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a STAR file; check the name")
    tables: dict[str, pd.DataFrame] = {}
    for block in read_blocks(path):
        table = _table(block)
        if block.name in tables:
            raise InputError(f"{path}: two blocks data_{block.name}; which is meant? remove one, or rename it")
        tables[block.name] = table
    if not tables:
        raise InputError(f"{path}: no data_ block; expected a STAR file with a particle table; is it the right file?")
    return tables


def write_star(path: Path | str, table: pd.DataFrame, optics: pd.DataFrame | None) -> None:
    """Write a RELION 3.1 particle file, ``data_optics`` and ``data_particles``, whole or not at all.

    Without optics only ``data_particles`` is written. Numbers are written with all their digits.
    """
    write_blocks(path, {"particles": table} if optics is None else {"optics": optics, "particles": table})


def write_blocks(path: Path | str, blocks: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as the loops ``data_NAME`` of a STAR file, whole or not at all.

    Raises
    ------
    InputError: a text that no STAR file can hold: with a line end, or with both kinds of quotes before spaces.
    """
    write_whole(path, "".join(itertools.chain.from_iterable(_block_text(*block) for block in blocks.items())))


class _Column:
    """The values of one column as they come, in the least memory that loses nothing."""

    def __init__(self, label: str) -> None:
        self._is_number, self._is_text = label in NUMBERS, is_text(label)
        self._parts: list[np.ndarray | list[str]] = []
        self._texts: dict[str, str] = {}

    def add(self, values: Values) -> None:
        """Take the next values."""
        if isinstance(values, np.ndarray):
            numbers: np.ndarray | None = values
        else:
            numbers = None if self._is_text else _numbers(values, exact=not self._is_number)
        if numbers is not None:
            self._parts.append(numbers)
        elif len(self._texts) < _SHARED:
            self._parts.append([self._texts.setdefault(value, value) for value in values])
        else:
            self._parts.append(list(values))

    def values(self) -> np.ndarray:
        """Return all values, int64, float64 or, where they are not all numbers of one kind, text."""
        kinds = {part.dtype if isinstance(part, np.ndarray) else None for part in self._parts}
        if None not in kinds and (len(kinds) == 1 or (kinds and self._is_number)):
            return np.concatenate([np.asarray(part) for part in self._parts])
        if self._is_number:
            texts = [list(map(_number_text, part)) for part in self._parts]
        else:
            texts = [_texts(part) if isinstance(part, np.ndarray) else list(part) for part in self._parts]
        array = np.empty(sum(map(len, texts)), object)
        array[:] = list(itertools.chain.from_iterable(texts))
        return array


def _table(block: Block) -> pd.DataFrame:
    columns = [_Column(label) for label in block.labels]
    for chunk in block.chunks:
        for column, values in zip(columns, chunk, strict=True):
            column.add(values)
    series = (pd.Series(array, dtype=array.dtype) for array in map(_Column.values, columns))
    return pd.DataFrame(dict(zip(block.labels, series, strict=True)), columns=block.labels)


def _numbers(values: Sequence[str], *, exact: bool) -> np.ndarray | None:
    """Return values as int64 or float64, None where they are not all numbers; ``exact``: or their text would change."""
    for kind, text_of in ((int, str), (float, repr)):
        try:
            if exact and text_of(kind(values[0])) != values[0]:  # settles nearly all columns
                continue
            numbers = list(map(kind, values))
            if exact and list(map(text_of, numbers)) != list(values):
                continue
            joined = "".join(values)
            if "_" in joined or not joined.isascii():  # Python alone reads 1_000, and digits of other scripts
                return None
            return np.array(numbers, np.int64 if kind is int else np.float64)
        except ValueError:
            continue
        except OverflowError:  # a name of digits, or a serial number
            return None
    return None


def _block_text(name: str, frame: pd.DataFrame) -> Iterator[str]:
    yield f"\n# version 30001\n\ndata_{name}\n\nloop_\n"
    yield "".join(f"_{column} #{place}\n" for place, column in enumerate(frame.columns, 1))
    starts = range(0, len(frame), CHUNK_ROWS)
    columns = [_column_texts(frame, place, starts) for place in range(frame.shape[1])]
    for chunk in range(len(starts)):
        texts = ([text.rjust(width) for text in joined[chunk].split("\n")] for joined, width in columns)
        yield "\n".join(map(" ".join, zip(*texts, strict=True))) + "\n"
    yield "\n"


def _number_text(value: Any) -> str:
    """Return a value as text that does not depend on what else the column holds: 3 and 3.0 are both 3."""
    text = str(value)
    numbers = _numbers([text], exact=False)
    if numbers is None:
        return text
    number = float(numbers[0])
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _column_texts(frame: pd.DataFrame, place: int, starts: range) -> tuple[list[str], int]:
    """Return the texts of a column, those of a chunk of rows joined by line ends to save memory, and their width."""
    column = frame.iloc[:, place]
    first, alone = place == 0, frame.shape[1] == 1
    chunks, width = [], 0
    for start in starts:
        part = column.iloc[start : start + CHUNK_ROWS]
        if part.dtype.kind in "iuf":
            texts = _texts(part.to_numpy())
        else:
            texts = [_value_text(value, first=first, alone=alone) for value in part.tolist()]
        width = max(width, *map(len, texts))
        chunks.append("\n".join(texts))
    return chunks, width


def _texts(numbers: np.ndarray) -> list[str]:
    values = numbers.astype(np.float64).tolist() if numbers.dtype.kind == "f" else numbers.tolist()
    return list(map(repr, values))


def _value_text(value: Any, *, first: bool, alone: bool) -> str:
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    text = str(value)
    begins_like_syntax = first and (text[:1] in ("_", ";") or (alone and text.startswith(("data_", "loop_"))))
    return text if _PLAIN.match(text) and not begins_like_syntax else _quoted(text)


def _quoted(text: str) -> str:
    for quote in "\"'":
        if not re.search(rf"{quote}\s|[\x00-\x08\n-\x1f\x7f]", text):
            return f"{quote}{text}{quote}"
    raise InputError(
        f"the value {text[:60]!r} cannot be written to a STAR file: it holds a line end, a control character, or both "
        "kinds of quotes before spaces; rename it"
    )
