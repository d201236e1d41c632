"""MRC files as they are written: byte after byte, so that a full disk is an error, and never half a file.

Nothing is mapped into memory and no file has holes: a page of a mapped file that finds no room on the disk would end
the process by a signal (SIGBUS), without a word.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float
from mrcfile.dtypes import HEADER_DTYPE

from cryoprior.errors import InputError
from cryoprior.io.mrc import HEADER_BYTES
from cryoprior.output.files import whole_file

STACK, VOLUME = 0, 1
"""Space groups of MRC2014: a stack of images, and a volume."""
FLOAT32, FLOAT16 = 2, 12
"""Modes of MRC2014."""
VERSION = 20141
LABEL = b"cryoprior"
"""Without the time of writing, so that the same images are the same bytes."""


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
    OSError: the disk is full, or fails; the stack is absent, or as it was.
    ValueError: images of another box, or more or fewer than n.
    """

    def __init__(self, path: Path | str, n: int, box: int, pixel_size: float, *, float16: bool = False) -> None:
        self.path, self.n, self.box, self.pixel_size = Path(path), n, box, float(pixel_size)
        self.written = 0
        self._mode, self._dtype = (FLOAT16, "<f2") if float16 else (FLOAT32, "<f4")
        self._sum = self._squares = 0.0
        self._low, self._high = np.inf, -np.inf

    def __enter__(self) -> StackWriter:
        if not self.path.parent.is_dir():
            raise InputError(f"{self.path}: the folder {self.path.parent} does not exist; make it first")
        with ExitStack() as stack:
            self._file = stack.enter_context(stack.enter_context(whole_file(self.path)).open("wb"))
            self._file.write(bytes(HEADER_BYTES))  # its place; the statistics are known at the end
            self._opened = stack.pop_all()
        return self

    def write(self, images: Float[np.ndarray, "b box box"]) -> None:
        """Append images, (b, box, box)."""
        stop = self.written + len(images)
        if images.shape[1:] != (self.box, self.box) or stop > self.n:
            given = f"images {images.shape} after {self.written}"
            raise ValueError(f"{self.path}: {given}; the stack was opened for {self.n} of box {self.box}")
        stored = np.ascontiguousarray(images, self._dtype)
        self._file.write(stored.data)
        self.written = stop
        values = stored.astype(np.float64)
        self._sum, self._squares = self._sum + values.sum(), self._squares + np.square(values).sum()
        self._low, self._high = min(self._low, values.min()), max(self._high, values.max())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._opened.__exit__(kind, error, trace)
            return
        with self._opened:
            if self.written != self.n:
                raise ValueError(f"{self.path}: {self.written} images written; the stack was opened for {self.n}")
            self._file.seek(0)
            self._file.write(self._header())

    def _header(self) -> bytes:
        count = max(self.written * self.box**2, 1)
        mean = self._sum / count
        rms = np.sqrt(max(self._squares / count - mean**2, 0.0))
        statistics = tuple(map(float, (self._low, self._high, mean, rms)))
        return _header((self.n, self.box, self.box), self._mode, STACK, self.pixel_size, statistics)


def write_stack(path: Path | str, images: Float[np.ndarray, "n box box"], pixel_size: float) -> None:
    """Write all images, (n, box, box), to a float32 .mrcs stack with its pixel size in angstrom."""
    with StackWriter(path, len(images), images.shape[-1], pixel_size) as writer:
        writer.write(images)


def write_map(path: Path | str, volume: Float[np.ndarray, "z y x"], voxel_size: float) -> None:
    """Write a volume, (z, y, x), with its voxel size in angstrom, whole or not at all.

    Raises
    ------
    OSError: the disk is full, or fails; the file is absent, or as it was.
    """
    stored = np.ascontiguousarray(volume, "<f4")
    with np.errstate(all="ignore"):  # a volume that is not finite is written as it is
        numbers = stored.min(), stored.max(), stored.mean(dtype=np.float32), stored.std(dtype=np.float32)
        header = _header(stored.shape, FLOAT32, VOLUME, float(voxel_size), tuple(map(float, numbers)))
    with whole_file(path) as partial, partial.open("wb") as file:
        file.write(header)
        file.write(stored.data)


def _header(
    shape: tuple[int, ...], mode: int, space_group: int, voxel_size: float, statistics: tuple[float, ...]
) -> bytes:
    """Return the header of an MRC2014 file, little-endian; of a stack, mz is 1.

    Source: Cheng et al., MRC2014: Extensions to the MRC format header for electron cryo-microscopy and tomography
    (2015), table 1.
    """
    header = np.zeros((), HEADER_DTYPE.newbyteorder("<"))
    header["nz"], header["ny"], header["nx"] = shape
    header["mz"], header["my"], header["mx"] = (1 if space_group == STACK else shape[0], *shape[1:])
    header["mode"], header["ispg"] = mode, space_group
    for axis, sampling in zip("xyz", ("mx", "my", "mz"), strict=True):
        header["cella"][axis] = voxel_size * int(header[sampling])
    header["cellb"] = (90, 90, 90)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = statistics
    header["map"], header["machst"] = b"MAP ", (0x44, 0x44, 0, 0)
    header["nversion"], header["nlabl"] = VERSION, 1
    header["label"][0] = LABEL
    return header.tobytes()
