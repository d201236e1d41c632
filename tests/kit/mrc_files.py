"""MRC files as bytes, with every word of the header that tests set."""

from __future__ import annotations

import numpy as np

MODES = {"int8": 0, "uint8": 0, "int16": 1, "float32": 2, "uint16": 6, "float16": 12}


def mrc_bytes(
    data: np.ndarray,
    *,
    axes: tuple[int, int, int] = (1, 2, 3),
    voxel: float | tuple[float, float, float] = 0.0,
    order: str = "<",
    words: dict[int, int] | None = None,
    reals: dict[int, float] | None = None,
    extended: int = 0,
) -> bytes:
    """Return an MRC file of sections, rows, columns.

    axes: along columns, rows, sections; 1 is x. voxel: angstrom, one or x, y, z. order: of bytes.
    words, reals: what the header holds at these places, counted in words of four bytes from 0.
    """
    sizes = voxel if isinstance(voxel, tuple) else (voxel, voxel, voxel)
    header = np.zeros(256, f"{order}i4")
    header[:4] = (*data.shape[::-1], MODES[data.dtype.name])
    counts = dict(zip(axes, data.shape[::-1], strict=False))
    header[7:10] = [counts.get(axis, 1) for axis in (1, 2, 3)]
    real = header.view(f"{order}f4")
    real[10:13] = [size * count for size, count in zip(sizes, header[7:10], strict=True)]
    real[13:16] = 90
    header[16:19] = axes
    header[23] = extended
    for place, word in (words or {}).items():
        header[place] = word
    for place, number in (reals or {}).items():
        real[place] = number
    return header.tobytes() + bytes(extended) + data.astype(f"{order}{data.dtype.str[1:]}").tobytes()
