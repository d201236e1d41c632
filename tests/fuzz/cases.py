"""What a case is: an input that was changed, and what a program may do with it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Right(Enum):
    """What is right for a changed input."""

    REFUSE = "refuse"
    """It can be seen to be wrong: exit code 2 and a line that says what."""
    SAME = "same"
    """The change means nothing, or is refused: the results of the good input, to the byte."""
    OPEN = "open"
    """It cannot be told from honest data: only a traceback, a signal, a hang or a bomb is a fault."""


Change = Callable[[Path], object]
"""Damages the copy of a good input that lies at a path."""

Changes = Iterator[tuple[str, Right, Change]]


@dataclass(frozen=True)
class Case:
    """One changed input: its kind (what reads it), its name, what is right, and the change."""

    kind: str
    name: str
    right: Right
    change: Change

    @property
    def title(self) -> str:
        """Return kind and name on one line."""
        return f"{self.kind}: {' '.join(self.name.split())[:90]}"


def stream(seed: int, *names: object) -> random.Random:
    """Return the random numbers of these names, the same on every machine."""
    return random.Random(":".join(map(str, (seed, *names))))


def on(part: Callable[[Path], Path], changes: Changes, name: str = "") -> Changes:
    """Yield the changes, applied to a part of an input, such as a file in a folder."""
    for title, right, change in changes:
        yield f"{name} {title}".strip(), right, lambda path, change=change: change(part(path))
