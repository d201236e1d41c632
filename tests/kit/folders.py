"""What a folder holds, for tests."""

from __future__ import annotations

from pathlib import Path


def shown(folder: Path) -> set[str]:
    """Return the names in a folder that are not hidden."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}
