"""MRC files as they are read: the header, and the images as a memory map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped

from cryoprior.errors import InputError

HEADER_BYTES = 1024
MODES: dict[int, str] = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}


@dataclass(frozen=True)
class MrcHeader:
    """What is needed to find the images of a stack: their number, size, type and place in the file."""

    path: Path
    n: int
    height: int
    width: int
    dtype: np.dtype[Any]
    offset: int
    voxel_size: float
    """Angstrom along x; 0 where the header does not say."""

    @property
    def image_bytes(self) -> int:
        """Return the bytes of one image."""
        return self.height * self.width * self.dtype.itemsize


def read_header(path: Path) -> MrcHeader:
    """Return the header of an MRC file, whose size has been checked against the images it promises.

    The map stamp and the machine stamp may be absent, as many programs leave them out: the byte order is the
    one in which the width is the smaller number. A file with more bytes than the header promises is read.

    Raises
    ------
    InputError: missing file, no MRC header, a mode other than 0, 1, 2, 6 or 12, or a truncated file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an MRC stack; check the name, or pass <datadir>")
    with path.open("rb") as file:
        raw = file.read(HEADER_BYTES)
    size = path.stat().st_size
    if len(raw) < HEADER_BYTES:
        raise InputError(f"{path}: truncated: {size} bytes, an MRC header alone has {HEADER_BYTES}; copy it again")
    order = min("<>", key=lambda order: int(np.frombuffer(raw, f"{order}u4", 1)[0]))
    nx, ny, nz, mode = (int(v) for v in np.frombuffer(raw, f"{order}i4", 4))
    extended = int(np.frombuffer(raw, f"{order}i4", 1, 92)[0])
    if mode not in MODES:
        raise InputError(f"{path}: MRC mode {mode}; expected one of {', '.join(map(str, MODES))}; convert the stack")
    if min(nx, ny, nz) < 1 or extended < 0:
        raise InputError(f"{path}: an MRC header of {nz} images of {ny} x {nx}; is it an MRC file?")
    sampling, cell = int(np.frombuffer(raw, f"{order}i4", 1, 28)[0]), float(np.frombuffer(raw, f"{order}f4", 1, 40)[0])
    voxel_size = cell / sampling if sampling > 0 and np.isfinite(cell) and cell > 0 else 0.0
    header = MrcHeader(path, nz, ny, nx, np.dtype(order + MODES[mode]), HEADER_BYTES + extended, voxel_size)
    expected = header.offset + nz * header.image_bytes
    if size < expected:
        raise InputError(f"{path}: truncated: {size} bytes found, {expected} expected for {nz} images; copy it again")
    return header


def map_images(header: MrcHeader) -> Shaped[np.ndarray, "n height width"]:
    """Return the images of a stack as a read-only memory map, (n, height, width), in the type of the file."""
    shape = (header.n, header.height, header.width)
    return np.memmap(header.path, header.dtype, "r", header.offset, shape)


def read_map(path: Path | str) -> tuple[Float32[np.ndarray, "z y x"], float]:
    """Return a volume, (z, y, x) float32, and its voxel size in angstrom (0 where the header does not say)."""
    header = read_header(Path(path))
    return np.array(map_images(header), dtype=np.float32), header.voxel_size
