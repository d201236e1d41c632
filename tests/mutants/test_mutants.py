"""The table of faults fits the code: every text is there once, every fault is Python, and its tests exist."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mutants.mutant import Mutant, NotThere
from mutants.table import ROOMS

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = [mutant for room in ROOMS.values() for mutant in room]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_can_be_made(mutant: Mutant) -> None:
    text = mutant.text(ROOT)
    compile(text, mutant.file, "exec")
    assert text != (ROOT / "src" / "cryoprior" / mutant.file).read_text(encoding="utf-8")
    files = [word for word in shlex.split(mutant.tests) if word.endswith(".py")]
    assert files
    assert all((ROOT / file).is_file() for file in files)


def test_faults_have_names_of_their_own_and_there_are_many() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 40


@pytest.mark.parametrize("text", ["not in the file at all", "import"])
def test_a_table_that_is_older_than_the_code_is_refused(text: str) -> None:
    with pytest.raises(NotThere, match="expected once"):
        Mutant("a fault", "training/loop.py", text, "x", "tests/test_random.py").text(ROOT)
