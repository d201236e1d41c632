"""``python -m mutants``: put every fault into a copy of the tree, run its tests, and say which faults they notice.

Leaves with 1 where a fault lives, or where the tests could not be run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from mutants.mutant import Mutant
from mutants.table import ROOMS

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("src", "tests", "docs", "benchmarks", "examples", "recipes")
FILES = ("pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "constraints.txt", "LICENSE")
LOADED = (
    *("torch", "scipy.special", "scipy.optimize", "scipy.spatial.transform", "pandas", "skimage.metrics"),
    *("diffusers.models", "diffusers.training_utils", "accelerate", "safetensors.torch", "mrcfile", "numba"),
)
"""What runs have in common."""
ONCE = ("-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""A run stops at the first failure. Its plugins are loaded before it, so that their assertions are not rewritten."""
LIMIT = 600
"""Seconds of a run."""
KILLED, LIVED, BROKEN = "killed", "lived", "broken"
VERDICTS = {0: LIVED, 1: KILLED}
"""By the code with which pytest leaves; all others mean that no test was run."""


@dataclass(frozen=True)
class Outcome:
    """What became of a fault. failed: the first test that noticed it, or the last line of pytest."""

    mutant: Mutant
    verdict: str
    seconds: float
    failed: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--room", choices=sorted(ROOMS), help="one room alone")
    parser.add_argument("--only", default="", help="faults whose name has this text")
    parser.add_argument("--write", type=Path, help="a Markdown file for the table of results")
    options = parser.parse_args()
    rooms = {name: faults for name, faults in ROOMS.items() if options.room in (None, name)}
    chosen = [mutant for faults in rooms.values() for mutant in faults if options.only in mutant.name]
    data = os.environ.get("CRYOPRIOR_SHARED_DATA") or ROOT.parent / "shared" / "data"
    os.environ |= {"CRYOPRIOR_SHARED_DATA": str(data), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in LOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    start, outcomes = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        copy = copied(Path(name) / "tree")
        for mutant in chosen:
            outcomes.append(outcome := judged(copy, mutant))
            print(f"{outcome.verdict:7}{outcome.seconds:6.1f} s  {mutant.name}  ({outcome.failed})", flush=True)
    lived = [outcome for outcome in outcomes if outcome.verdict != KILLED]
    print(f"{len(outcomes)} faults, {len(outcomes) - len(lived)} noticed, in {time.monotonic() - start:.0f} s")
    if options.write:
        options.write.write_text(results(outcomes), encoding="utf-8")
    return 1 if lived else 0


def copied(folder: Path) -> Path:
    """Return a copy of the tree in which faults may be made."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "work", ".git")
    for part in KEPT:
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for part in FILES:
        shutil.copy2(ROOT / part, folder / part)
    return folder


def judged(copy: Path, mutant: Mutant) -> Outcome:
    """Return what the tests of a mutant say of the copy with its fault; the copy is then as it was."""
    path, start = copy / "src" / "cryoprior" / mutant.file, time.monotonic()
    whole = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutant.text(copy), encoding="utf-8")
        code, text = tested(copy, mutant.tests)
    finally:
        path.write_text(whole, encoding="utf-8")
    failed = next((line.split()[1] for line in text.splitlines() if line.startswith("FAILED ")), "")
    last = failed.rpartition("/")[2] or (text.strip().splitlines() or ["nothing"])[-1]
    return Outcome(mutant, VERDICTS.get(code, BROKEN), time.monotonic() - start, last)


def tested(copy: Path, tests: str) -> tuple[int, str]:
    """Return the code and the words of pytest in the copy; it stops at the first failure.

    It runs in a fork of this process, which has loaded what the package stands on: that is most of a short run.
    """
    said = copy / "said.txt"
    child = os.fork()
    if child == 0:
        _run_and_leave(copy, said, shlex.split(tests))
    end = time.monotonic() + LIMIT
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return signal.SIGKILL, f"more than {LIMIT} s"
        time.sleep(0.05)
    return os.waitstatus_to_exitcode(done[1]), said.read_text(encoding="utf-8")


def _run_and_leave(copy: Path, said: Path, tests: Sequence[str]) -> NoReturn:
    """Run pytest in this process and end it, whatever happens: what it inherited is not its to tidy up."""
    code = 3  # pytest's own, for an error of its own
    try:
        os.setsid()
        with said.open("w") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        os.chdir(copy)
        sys.path[:0] = [str(copy / "src")]
        sys.dont_write_bytecode = True
        code = int(pytest.main([*ONCE, *tests]))
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def results(outcomes: Sequence[Outcome]) -> str:
    """Return the results as Markdown."""
    noticed = sum(outcome.verdict == KILLED for outcome in outcomes)
    place = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}"
    said = (
        f"`make mutants`, {place}: {noticed} of {len(outcomes)} faults are noticed by tests of the default suite. One "
        "fault at a time, in a copy of the tree; seconds are those of its narrowest tests up to the first failure."
    )
    lines = [
        "# Faults put in on purpose",
        "",
        said,
        "",
        "| fault | file | | s | first test that noticed |",
        "|---|---|---|---|---|",
    ]
    for one in outcomes:
        name = one.mutant.name
        lines.append(f"| {name} | `{one.mutant.file}` | {one.verdict} | {one.seconds:.0f} | `{one.failed}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
