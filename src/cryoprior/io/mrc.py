"""MRC stacks: the header, the images as a memory map, and a writer that never leaves half a file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import mrcfile
import numpy as np
from jaxtyping import Float, Float32, Shaped

from cryoprior.errors import InputError
from cryoprior.output.files import whole_file

HEADER_BYTES = 1024
MODES: dict[int, str] = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
LABEL = "cryoprior"
"""Without mrcfile's time of writing, so that the same images are the same bytes."""


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


class StackWriter:
    """A context manager that writes n images to an .mrcs stack, which appears under its name when all are written.

    Parameters
    ----------
    path: the stack to be; a file that it replaces stays until then.
    n: number of images.
    box: pixels a side.
    pixel_size: angstrom, for the header.
    float16: MRC mode 12 in place of mode 2.

    Raises
    ------
    InputError: the folder is missing.
    ValueError: images of another box, or more or fewer than n.
    """

    def __init__(self, path: Path | str, n: int, box: int, pixel_size: float, *, float16: bool = False) -> None:
        self.path, self.n, self.box, self.pixel_size = Path(path), n, box, float(pixel_size)
        self.written = 0
        self._mode = 12 if float16 else 2
        self._whole = whole_file(self.path)
        self._sum = self._squares = 0.0
        self._low, self._high = np.inf, -np.inf

    def __enter__(self) -> StackWriter:
        if not self.path.parent.is_dir():
            raise InputError(f"{self.path}: the folder {self.path.parent} does not exist; make it first")
        partial = self._whole.__enter__()
        self._mrc = mrcfile.new_mmap(partial, (self.n, self.box, self.box), self._mode, overwrite=True)
        self._mrc.set_image_stack()
        self._mrc.voxel_size = self.pixel_size
        return self

    def write(self, images: Float[np.ndarray, "b box box"]) -> None:
        """Append images, (b, box, box)."""
        stop = self.written + len(images)
        if images.shape[1:] != (self.box, self.box) or stop > self.n:
            given = f"images {images.shape} after {self.written}"
            raise ValueError(f"{self.path}: {given}; the stack was opened for {self.n} of box {self.box}")
        self._mrc.data[self.written : stop] = images
        self.written = stop
        values = np.asarray(self._mrc.data[self.written - len(images) : stop], np.float64)
        self._sum, self._squares = self._sum + values.sum(), self._squares + np.square(values).sum()
        self._low, self._high = min(self._low, values.min()), max(self._high, values.max())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish_header()
        self._mrc.close()
        if kind is None and self.written != self.n:
            wrong = ValueError(f"{self.path}: {self.written} images written; the stack was opened for {self.n}")
            self._whole.__exit__(ValueError, wrong, None)
            raise wrong
        self._whole.__exit__(kind, error, trace)

    def _finish_header(self) -> None:
        count = max(self.written * self.box**2, 1)
        mean = self._sum / count
        header = self._mrc.header
        header.dmin, header.dmax, header.dmean = self._low, self._high, mean
        header.rms = np.sqrt(max(self._squares / count - mean**2, 0.0))
        header.label[0] = LABEL


def write_stack(path: Path | str, images: Float[np.ndarray, "n box box"], pixel_size: float) -> None:
    """Write all images, (n, box, box), to a float32 .mrcs stack with its pixel size in angstrom."""
    with StackWriter(path, len(images), images.shape[-1], pixel_size) as writer:
        writer.write(images)


def read_map(path: Path | str) -> tuple[Float32[np.ndarray, "z y x"], float]:
    """Return a volume, (z, y, x) float32, and its voxel size in angstrom (0 where the header does not say)."""
    header = read_header(Path(path))
    return np.array(map_images(header), dtype=np.float32), header.voxel_size


def write_map(path: Path | str, volume: Float[np.ndarray, "z y x"], voxel_size: float) -> None:
    """Write a volume, (z, y, x), with its voxel size in angstrom, whole or not at all."""
    with whole_file(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with mrcfile.new(partial, overwrite=True) as mrc:
            mrc.set_data(np.asarray(volume, np.float32))
            mrc.set_volume()
            mrc.voxel_size = float(voxel_size)
            mrc.header.label[0] = LABEL
