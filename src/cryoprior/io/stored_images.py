"""Images read from a stack by plain reads.

Nothing is mapped into memory: where a mapped file is cut short by somebody else, or its disk fails, the process ends by
a signal (SIGBUS), without a word. A plain read says which file it was.
"""

from __future__ import annotations

from io import FileIO

import numpy as np
from jaxtyping import Int, Shaped

from cryoprior.errors import InputError
from cryoprior.io.mrc import MrcHeader
from cryoprior.output.files import naming


def read_images(header: MrcHeader, places: Int[np.ndarray, " b"] | None = None) -> Shaped[np.ndarray, "b height width"]:
    """Return images of a stack by their places from 0, (b, height, width), in the type of the file; None for all.

    Neighbours are read at once.

    Raises
    ------
    InputError: the file is shorter than it was when its header was read.
    OSError: it is gone by now, or its disk fails.
    """
    wanted = np.arange(header.n) if places is None else places
    images = np.empty((len(wanted), header.height, header.width), header.dtype)
    starts = np.flatnonzero(np.diff(wanted, prepend=-2) != 1).tolist()
    with naming(header.path), FileIO(str(header.path)) as file:
        for start, stop in zip(starts, [*starts[1:], len(wanted)], strict=False):
            file.seek(header.offset + int(wanted[start]) * header.image_bytes)
            _fill(file, images[start:stop], header)
    return images


def _fill(file: FileIO, images: np.ndarray, header: MrcHeader) -> None:
    room = images.reshape(-1).view(np.uint8).data
    while len(room):
        count = file.readinto(room)
        if not count:
            raise InputError(
                f"{header.path}: shorter than when its header was read; expected {header.n} images; is something still "
                "writing it? Copy it again"
            )
        room = room[count:]
