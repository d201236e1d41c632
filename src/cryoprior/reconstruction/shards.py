"""An output folder that several processes fill shard by shard and an interrupted run goes on with."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io import ShardWriter, finished_shards, merge_shards, row_batches
from cryoprior.output.record import to_json

RUN_FILE = "reconstruction.json"


@dataclass(frozen=True)
class ShardedOutput:
    """A reconstruction in the making: finished stacks, a record beside each, and what the run is.

    identity: everything that decides the images; a run with another identity may not use the folder.
    """

    folder: Path
    identity: Mapping[str, Any]
    n: int
    shard_size: int

    def claim(self, *, overwrite: bool) -> None:
        """Make the folder ready to start, or to go on where a run of the same identity stopped.

        Raises
        ------
        InputError: the folder is in use by anything else, or the same run is complete, and overwrite is not set.
        """
        record = self.folder / RUN_FILE
        known = json.loads(record.read_text()) if record.is_file() else None
        if known is None and _in_use(self.folder):
            raise InputError(f"{self.folder}: the output is in use by something else; pass another <output>")
        if known is not None and overwrite:
            shutil.rmtree(self.folder)
        elif known is not None:
            self._check_same(known)
        _write(record, to_json(self._identity()))

    @property
    def complete(self) -> bool:
        """Return whether all shards were merged and summed up."""
        return (self.folder / "summary.json").is_file()

    def shards(self) -> list[range]:
        """Return the rows of every shard."""
        return row_batches(self.n, self.shard_size)

    def pending(self, first: int, step: int) -> list[range]:
        """Return the shards first, first + step, ... that are not finished."""
        done = set(finished_shards(self.folder))
        return [rows for rows in self.shards()[first::step] if rows not in done]

    @contextmanager
    def writers(self, rows: range, box: int, pixel_size: float, *, deviation: bool) -> Iterator[list[ShardWriter]]:
        """Yield the writer of a shard's images, and that of their deviation where asked; both whole or absent."""
        with ExitStack() as stack:
            # Closed in reverse: the stack of images, which marks the shard as finished, takes its name last.
            folders = [self.folder, self.folder / "deviation"] if deviation else [self.folder]
            writers = [ShardWriter(folder, rows, box, pixel_size) for folder in folders]
            for writer in writers:
                stack.enter_context(writer)
            yield writers

    def write_record(self, rows: range, record: Mapping[str, Any]) -> None:
        """Keep what is known of a shard, before its stack is finished."""
        _write(self._record_path(rows), to_json(record))

    def records(self) -> list[dict[str, Any]]:
        """Return the records of all shards, in order."""
        return [json.loads(self._record_path(rows).read_text()) for rows in self.shards()]

    def merge(self, table: pd.DataFrame, optics: pd.DataFrame) -> bool:
        """Return whether every shard is finished; particles.star is written then."""
        if not set(self.shards()) <= set(finished_shards(self.folder)):
            return False
        merge_shards(self.folder, table.iloc[: self.n], optics)
        if (self.folder / "deviation").is_dir():
            merge_shards(self.folder / "deviation", table.iloc[: self.n], optics)
        return True

    def _check_same(self, known: dict[str, Any]) -> None:
        changed = sorted(key for key, value in self._identity().items() if known.get(key) != value)
        found = f"a run with other {', '.join(changed)}" if changed else "this run, which is finished"
        if changed or self.complete:
            raise InputError(f"{self.folder}: the output is in use by {found}; pass another <output>, or <overwrite>")

    def _record_path(self, rows: range) -> Path:
        return self.folder / "records" / f"{rows.start:09d}-{rows.stop:09d}.json"

    def _identity(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(to_json({**self.identity, "n": self.n, "shard_size": self.shard_size}))
        return plain


def _in_use(folder: Path) -> bool:
    """Return whether something is there; hidden files are those of another process that starts on the same run."""
    return any(not p.name.startswith(".") for p in folder.iterdir()) if folder.is_dir() else folder.exists()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text + "\n")
    partial.replace(path)
