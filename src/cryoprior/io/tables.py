"""Tables of text: CSV files, whose head is looked at before memory is taken for them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cryoprior.errors import InputError

MOST_COLUMNS = 10_000
HEAD_BYTES = 1 << 20
"""Of the first line, which has the names of the columns."""


def read_csv_table(path: Path, expected: str, *, as_text: bool = False) -> pd.DataFrame:
    """Return a CSV file with a head as a table.

    Parameters
    ----------
    expected: what the file should be, for messages.
    as_text: every value as the text that it is, nothing for an empty one.

    Raises
    ------
    InputError: a missing file, not CSV in UTF-8, two columns of one name, or more than 10,000 columns.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}; check the name")
    try:
        with path.open("rb") as file:
            line = file.readline(HEAD_BYTES).decode("utf-8-sig")
        if len(line) >= HEAD_BYTES - 4 or line.count(",") >= MOST_COLUMNS:
            raise InputError(f"{path}: not CSV: a head of {line.count(',') + 1} columns; expected {expected}")
        names = [name.strip().strip('"') for name in line.strip().split(",")]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InputError(f"{path}: columns named {', '.join(sorted(twice))} more than once; expected {expected}")
        return pd.read_csv(path, dtype=str, keep_default_na=False) if as_text else pd.read_csv(path)
    except InputError:
        raise
    except (ValueError, OverflowError, MemoryError, RecursionError, OSError) as error:  # pandas' own are ValueErrors
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not CSV: {reason}; expected {expected}; export it again") from None
