"""MRC files as they are read: the header, and whether the file is as long as it says."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.errors import InputError

HEADER_BYTES = 1024
MODES: dict[int, str] = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
UNREADABLE = {3: "complex of two int16", 4: "complex of two float32", 16: "colour", 17: "colour", 101: "4-bit packed"}
"""Modes that exist and hold no single number in a byte or more."""
COMPRESSED = (".gz", ".bz2", ".zip", ".xz", ".zst")
IMOD_STAMP, IMOD_SIGNED, IMOD_PACKED = 1146047817, 1, 16
"""IMOD's mark at byte 152, and what its flags at byte 156 say: bytes are signed; two values share a byte."""
SAME_SIZE = 1e-3
"""Voxel sizes that differ by axis by less than this share are one: headers are rounded."""


@dataclass(frozen=True)
class MrcHeader:
    """What is needed to find the images of a stack: their number, size, type and place in the file."""

    path: Path
    n: int
    height: int
    width: int
    dtype: np.dtype[Any]
    offset: int
    voxel_sizes: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Angstrom along x, y and z; 0 where the header does not say."""
    axes: tuple[int, int, int] = (1, 2, 3)
    """Which axis (1 is x, 2 is y, 3 is z) runs along columns, rows and sections."""
    angles_deg: tuple[float, float, float] = (90.0, 90.0, 90.0)
    start: tuple[int, int, int] = (0, 0, 0)
    """The place in the cell of the first voxel, in voxels along columns, rows and sections."""
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The place of the first voxel in angstrom, x y z, as programs of 3DEM write it."""

    @property
    def voxel_size(self) -> float:
        """Return the angstrom per pixel; 0 where the header does not say, or says two things of x and y."""
        x, y, _ = self.voxel_sizes
        return x if 0 < x < np.inf and (y == 0 or abs(x - y) <= SAME_SIZE * x) else 0.0

    @property
    def image_bytes(self) -> int:
        """Return the bytes of one image."""
        return self.height * self.width * self.dtype.itemsize

    @property
    def data_bytes(self) -> int:
        """Return the bytes of all images."""
        return self.n * self.image_bytes

    @property
    def volume_shape(self) -> tuple[int, int, int]:
        """Return the voxels along z, y and x."""
        counts = dict(zip(self.axes, (self.width, self.height, self.n), strict=True))
        return counts[3], counts[2], counts[1]

    @property
    def plain(self) -> bool:
        """Return whether every program reads the voxels as this one does."""
        compressed = self.path.suffix.lower() in COMPRESSED
        return not compressed and self.axes == (1, 2, 3) and self.dtype.kind + str(self.dtype.itemsize) != "u1"

    @property
    def placement_angstrom(self) -> tuple[float, float, float]:
        """Return where the first voxel lies, x y z: the origin, or the start in the cell where there is no origin."""
        if any(self.origin):
            return self.origin
        start = dict(zip(self.axes, self.start, strict=True))
        x, y, z = (start[axis] * size for axis, size in zip((1, 2, 3), self.voxel_sizes, strict=True))
        return x, y, z


def read_header(path: Path) -> MrcHeader:
    """Return the header of an MRC stack, whose size has been checked against the images it promises.

    The map stamp and the machine stamp may be absent or wrong, as many programs leave them so: the byte order is the
    one in which the width is the smaller number. Bytes (mode 0) are signed, as MRC2014 says, unless IMOD's mark says
    that they are not. A file may be longer than its header promises by less than an image; its statistics are not read.

    Raises
    ------
    InputError: missing file, a compressed file, no MRC header, a mode other than 0, 1, 2, 6 or 12, axes other than
        columns x, rows y, sections z, or a truncated file.
    """
    if path.suffix.lower() in COMPRESSED:
        raise InputError(f"{path}: compressed; expected a plain MRC stack, which is read in parts; decompress it first")
    header = parsed_header(path, head_of(path))
    if header.axes != (1, 2, 3):
        raise InputError(
            f"{path}: columns, rows and sections are the axes {_listed(header.axes)}; expected images stored as 1, 2, "
            "3 (x, y, image); write the stack again in that order"
        )
    check_length(header, path.stat().st_size)
    return header


def head_of(path: Path) -> bytes:
    """Return the first 1,024 bytes of an MRC file, unpacked where it is a gzip file; InputError where it has fewer."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an MRC stack; check the name, or pass <datadir>")
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}; expected an MRC file; copy it again") from error
    if len(head) < HEADER_BYTES:
        raise InputError(f"{path}: truncated: {len(head)} bytes, an MRC header alone has {HEADER_BYTES}; copy it again")
    return head


def parsed_header(path: Path, head: bytes) -> MrcHeader:
    """Return what the first 1,024 bytes of an MRC file say; InputError where they are no header that can be used."""
    order = min("<>", key=lambda order: int(np.frombuffer(head, f"{order}u4", 1)[0]))
    whole, real = (np.frombuffer(head, f"{order}{kind}").tolist() for kind in ("i4", "f4"))
    nx, ny, nz, mode = whole[:4]
    extended = whole[23]
    dtype = _type_of(path, mode, whole[38] == IMOD_STAMP, whole[39])
    if min(nx, ny, nz) < 1 or extended < 0:
        raise InputError(f"{path}: an MRC header of {nz} images of {ny} x {nx}; is it an MRC file?")
    axes = tuple(whole[16:19]) if any(whole[16:19]) else (1, 2, 3)  # programs that know one order leave them out
    if sorted(axes) != [1, 2, 3]:
        raise InputError(
            f"{path}: columns, rows and sections are the axes {_listed(axes)}; expected 1, 2 and 3 in some order "
            "(MAPC, MAPR, MAPS); correct the header"
        )
    if np.isnan(real[10:13]).any():
        raise InputError(f"{path}: a cell of {_listed(tuple(real[10:13]))} A; expected numbers; correct the header")
    sizes = tuple(_size(cell, sampling) for cell, sampling in zip(real[10:13], whole[7:10], strict=True))
    angles = tuple(real[13:16]) if any(real[13:16]) else (90.0, 90.0, 90.0)
    origin = tuple(value if np.isfinite(value) else 0.0 for value in real[49:52])
    places: Any = (sizes, axes, angles, tuple(whole[4:7]), origin)
    return MrcHeader(path, nz, ny, nx, np.dtype(f"{order}{dtype}"), HEADER_BYTES + extended, *places)


def _type_of(path: Path, mode: int, imod: bool, flags: int) -> str:
    if mode not in MODES or (mode == 0 and imod and flags & IMOD_PACKED):
        kind = "4-bit packed" if mode == 0 else UNREADABLE.get(mode, "")
        raise InputError(
            f"{path}: MRC mode {mode}{f' ({kind})' if kind else ''}; expected one of {', '.join(map(str, MODES))}; "
            "convert the stack"
        )
    return "u1" if mode == 0 and imod and not flags & IMOD_SIGNED else MODES[mode]


def _size(cell: float, sampling: int) -> float:
    return cell / sampling if sampling > 0 else 0.0


def check_length(header: MrcHeader, size: int) -> None:
    """Raise InputError for a file of fewer bytes than its header promises, or of an image or more beyond them."""
    expected = header.offset + header.data_bytes
    if size < expected:
        raise InputError(
            f"{header.path}: truncated: {size} bytes found, {expected} expected for {header.n} images; copy it again"
        )
    if size >= expected + header.image_bytes:
        raise InputError(
            f"{header.path}: {size} bytes found, {expected} expected for {header.n} images of {header.height} x "
            f"{header.width} in {header.dtype.name}; the header does not fit the file; write it again"
        )


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(map(str, values))
