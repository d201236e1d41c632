"""What a folder holds, for tests."""

from __future__ import annotations

from pathlib import Path


def shown(folder: Path) -> set[str]:
    """Return the names in a folder that are not hidden."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def same_images(one: Path, other: Path) -> None:
    """Assert that two reconstructions are the same, byte for byte: stacks, and star files."""
    stacks = sorted(path.relative_to(one) for path in one.rglob("*.mrcs"))
    assert stacks == sorted(path.relative_to(other) for path in other.rglob("*.mrcs"))
    assert stacks
    for name in (*stacks, Path("particles.star")):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
