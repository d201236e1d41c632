"""A reconstruction in the making: finished stacks, a record beside each, and what joins them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io import ShardWriter, finished_shards, merge_shards
from cryoprior.io.rows import row_batches
from cryoprior.output.files import write_whole
from cryoprior.output.record import to_json
from cryoprior.output.stored_json import read_json

log = logging.getLogger("cryoprior")

MAKES = (
    *("shards", "deviation", "records", "particles.star", "particles.cs", "summary.json", "provenance.json"),
    *("report.html", "check.csv", "jobs"),
)
"""All that a reconstruction writes into its folder."""
TOTALS = ("evaluations", "backward", "seconds_network", "residual")
SUMMED = ("seconds", *TOTALS)
"""What the records of shards sum over particles."""
KNOWN = ("intensity", "contrast")
"""What a record holds beside the numbers that are summed."""


@dataclass(frozen=True)
class Shards:
    """The stacks of n particles in a folder, which several processes may fill.

    Processes agree on nothing but the folder, n and the number of particles per stack.
    """

    folder: Path
    n: int
    size: int
    summed: tuple[str, ...] = SUMMED
    """Names of the numbers that every record holds."""

    def all(self) -> list[range]:
        """Return the rows of every shard."""
        return row_batches(self.n, self.size)

    def pending(self, first: int, step: int) -> list[range]:
        """Return the shards first, first + step, ... that are not finished."""
        done = set(self._finished())
        return [rows for rows in self.all()[first::step] if rows not in done]

    def left(self) -> int:
        """Return how many shards are not finished."""
        return len(self.pending(0, 1))

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
        path = self._record_path(rows)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, to_json(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        """Return the records of all shards, in order."""
        return [self._record(rows) for rows in self.all()]

    def merge(self, table: pd.DataFrame, optics: pd.DataFrame, *, cs: bool = False, estimate: str = "") -> bool:
        """Return whether every shard is finished; particles.star is written then, and with cs particles.cs.

        estimate: what the images are, for a column of the star file; empty leaves it out.
        """
        if not set(self.all()) <= set(self._finished()):
            return False
        merge_shards(self.folder, table.iloc[: self.n], optics, cs=cs, estimate=estimate)
        if (self.folder / "deviation").is_dir():
            merge_shards(self.folder / "deviation", table.iloc[: self.n], optics)
        return True

    def _finished(self) -> list[range]:
        """Return the shards that are whole and whose record can be read; the others are made again."""
        return [rows for rows in finished_shards(self.folder) if self._has_record(rows)]

    def _has_record(self, rows: range) -> bool:
        try:
            self._record(rows)
        except InputError as error:
            log.warning("%s; the shard is made again", error)
            return False
        return True

    def _record(self, rows: range) -> dict[str, Any]:
        path = self._record_path(rows)
        remedy = "reconstruct again"
        record = read_json(path, "the record of a shard", remedy, dict.fromkeys(self.summed, int | float))
        missing = [name for name in KNOWN if name not in record]
        if missing:
            raise InputError(f"{path}: no {', '.join(missing)}; expected the record of a shard; {remedy}")
        return record

    def _record_path(self, rows: range) -> Path:
        return self.folder / "records" / f"{rows.start:09d}-{rows.stop:09d}.json"
