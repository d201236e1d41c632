"""The record beside every output: its summary, and how it was made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cryoprior.output.files import write_whole
from cryoprior.output.stored_json import read_json
from cryoprior.version import __version__

RECORDED = (
    *("torch", "numpy", "scipy", "diffusers", "mrcfile", "torch-fourier-slice", "torch-ctf"),
    *("scikit-learn", "umap-learn", "gemmi", "biopython"),
)
BLOCK = 1 << 20
WHOLE_FILE_LIMIT = 64 * BLOCK
SAMPLED_BLOCKS = 16


def write_summary(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Return the path of ``summary.json``, written into the folder."""
    return write_whole(folder / "summary.json", to_json(summary) + "\n")


def write_provenance(folder: Path, command: str, options: Any, inputs: Iterable[Path], seed: int | None = None) -> Path:
    """Return the path of ``provenance.json``: command, options, versions, digests of the inputs and the seed.

    Parameters
    ----------
    folder: the output that is described.
    command: the command's name, for example ``measure``.
    options: the command's options, a dataclass or a mapping.
    inputs: files or folders that were read; files above 64 MiB are digested by size and 16 blocks of 1 MiB.
    seed: the seed of its random streams, None where nothing is drawn.
    """
    record = {
        "command": command,
        "arguments": sys.argv[1:],
        "options": options,
        "seed": seed,
        "inputs": [_describe_input(Path(path)) for path in inputs],
        "versions": {"cryoprior": __version__, "python": platform.python_version(), **_versions()},
        "machine": {"system": platform.platform(), "processors": os.cpu_count()},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return write_whole(folder / "provenance.json", to_json(record) + "\n")


def to_json(value: Any) -> str:
    """Return the value as JSON text; arrays, paths and dataclasses are converted, NaN and infinity become null."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def file_digest(path: Path) -> str:
    """Return ``sha256:...`` of the file; above 64 MiB ``sha256-sampled:...`` of its size and 16 blocks of it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE_FILE_LIMIT:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        digest = hashlib.sha256(str(size).encode())
        for block in range(SAMPLED_BLOCKS):
            file.seek((size - BLOCK) * block // (SAMPLED_BLOCKS - 1))
            digest.update(file.read(BLOCK))
    return f"sha256-sampled:{digest.hexdigest()}"


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, None where it is not installed; nothing is imported."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _describe_input(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        return {"path": str(path), "bytes": path.stat().st_size, "digest": file_digest(path)}
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = "\n".join(f"{p.relative_to(path)} {p.stat().st_size}" for p in files)
    small = "".join(file_digest(p) for p in files if p.suffix in (".json", ".star"))
    digest = hashlib.sha256(f"{listing}\n{small}".encode()).hexdigest()
    return {"path": str(path), "bytes": sum(p.stat().st_size for p in files), "digest": f"sha256-listing:{digest}"}


def _versions() -> dict[str, str | None]:
    return {name: installed_version(name) for name in RECORDED}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # arrays, tensors and their scalars
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


SUMMARY_KEYS: dict[str, Any] = {
    **dict.fromkeys(("measurements", "measurements_from_here", "solver", "estimate", "prior"), str | None),
    **dict.fromkeys(("images", "images_from_here"), str | None),
    "resize": str | dict | None,  # converted particles have a summary too, with the boxes in it
    "n": int | None,
    "trained_on_overlap": int | None,
    "trained_on_known_by": str | None,
}
"""What commands that go on from a reconstruction take from its summary."""


def read_recorded(folder: Path) -> dict[str, Any]:
    """Return the summary of a reconstruction, empty where its folder has none."""
    path = folder / "summary.json"
    if not path.is_file():
        return {}
    return read_json(path, "the summary of a reconstruction", "reconstruct again", SUMMARY_KEYS)
