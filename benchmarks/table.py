"""Tables as Markdown and CSV, and how a result came about: machine, date, command, prior, versions."""

from __future__ import annotations

import csv
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from gaussian_oracle import processor

FOLDERS = ("--data", "--out", "--work")
PACKAGES = ("cryoprior", "torch", "diffusers", "numpy")


def markdown(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table; None is an empty place, a float has two decimals unless it is text."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(_place(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def signed(pair: Sequence[float], digits: int = 3) -> str:
    """Return ``+.012 ± .003`` of a difference and its standard error."""
    return f"{pair[0]:+.{digits}f} ± {pair[1]:.{digits}f}"


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write one line a row, with a column for every key of any row."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def provenance(script: str, arguments: Sequence[str], prior: str, code: str, facts: str = "") -> str:
    """Return the lines that end a result."""
    command = shlex.join(["python", f"benchmarks/{script}", *arguments])
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"\n{datetime.now(UTC):%Y-%m-%d}, {processor()}, {torch.get_num_threads()} thread(s). "
        f"{facts}\nPrior: {prior}. Code: {code}. Python {platform.python_version()}, {versions}.\n\n    {command}\n"
    )


def command(script: str, arguments: Sequence[str]) -> str:
    """Return the command that made a result, without the folders of the machine that it was made on."""
    kept, words = [], iter(arguments)
    for word in words:
        if word in FOLDERS:
            next(words, None)
        elif word.partition("=")[0] not in FOLDERS:
            kept.append(word)
    return shlex.join(["python", f"benchmarks/{script}", *kept])


def write(path: Path, text: str) -> None:
    """Write a result whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
    print(path, file=sys.stderr)


def progress(text: str) -> None:
    """Say on stderr what was done."""
    print(f"{datetime.now():%H:%M:%S} {os.getpid()} {text}", file=sys.stderr, flush=True)


def _place(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
