"""Measurements that are changed on purpose: with digests that agree again, so that the checks behind them are met."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryoprior.io.seals import SEAL, content_digest, write_seal


def reseal(folder: Path) -> None:
    """Give the folder the digests of the files that it holds now."""
    known = json.loads((folder / SEAL).read_text())["sha256"]
    there = [name for name in known if (folder / name).is_file()]
    write_seal(folder, {name: content_digest((folder / name).read_bytes()) for name in there})


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the JSON object in a file."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def change_header(folder: Path, **attributes: Any) -> None:
    """Give attributes of the group other values, and the folder the digests that go with them."""
    change_json(folder / "zarr.json", lambda node: node["attributes"].update(attributes))
    reseal(folder)
