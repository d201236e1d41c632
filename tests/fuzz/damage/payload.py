"""Objects whose pickle does something when it is loaded without care."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

WAYS = ("system", "open", "eval", "mkdir")


class Payload:
    """Leaves a mark, by one of WAYS, where it is unpickled."""

    def __init__(self, way: str, mark: Path) -> None:
        self.way, self.mark = way, str(mark)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        calls: dict[str, tuple[Any, tuple[Any, ...]]] = {
            "system": (os.system, (f"touch '{self.mark}'",)),
            "open": (open, (self.mark, "w")),
            "eval": (eval, (f"open({self.mark!r}, 'w')",)),
            "mkdir": (os.mkdir, (self.mark,)),
        }
        return calls[self.way]


def pickled(value: object, protocol: int = 4) -> bytes:
    """Return a value's pickle."""
    return pickle.dumps(value, protocol)
