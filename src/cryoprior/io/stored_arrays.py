"""Arrays of a zarr 3 group as we write them: chunks of whole rows, compressed or not, each checked before it is used.

The zarr library (3.1.6) reads a whole chunk for one row: behind the same checks, 100,000 rows of 384 floats took 2.1 to
2.5 times the processor time a chunk a call, and shuffled rows, as training asks for, about 10 times. Many chunks a call
were as fast in order, but a refused chunk or a signal then left tasks in its thread, and warnings of them on stderr.
"""

from __future__ import annotations

import math
import stat
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError
from cryoprior.io.compressors import COMPRESSORS, Compressor, compressor_of
from cryoprior.io.seals import Seal, content_digest
from cryoprior.output.stored_json import parse_json, read_json, write_json

NODE = "zarr.json"
BYTES_CODEC = {"name": "bytes", "configuration": {"endian": "little"}}
KEYS = {"name": "default", "configuration": {"separator": "/"}}
REMEDY = "the folder is damaged: copy it again, or measure again"


class ArrayWriter:
    """Writes an array row by row into a zarr group; its last chunk is padded with zeros, as zarr wants it.

    Parameters
    ----------
    folder: the group. name: the array's.
    shape, dtype: of the whole array.
    rows: rows of a chunk. compressor: of the chunks; None for none.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        rows: int,
        compressor: Compressor | None = None,
    ) -> None:
        self.folder, self.name, self.shape, self._compressor = folder, name, shape, compressor
        self._stored = 0
        self.digests: dict[str, str] = {}
        """The sha256 of every file that was written, by its path in the group."""
        self._chunk = np.zeros((max(1, min(rows, shape[0])), *shape[1:]), np.dtype(dtype).newbyteorder("<"))
        self._written = 0
        (folder / name).mkdir(parents=True)
        node = f"{name}/{NODE}"
        self.digests[node] = content_digest(write_json(folder / node, self._metadata(dtype)))

    @property
    def row_bytes(self) -> float:
        """Return the bytes of a row; of compressed chunks their mean over the rows so far."""
        if self._compressor is not None and self._written:
            return self._stored / self._written
        return self._chunk.itemsize * math.prod(self.shape[1:])

    def append(self, values: np.ndarray) -> None:
        """Write the next rows."""
        rows = len(self._chunk)
        while len(values):
            place = self._written % rows
            taken = values[: rows - place]
            self._chunk[place : place + len(taken)] = taken
            self._written += len(taken)
            values = values[len(taken) :]
            if self._written % rows == 0 or self._written == self.shape[0]:
                self._flush((self._written - 1) // rows)

    def _flush(self, index: int) -> None:
        name = _chunk_name(self.name, index, len(self.shape))
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = (
            self._chunk.tobytes() if self._compressor is None else self._compressor.compress(self._chunk.tobytes())
        )
        path.write_bytes(content)
        self._stored += len(content)
        self.digests[name] = content_digest(content)
        self._chunk[:] = 0

    def _metadata(self, dtype: str) -> dict[str, Any]:
        grid = {"name": "regular", "configuration": {"chunk_shape": list(self._chunk.shape)}}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": dtype,
            "chunk_grid": grid,
            "chunk_key_encoding": KEYS,
            "fill_value": 0,
            "codecs": [BYTES_CODEC, *([] if self._compressor is None else [self._compressor.codec])],
            "attributes": {},
        }


class StoredArray:
    """An array on disk. A chunk is checked against its digest when it is first read, and once in a process.

    Parameters
    ----------
    folder: the group. name: the array's.
    dtype, shape: what the header of the group says it is; None for a length that only the array knows.
    seal: the digests of the group; None for a file of an older version, whose chunks have only their size.
    sparse: whether chunks of zeros may be absent, as older versions left them out.

    Raises
    ------
    InputError: other metadata than ours, another type or shape, a missing chunk or one of another size.
    """

    def __init__(
        self, folder: Path, name: str, dtype: str, shape: tuple[int | None, ...], seal: Seal | None, *, sparse: bool
    ) -> None:
        self.name, self._folder, self._seal, self._sparse = name, folder, seal, sparse
        self.dtype = np.dtype(dtype).newbyteorder("<")
        self.shape, self._rows = self._read_node(dtype, shape)
        self._row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        self._checked: set[int] = set()
        self._held: tuple[int, bytes] | None = None
        self._check_chunks()

    @property
    def row_bytes(self) -> float:
        """Return the bytes of a row on disk; of compressed chunks their mean."""
        if self._compressor is None:
            return self._row_bytes
        count = -(-self.shape[0] // self._rows)
        return sum(self._path(index).stat().st_size for index in range(count)) / self.shape[0]

    def all(self) -> np.ndarray:
        """Return the whole array."""
        return self.rows(np.arange(self.shape[0]))

    def rows(self, places: np.ndarray) -> np.ndarray:
        """Return the rows at these places, in their order.

        Raises
        ------
        InputError: a chunk that is gone, cut, or not what was written.
        """
        read = np.empty((len(places), *self.shape[1:]), self.dtype)
        chunks = places // self._rows
        for index in np.unique(chunks):
            here = np.flatnonzero(chunks == index)
            read[here] = self._within(int(index), places[here] - index * self._rows)
        return read

    def _within(self, index: int, rows: np.ndarray) -> np.ndarray:
        """Return rows of one chunk."""
        first, last = int(rows.min()), int(rows.max())
        path = self._path(index)
        if self._sparse and not path.exists():
            return np.zeros((len(rows), *self.shape[1:]), self.dtype)
        _check_file(path, None if self._compressor else self._rows * self._row_bytes)
        if self._compressor is not None:
            content = self._decompressed(index, path)[first * self._row_bytes : (last + 1) * self._row_bytes]
            held: np.ndarray = np.frombuffer(content, self.dtype).reshape(last + 1 - first, *self.shape[1:])
            return np.asarray(held[rows - first])
        with path.open("rb") as file:
            if self._seal is None or index in self._checked:
                file.seek(first * self._row_bytes)
                content = file.read((last + 1 - first) * self._row_bytes)
            else:
                whole = file.read()
                self._seal.check(path.relative_to(self._folder).as_posix(), whole)
                self._checked.add(index)
                content = whole[first * self._row_bytes : (last + 1) * self._row_bytes]
        if len(content) != (last + 1 - first) * self._row_bytes:
            raise InputError(f"{path}: became shorter while it was read; {REMEDY}")
        span: np.ndarray = np.frombuffer(content, self.dtype).reshape(last + 1 - first, *self.shape[1:])
        return np.asarray(span[rows - first])

    def _decompressed(self, index: int, path: Path) -> bytes:
        """Return a whole chunk; the last one is held, since rows are mostly read in order."""
        assert self._compressor is not None
        if self._held is not None and self._held[0] == index:
            return self._held[1]
        stored = path.read_bytes()
        if self._seal is not None and index not in self._checked:
            self._seal.check(path.relative_to(self._folder).as_posix(), stored)
            self._checked.add(index)
        try:
            content = self._compressor.decompress(stored, self._rows * self._row_bytes)
        except ValueError as error:
            raise InputError(f"{path}: not a chunk compressed by {self._compressor.name}: {error}; {REMEDY}") from None
        self._held = (index, content)
        return content

    def _path(self, index: int) -> Path:
        return self._folder / _chunk_name(self.name, index, len(self.shape))

    def _read_node(self, dtype: str, wanted: tuple[int | None, ...]) -> tuple[tuple[int, ...], int]:
        """Return shape and rows of a chunk."""
        path = self._folder / self.name / NODE
        node = read_node(path, self._folder, self._seal)
        grid = node.get("chunk_grid")
        configured = grid.get("configuration") if isinstance(grid, dict) and grid.get("name") == "regular" else None
        chunk = configured.get("chunk_shape") if isinstance(configured, dict) else None
        shape = node.get("shape")
        known, self._compressor = compressor_of(node.get("codecs"), BYTES_CODEC)
        wrong = [
            *([] if node.get("node_type") == "array" else ["node_type"]),
            *([] if node.get("data_type") == dtype else ["data_type"]),
            *([] if known else ["codecs"]),
            *([] if node.get("chunk_key_encoding") == KEYS else ["chunk_key_encoding"]),
            *([] if not node.get("storage_transformers") else ["storage_transformers"]),
            *([] if _is_zero(node.get("fill_value")) else ["fill_value"]),
            *([] if _fits(shape, wanted) else ["shape"]),
        ]
        if isinstance(shape, list) and isinstance(chunk, list) and not wrong:
            fits = _fits(chunk, (None, *shape[1:])) and chunk[0] <= shape[0]
            if fits:
                return tuple(shape), int(chunk[0])
        found = "; ".join(f"{key} {str(node.get(key))[:80]}" for key in wrong or ["chunk_grid"])
        expected = " x ".join("?" if side is None else str(side) for side in wanted)
        raise InputError(
            f"{path}: {found}; expected {dtype} of {expected} in chunks of whole rows, little-endian, not "
            f"compressed or by {' or '.join(COMPRESSORS)} as this version writes it; {REMEDY}"
        )

    def _check_chunks(self) -> None:
        """Raise InputError for a chunk that is missing or of another size, before memory is taken for any."""
        folder = self._folder / self.name / "c"
        count = -(-self.shape[0] // self._rows)
        found = sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0
        if found > count or (found < count and not self._sparse):
            missing = next((i for i in range(min(count, found + 1)) if not self._path(i).exists()), None)
            detail = "" if missing is None else f", {self._path(missing).relative_to(folder.parent)} is not there"
            raise InputError(f"{folder}: {found} chunks; expected {count}{detail}; {REMEDY}")
        for index in range(count if found == count else 0):
            _check_file(self._path(index), None if self._compressor else self._rows * self._row_bytes)


def read_node(path: Path, folder: Path, seal: Seal | None) -> dict[str, Any]:
    """Return the zarr.json of a group or an array, checked against the seal of the folder."""
    expected = "the metadata of a zarr 3 group or array"
    if seal is None:
        return read_json(path, expected, REMEDY)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected {expected}; {REMEDY}")
    content = path.read_bytes()
    seal.check(path.relative_to(folder).as_posix(), content)
    return parse_json(path, content, expected, REMEDY)


def _check_file(path: Path, size: int | None) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: this chunk is not there; {REMEDY}") from None
    except OSError as error:
        raise InputError(f"{path}: a chunk that cannot be read ({error.strerror}); {REMEDY}") from None
    if not stat.S_ISREG(found.st_mode) or size not in (None, found.st_size):
        kind = f"{found.st_size} bytes" if stat.S_ISREG(found.st_mode) else "no ordinary file"
        raise InputError(f"{path}: {kind}; expected a chunk{'' if size is None else f' of {size} bytes'}; {REMEDY}")


def _chunk_name(name: str, index: int, axes: int) -> str:
    return "/".join((name, "c", str(index), *(["0"] * (axes - 1))))


def _fits(shape: Any, wanted: tuple[int | None, ...]) -> bool:
    if not isinstance(shape, list) or len(shape) != len(wanted):
        return False
    sides = zip(shape, wanted, strict=True)
    return all(type(side) is int and side >= 1 and want in (None, side) for side, want in sides)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and value == 0
