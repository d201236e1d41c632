"""Tables as Markdown and CSV, and how a result came about: machine, date, command, versions."""

from __future__ import annotations

import argparse
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

import pandas as pd
import torch

from cryoprior.output.record import file_digest
from cryoprior.prior import Prior

ROOT = Path(__file__).parents[1]
FOLDERS = ("--data", "--out", "--work")
PACKAGES = ("cryoprior", "torch", "diffusers", "numpy")


def parser(description: str | None, name: str) -> argparse.ArgumentParser:
    """Return a parser with the options that the scripts share; ``name`` is that of the script's work folder."""
    shared = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    data = os.environ.get("CRYOPRIOR_SHARED_DATA") or ROOT.parents[1] / "shared" / "data"
    shared.add_argument("--data", type=Path, default=Path(data), help="folder with real/, structures/ and meta/")
    shared.add_argument("--out", type=Path, default=ROOT / "results", help="folder of the tables")
    shared.add_argument("--work", type=Path, default=ROOT / "work" / name, help="folder of all steps")
    shared.add_argument("--threads", type=int, default=1)
    return shared


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


def write(path: Path, text: str) -> None:
    """Write a page and say where it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(path, file=sys.stderr)


def machine(threads: int | None = None) -> str:
    """Return the date and the processor, ``2026-11-23, AMD EPYC, 2 cores, 1 thread(s)``."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {processor()}, {threads or torch.get_num_threads()} thread(s)"


def versions(packages: Sequence[str] = PACKAGES) -> str:
    """Return the versions of Python and of packages."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def command(script: str, arguments: Sequence[str]) -> str:
    """Return the command that made a result, without the folders of the machine that it was made on.

    script: its name from ``benchmarks`` on, ``cost.own_work``.
    """
    kept, words = [], iter(arguments)
    for word in words:
        if word in FOLDERS:
            next(words, None)
        elif word.partition("=")[0] not in FOLDERS:
            kept.append(word)
    return shlex.join(["python", "-m", f"benchmarks.{script}", *kept])


def processor() -> str:
    """Return the processor's name and count."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def prior_digest(prior: Prior) -> str:
    """Return the sha256 of the prior's weights, 16 digits."""
    return file_digest(prior.path / "model.safetensors").rpartition(":")[2][:16]


def published(quantity: str) -> float:
    """Return a figure of the paper that stands in no cell of its Tables 1 to 3; KeyError where it has none."""
    table = pd.read_csv(ROOT / "published.csv").set_index("quantity")
    return float(table.loc[quantity, "value"])


def progress(text: str) -> None:
    """Say on stderr what was done."""
    print(f"{datetime.now():%H:%M:%S} {os.getpid()} {text}", file=sys.stderr, flush=True)


def _place(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
