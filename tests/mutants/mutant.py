"""A fault on purpose: one place of one file said otherwise, and the tests that should notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class NotThere(Exception):
    """The text that a mutant changes is not in its file exactly once: the table is older than the code."""


@dataclass(frozen=True)
class Mutant:
    """A fault by name.

    file: below ``src/cryoprior``. old, new: a text that is in it exactly once, and what stands there instead.
    tests: the narrowest files of ``tests`` that should fail, with pytest's ``-k`` after a blank where one is enough.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str

    def text(self, root: Path) -> str:
        """Return the file with the fault in it.

        Raises
        ------
        NotThere: the old text is not in the file exactly once.
        """
        whole = (root / "src" / "cryoprior" / self.file).read_text(encoding="utf-8")
        found = whole.count(self.old)
        if found != 1:
            raise NotThere(f"{self.name}: {self.file} has the text {found} times; expected once: {self.old!r}")
        return whole.replace(self.old, self.new)
