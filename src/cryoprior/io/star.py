"""STAR files: blocks in, blocks out. What the columns mean is defined in :mod:`cryoprior.io.formats.relion`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.output.files import write_whole

_LEADING_ZERO = re.compile(r"[+-]?0\d")


@dataclass
class _Block:
    name: str
    loop: bool = False
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def read_star(path: Path | str) -> dict[str, pd.DataFrame]:
    """Return the blocks of a STAR file by name (``optics``, ``particles``, or the empty name), one table each.

    Column names lose their underscore. A column becomes numbers only where all its values are numbers that no
    leading zero would be lost from, so that writing it back changes no name.

    Raises
    ------
    InputError: missing file, no block, or a row with another number of values than there are columns.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a STAR file; check the name")
    blocks = _parse(path, path.read_text(encoding="utf-8", errors="replace"))
    tables = {}
    for block in blocks:
        frame = pd.DataFrame(block.rows, columns=block.columns, dtype=object)
        tables[block.name] = frame.apply(_numbers) if len(frame) else frame
    if not tables:
        raise InputError(f"{path}: no data_ block; expected a STAR file with a particle table; is it the right file?")
    return tables


def write_star(path: Path | str, table: pd.DataFrame, optics: pd.DataFrame | None) -> None:
    """Write a RELION 3.1 particle file, ``data_optics`` and ``data_particles``, whole or not at all.

    Without optics only ``data_particles`` is written. Numbers are written with all their digits.
    """
    write_blocks(path, {"particles": table} if optics is None else {"optics": optics, "particles": table})


def write_blocks(path: Path | str, blocks: Mapping[str, pd.DataFrame]) -> None:
    """Write tables as the loops ``data_NAME`` of a STAR file, whole or not at all."""
    write_whole(path, "".join(_block_text(name, frame) for name, frame in blocks.items()))


def _parse(path: Path, text: str) -> list[_Block]:
    blocks: list[_Block] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("data_"):
            blocks.append(_Block(line.split()[0][5:]))
        elif not blocks:
            raise InputError(f"{path}, line {number}: {line[:40]!r} before any data_ block; is it a STAR file?")
        elif line.startswith("loop_"):
            blocks[-1].loop = True
        else:
            _read_line(blocks[-1], line, f"{path}, line {number}")
    return blocks


def _read_line(block: _Block, line: str, where: str) -> None:
    if line.startswith("_") and block.loop and not block.rows:
        block.columns.append(line.split(maxsplit=1)[0][1:])
        return
    values = shlex.split(line) if '"' in line or "'" in line else line.split()
    if line.startswith("_") and not block.loop:  # one row, written as label and value
        block.columns.append(values[0][1:])
        block.rows = [[*(block.rows[0] if block.rows else []), values[1] if len(values) > 1 else ""]]
        return
    if len(values) != len(block.columns):
        raise InputError(
            f"{where}: {len(values)} values for {len(block.columns)} columns; the file is damaged or truncated; "
            "write it again"
        )
    block.rows.append(values)


def _numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    if any(_LEADING_ZERO.match(value) for value in column):
        return column
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column


def _block_text(name: str, frame: pd.DataFrame) -> str:
    head = [f"\n# version 30001\n\ndata_{name}\n\nloop_"]
    head += [f"_{column} #{place}" for place, column in enumerate(frame.columns, 1)]
    columns = [[_value_text(value) for value in frame[column].tolist()] for column in frame.columns]
    widths = [max(map(len, column), default=0) for column in columns]
    rows = (" ".join(v.rjust(w) for v, w in zip(row, widths, strict=True)) for row in zip(*columns, strict=True))
    return "\n".join([*head, *rows]) + "\n\n"


def _value_text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    text = str(value)
    return f'"{text}"' if not text or any(c.isspace() for c in text) else text
