"""Images that lie in any number of stacks, found by name and read when asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.mrc import MrcHeader, map_images, read_header

OPEN_STACKS = 64


def find_file(name: str, beside: Path, datadir: Path | None) -> Path:
    """Return the file that ``name`` means in the particle file ``beside``.

    Looked for, in this order: as it is where absolute; under ``datadir``, with its folders and without; in the folder
    of the particle file and in each of its parents, as RELION and cryoSPARC name files from the project's folder.

    Raises
    ------
    InputError: it is in none of them.
    """
    if Path(name).is_absolute() and Path(name).is_file():
        return Path(name)
    folder = beside.resolve().parent
    places = [datadir / name, datadir / Path(name).name] if datadir else []
    places += [parent / name for parent in (folder, *folder.parents)]
    for place in places:
        if place.is_file():
            return place
    above = f"{datadir}, " if datadir else ""
    raise InputError(f"{beside}: no image file {name} in {above}{folder} or its parents; pass <datadir>")


def split_image_name(name: str, path: Path, row: int) -> tuple[int, str]:
    """Return the image's place in its stack, from 0, and the stack's name: ``000003@a.mrcs`` gives (2, ``a.mrcs``)."""
    number, sign, stack = str(name).partition("@")
    if not sign:
        return 0, number
    if not number.isdigit() or int(number) < 1 or not stack:
        raise InputError(f"{path}: particle {row + 1} has rlnImageName {name!r}; expected number@stack, counted from 1")
    return int(number) - 1, stack


class ImageFiles:
    """The images of n particles: which stack, which place in it, and their common box.

    Parameters
    ----------
    path: the particle file, for messages and to find stacks from.
    names: rlnImageName of every particle.
    datadir: where to look first.

    Raises
    ------
    InputError: a missing or truncated stack, a place beyond its end, images that are not square or not of one box.
    """

    def __init__(self, path: Path, names: Sequence[str], datadir: Path | None = None) -> None:
        parsed = [split_image_name(name, path, row) for row, name in enumerate(names)]
        stacks = {stack: place for place, stack in enumerate(dict.fromkeys(stack for _, stack in parsed))}
        self.headers = [read_header(find_file(stack, path, datadir)) for stack in stacks]
        self.place = np.array([place for place, _ in parsed], np.int64)
        self.stack = np.array([stacks[stack] for _, stack in parsed], np.int64)
        self._maps: OrderedDict[int, np.ndarray] = OrderedDict()
        self._check(path)
        self.box = self.headers[0].width

    def __len__(self) -> int:
        return len(self.place)

    def read(self, rows: np.ndarray) -> Float32[np.ndarray, "b box box"]:
        """Return the images of the given rows, (b, box, box), in the grey values of the files."""
        images = np.empty((len(rows), self.box, self.box), np.float32)
        for stack in np.unique(self.stack[rows]):
            here = np.flatnonzero(self.stack[rows] == stack)
            images[here] = self._map(int(stack))[self.place[rows[here]]]
        return images

    def _map(self, stack: int) -> np.ndarray:
        if stack not in self._maps:
            self._maps[stack] = map_images(self.headers[stack])
            if len(self._maps) > OPEN_STACKS:
                self._maps.popitem(last=False)
        self._maps.move_to_end(stack)
        return self._maps[stack]

    def _check(self, path: Path) -> None:
        for header in self.headers:
            _check_square(header)
        boxes = sorted({header.width for header in self.headers})
        if len(boxes) > 1:
            raise InputError(f"{path}: images of boxes {', '.join(map(str, boxes))}; expected one; rescale one of them")
        counts = np.array([header.n for header in self.headers])[self.stack]
        beyond = self.place >= counts
        if beyond.any():
            row = int(np.argmax(beyond))
            raise InputError(
                f"{path}: particle {row + 1} is image {self.place[row] + 1} of {self.headers[self.stack[row]].path}, "
                f"which holds {counts[row]}; rows and images do not match; use the stack this file was made for"
            )


def _check_square(header: MrcHeader) -> None:
    if header.height != header.width:
        raise InputError(
            f"{header.path}: images of {header.height} x {header.width} pixels; expected square ones; "
            "extract the particles again, or is this a micrograph?"
        )
