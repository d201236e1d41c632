"""Volumes in MRC files: in z y x order whatever the file's, plain or compressed by gzip."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from cryoprior.errors import InputError
from cryoprior.io.mrc import COMPRESSED, SAME_SIZE, MrcHeader, check_length, head_of, parsed_header
from cryoprior.io.stored_images import read_images

RIGHT_ANGLE_DEG = 0.01
GZIP_LIMIT = 1100
"""No gzip file unpacks to more than 1032 times its bytes."""
ENDINGS = (".mrc", ".map", ".ccp4")
PIECE = 1 << 24
"""Bytes that are unpacked at a time."""


def is_map(path: Path) -> bool:
    """Return whether a file's name is that of a map: .mrc, .map or .ccp4, plain or with .gz behind it."""
    name = path.name.lower()
    return name.removesuffix(".gz").endswith(ENDINGS)


def read_map_header(path: Path | str) -> MrcHeader:
    """Return the header of a volume, plain (.mrc, .map, .ccp4) or compressed by gzip (.mrc.gz, .map.gz).

    Raises
    ------
    InputError: as :func:`read_header`, but for any order of axes; voxels that differ by axis; a cell that is not
        rectangular; a gzip file too short for what its header promises.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in COMPRESSED and suffix != ".gz":
        raise InputError(f"{path}: compressed as {suffix}; expected a plain map or one by gzip; decompress it first")
    header = parsed_header(path, head_of(path))
    _check_cell(header)
    size = path.stat().st_size
    if suffix != ".gz":
        check_length(header, size)
    elif header.offset + header.data_bytes > GZIP_LIMIT * size:
        raise InputError(
            f"{path}: its header promises {header.data_bytes} bytes, which {size} bytes of gzip cannot hold; "
            "it is damaged; copy it again"
        )
    return header


def read_map(path: Path | str) -> tuple[Float32[np.ndarray, "z y x"], float]:
    """Return a volume, (z, y, x) float32, and its voxel size in angstrom (0 where the header does not say).

    Whatever the order in which the file stores its axes, the array's are z, y and x. Errors: :func:`read_map_header`.
    """
    header = read_map_header(path)
    stored = _unpacked(header) if header.path.suffix.lower() == ".gz" else read_images(header)
    place = {axis: 2 - position for position, axis in enumerate(header.axes)}
    volume = np.transpose(stored, (place[3], place[2], place[1]))
    return np.array(volume, dtype=np.float32, order="C"), header.voxel_size


def _check_cell(header: MrcHeader) -> None:
    x, y, z = header.voxel_sizes
    if min(x, y, z) < 0 or np.isinf([x, y, z]).any():
        raise InputError(f"{header.path}: voxels of {x:g} x {y:g} x {z:g} A; expected lengths; correct the header")
    if max(x, y, z) - min(x, y, z) > SAME_SIZE * max(x, y, z):
        raise InputError(
            f"{header.path}: voxels of {x:.4f} x {y:.4f} x {z:.4f} A (x, y, z); expected one size; resample the map to "
            "cubic voxels, or correct the header"
        )
    if max(abs(angle - 90) for angle in header.angles_deg) > RIGHT_ANGLE_DEG:
        raise InputError(
            f"{header.path}: a cell with angles of {', '.join(f'{a:g}' for a in header.angles_deg)} degrees; expected "
            "90; resample the map to a rectangular cell"
        )


def _unpacked(header: MrcHeader) -> Shaped[np.ndarray, "n height width"]:
    """Return the voxels of a gzip file; memory is used up only as they arrive."""
    data = np.empty(header.data_bytes, np.uint8)
    try:
        with gzip.open(header.path) as file:
            file.read(header.offset)
            found = 0
            while found < len(data) and (got := file.readinto(data.data[found : found + PIECE])):
                found += got
            further = len(file.read(PIECE))  # to the end of the file, which holds the checksum of what was read
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{header.path}: damaged gzip: {error}; copy it again") from error
    check_length(header, header.offset + found + further)
    return data.view(header.dtype).reshape(header.n, header.height, header.width)
