"""Images that lie in any number of stacks, found by name and read when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cryoprior.errors import InputError
from cryoprior.io.mrc import MrcHeader, read_header
from cryoprior.io.places import find_files
from cryoprior.io.stored_images import read_images

MOST_DIGITS = 12


def split_image_name(name: str, path: Path, row: int) -> tuple[int, str]:
    """Return the image's place in its stack, from 0, and the stack's name: ``000003@a.mrcs`` gives (2, ``a.mrcs``).

    A name without a number is that of a file of one image.

    Raises
    ------
    InputError: a number that is none, or not from 1 to a million millions, or no name of a stack.
    """
    number, sign, stack = str(name).partition("@")
    if not sign and number:
        return 0, number
    digits = number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS
    if not digits or int(number) < 1 or not stack:
        raise InputError(
            f"{path}: particle {row + 1} has rlnImageName {str(name)[:200]!r}; expected number@stack, counted from 1"
        )
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
    InputError: a missing or truncated stack, a place beyond its end, a name without a number whose file holds more than
        one image, images that are not square or not of one box.
    """

    def __init__(self, path: Path, names: Sequence[str], datadir: Path | None = None) -> None:
        self.place, self.stack = np.empty(len(names), np.int64), np.empty(len(names), np.int64)
        stacks: dict[str, int] = {}
        for row, name in enumerate(names):
            self.place[row], stack = split_image_name(name, path, row)
            self.stack[row] = stacks.setdefault(stack, len(stacks))
        self.headers = [read_header(file) for file in find_files(list(stacks), path, datadir)]
        self._check_unnumbered(path, names)
        self._check(path)
        self.box = self.headers[0].width

    def __len__(self) -> int:
        return len(self.place)

    def read(self, rows: np.ndarray) -> Float32[np.ndarray, "b box box"]:
        """Return the images of the given rows, (b, box, box), in the grey values of the files."""
        images = np.empty((len(rows), self.box, self.box), np.float32)
        for stack in np.unique(self.stack[rows]):
            here = np.flatnonzero(self.stack[rows] == stack)
            images[here] = read_images(self.headers[stack], self.place[rows[here]])
        return images

    def _check_unnumbered(self, path: Path, names: Sequence[str]) -> None:
        many = {stack for stack, header in enumerate(self.headers) if header.n > 1}
        for row in np.flatnonzero(np.isin(self.stack, list(many)) & (self.place == 0)).tolist():
            if "@" not in str(names[row]):
                header = self.headers[self.stack[row]]
                cube = header.n == header.height == header.width
                held = f"a volume of {header.n} slices" if cube else f"a stack of {header.n} images"
                raise InputError(
                    f"{path}: particle {row + 1} has rlnImageName {names[row]!r}, {held}; expected one image, "
                    "number@stack; subtomograms and stacks of tilts are not read"
                )

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
