"""A fault at the writes of every command: the result is whole or absent, a line says why, and a further run ends alike.

All of it: ``pytest -m "external and slow" tests/faults``; its figures are in benchmarks/results/faults.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that makes a write fail, compiled now."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not sys.platform.startswith("linux"):
        pytest.skip("the library that makes writes fail is for Linux")
    if compiler is None:
        pytest.skip("no C compiler (cc) to make the library that makes writes fail")
    library = tmp_path_factory.mktemp("shim") / "shim.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "shim.c"), "-ldl"]
    subprocess.run(words, check=True, capture_output=True)
    return library


def sweep(shim: Path, work: Path, *words: str) -> dict[str, object]:
    """Return the report of injections into commands, all of which must be right."""
    (work / "case").mkdir(parents=True)
    report = work / "report.json"
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "CRYOPRIOR_FAULTS": str(work / "case"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    line = [sys.executable, str(HERE / "sweep.py"), "--shim", str(shim), "--work", str(work), "--report", str(report)]
    done = subprocess.run([*line, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    found: dict[str, object] = json.loads(report.read_text())
    return found


def test_a_fault_at_any_write_leaves_the_output_whole_or_absent(shim: Path, tmp_path: Path) -> None:
    report = sweep(shim, tmp_path, "--injections", "30", "--seed", "1", "--only", "convert again", "--races", "1")
    assert len(report["injections"]) == 31  # type: ignore[arg-type]


@pytest.mark.external
def test_a_fault_at_any_write_of_every_command(shim: Path, tmp_path: Path) -> None:
    report = sweep(shim, tmp_path, "--injections", "100", "--seed", "2")
    assert len(report["injections"]) == 100  # type: ignore[arg-type]


@pytest.mark.external
@pytest.mark.slow
def test_a_thousand_faults(shim: Path, tmp_path: Path) -> None:
    report = sweep(shim, tmp_path, "--injections", "1000", "--seed", "0", "--races", "2")
    assert len(report["injections"]) >= 1000  # type: ignore[arg-type]
