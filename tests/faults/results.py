"""What a folder holds, so that two can be compared: digests of its files, without what no two runs share."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

MARK = ".cryoprior.json"
GROWING = ("checkpoint.safetensors", "curve.csv")
"""Files that a run replaces as it goes on."""
OF_A_MOMENT = re.compile(r"seconds|written|peak|memory|arguments|^resume$|^shard$")


def listed(folder: Path) -> set[str]:
    """Return the paths of all files and folders below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")} if folder.is_dir() else set()


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file in a folder by its path, but the mark's and those in the making."""
    names = sorted(name for name in listed(folder) if name != MARK and ".partial." not in name)
    names = [name for name in names if (folder / name).is_file()]
    return {name: _digest(folder / name) for name in names}


def is_marked_whole(folder: Path) -> bool:
    """Return whether the folder says of itself that it is whole."""
    path = folder / MARK
    return path.is_file() and bool(json.loads(path.read_text())["finished"])


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        with suppress(ValueError):  # cut short, it is its bytes
            content = json.dumps(_lasting(json.loads(content)), sort_keys=True).encode()
    if path.suffix == ".csv":
        head, *rows = [line.split(",") for line in content.decode().splitlines()] or [[]]
        kept = [i for i, name in enumerate(head) if not OF_A_MOMENT.search(name)]
        content = "\n".join(",".join(row[i] for i in kept if i < len(row)) for row in (head, *rows)).encode()
    return hashlib.sha256(content).hexdigest()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if not OF_A_MOMENT.search(key)}
    return [_lasting(item) for item in value] if isinstance(value, list) else value
