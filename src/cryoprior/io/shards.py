"""A reconstruction: stacks written one by one, by one process or several, and the star file that joins them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pandas as pd
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.io.cryosparc.writing import write_cryosparc
from cryoprior.io.formats.columns import ESTIMATE, IMAGE_NAME, IMAGE_SIZE, PIXEL_SIZE
from cryoprior.io.identity import with_original_names
from cryoprior.io.mrc import read_header
from cryoprior.io.mrc_writing import StackWriter
from cryoprior.io.rows import row_batches
from cryoprior.io.star import write_star

FOLDER = "shards"
_NAME = re.compile(r"(\d{9})-(\d{9})\.mrcs")


class ShardWriter(StackWriter):
    """A context manager that writes the images of rows start to stop of a reconstruction as one stack.

    The rows are the name of the stack, so that processes need to agree on nothing but the folder; a stack appears
    when it is whole, and writing it again replaces it.

    Parameters
    ----------
    folder: the reconstruction; ``shards/`` is made in it.
    rows: consecutive rows of the particle table.
    box, pixel_size: of the images, pixels and angstrom.
    float16: MRC mode 12.
    """

    def __init__(self, folder: Path, rows: range, box: int, pixel_size: float, *, float16: bool = False) -> None:
        if not len(rows) or rows.step != 1:
            raise ValueError(f"a shard of rows {rows}; expected consecutive ones")
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        super().__init__(shard_path(folder, rows), len(rows), box, pixel_size, float16=float16)


def shard_path(folder: Path, rows: range) -> Path:
    """Return where the shard of these rows lies."""
    return folder / FOLDER / f"{rows.start:09d}-{rows.stop:09d}.mrcs"


def finished_shards(folder: Path) -> list[range]:
    """Return the rows of the shards that are whole, in order; a resumed run may skip them."""
    matches = [_NAME.fullmatch(path.name) for path in sorted((folder / FOLDER).glob("*.mrcs"))]
    return [range(int(match[1]), int(match[2])) for match in matches if match]


def merge_shards(
    folder: Path, table: pd.DataFrame, optics: pd.DataFrame, *, cs: bool = False, estimate: str = ""
) -> Path:
    """Return the path of particles.star, written once the shards hold every row of the table exactly once.

    Rows, order and all columns but rlnImageName stay as they are; rlnImageOriginalName holds the names of the table,
    unless the table has such a column, or cryoSPARC's uids. cs: particles.cs is written too, for cryoSPARC.
    estimate: what the images are, written in a column of its own where it is not empty.

    Raises
    ------
    InputError: rows that no shard holds, or that two hold; a stack of another number of images or another box.
    """
    shards = finished_shards(folder)
    _check_cover(folder, shards, len(table))
    boxes = set(optics[IMAGE_SIZE]) if IMAGE_SIZE in optics.columns else None
    names: list[str] = []
    for rows in shards:
        header = read_header(shard_path(folder, rows))
        if header.n != len(rows) or (boxes is not None and {header.width} != boxes):
            raise InputError(
                f"{header.path}: {header.n} images of box {header.width}; expected {len(rows)} of "
                f"{', '.join(map(str, sorted(boxes or [])))}; delete it and reconstruct this shard again"
            )
        names += [f"{place:06d}@{FOLDER}/{header.path.name}" for place in range(1, header.n + 1)]
    merged = with_original_names(table).assign(**{IMAGE_NAME: names})
    if estimate:
        merged = merged.assign(**{ESTIMATE: estimate})
    path = folder / "particles.star"
    if cs:  # first: particles.star says that all is there
        write_cryosparc(path.with_suffix(".cs"), merged, optics)
    write_star(path, merged, optics)
    return path


def _check_cover(folder: Path, shards: list[range], n: int) -> None:
    reached = 0
    for rows in shards:
        if rows.start < reached:
            raise InputError(
                f"{folder}: rows {rows.start} to {reached - 1} are in two shards; delete the shards of the older run"
            )
        if rows.start > reached:
            break
        reached = rows.stop
    if reached < n:
        missing = next((rows.start for rows in shards if rows.start > reached), n)
        raise InputError(f"{folder}: rows {reached} to {missing - 1} are in no shard; reconstruct them, then merge")
    if reached > n:
        raise InputError(f"{folder}: shards of {reached} rows for {n} particles; delete the shards of the other run")


class ReconstructionWriter:
    """A context manager that writes a whole reconstruction in order: shard after shard, the star file last.

    Parameters
    ----------
    folder: an empty folder, usually the one that :func:`cryoprior.output.folder.claim_output` yields.
    table, optics: the particles as measured; columns other than rlnImageName are written as they are.
    shard_size: particles per stack.
    float16: MRC mode 12.

    Raises
    ------
    ValueError: more or fewer images than particles.
    """

    def __init__(
        self, folder: Path, table: pd.DataFrame, optics: pd.DataFrame, *, shard_size: int = 1000, float16: bool = False
    ) -> None:
        self.folder, self.table, self.optics, self.float16 = folder, table, optics, float16
        self.box, self.pixel_size = int(optics[IMAGE_SIZE].iloc[0]), float(optics[PIXEL_SIZE].iloc[0])
        self._ranges: Iterator[range] = iter(row_batches(len(table), shard_size))
        self._shard: ShardWriter | None = None
        self._count = 0

    def __enter__(self) -> ReconstructionWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, images: Float[np.ndarray, "b box box"]) -> None:
        """Append images, (b, box, box), which may run over the end of a shard."""
        if self._count + len(images) > len(self.table):
            raise ValueError(f"{self._count + len(images)} images for {len(self.table)} particles")
        self._count += len(images)
        while len(images):
            shard = self._shard or self._open()
            room = shard.n - shard.written
            shard.write(images[:room])
            images = images[room:]
            if shard.written == shard.n:
                shard.__exit__(None, None, None)
                self._shard = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shard is not None:
            self._shard.__exit__(kind, error, trace)
        if kind is not None:
            return
        if self._count != len(self.table):
            raise ValueError(f"{self._count} images for {len(self.table)} particles")
        merge_shards(self.folder, self.table, self.optics)

    def _open(self) -> ShardWriter:
        self._shard = ShardWriter(self.folder, next(self._ranges), self.box, self.pixel_size, float16=self.float16)
        self._shard.__enter__()
        return self._shard
