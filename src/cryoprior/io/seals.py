"""Sealed folders: the digest of every file that was written, so that damage is refused before it is computed with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.output.stored_json import read_json, write_json

SEAL = "digests.json"
FORMAT = 1


@dataclass(frozen=True)
class Seal:
    """The sha256 of the files of a folder, by their paths in it; files that it does not name are not checked."""

    folder: Path
    digests: Mapping[str, str]

    @staticmethod
    def read(folder: Path) -> Seal | None:
        """Return the seal of a folder, None where it has none; InputError where it cannot be read."""
        path = folder / SEAL
        if not path.is_file():
            return None
        stored = read_json(path, "the digests of a folder", "the folder is damaged; measure again")
        digests = stored.get("sha256")
        if stored.get("format") != FORMAT or not isinstance(digests, dict):
            raise InputError(f"{path}: no digests of format {FORMAT}; the folder is damaged; measure again")
        return Seal(folder, {str(name): str(digest) for name, digest in digests.items()})

    def check(self, name: str, content: bytes | memoryview) -> None:
        """Raise InputError unless this is what was written under the name."""
        known = self.digests.get(name)
        if known is None:
            raise InputError(
                f"{self.folder / name}: {SEAL} does not know it; expected only files that were written with it; "
                "the folder is damaged: measure again"
            )
        found = content_digest(content)
        if found != known:
            raise InputError(
                f"{self.folder / name}: damaged: its digest is {found[:12]}, {known[:12]} was written; "
                "copy the folder again, or measure again"
            )


def write_seal(folder: Path, digests: Mapping[str, str]) -> None:
    """Write the digests of a folder's files, by their paths in it; the last file to be written."""
    write_json(folder / SEAL, {"format": FORMAT, "sha256": dict(sorted(digests.items()))})


def content_digest(content: bytes | memoryview) -> str:
    """Return the sha256 of a file's content, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
