"""Damaged inputs, drawn from all: none is taken for good, and none brings the program down."""

from __future__ import annotations

from pathlib import Path

from fuzz.campaign import Campaign, all_cases, drawn_cases
from fuzz.cases import Right
from fuzz.good import make_good
from fuzz.judging import verdict
from fuzz.server import Outcome, Server

COUNT, EXTRA, SEED = 300, 16, 0


def test_no_damaged_input_is_taken_for_good(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    cases = drawn_cases(all_cases(tmp_path, SEED, EXTRA), COUNT, SEED)
    assert len(cases) == COUNT
    with Server(tmp_path) as server:
        make_good(tmp_path / "good", server)
        results = list(Campaign(tmp_path, server, SEED, rarity=20).run(cases))
    faults = [str(result) for result in results if result.is_fault]
    assert not faults, "\n".join(faults)
    assert sum(result.verdict == "refused" for result in results) > COUNT // 2


def test_what_is_a_fault_is_told() -> None:
    refused = Outcome(2, 0.1, 100.0, "error: p.star: no particle\n")
    assert verdict(refused, Right.REFUSE, "a", "a") == "refused"
    assert verdict(Outcome(0, 0.1, 100.0, ""), Right.REFUSE, "a", "a") == "wrong"
    assert verdict(Outcome(0, 0.1, 100.0, ""), Right.SAME, "a", "a") == "same"
    assert verdict(Outcome(0, 0.1, 100.0, ""), Right.SAME, "b", "a") == "wrong"
    assert verdict(Outcome(0, 0.1, 100.0, ""), Right.OPEN, "b", "a") == "not told"
    assert verdict(Outcome(2, 0.1, 100.0, "error: x\nTraceback (most recent"), Right.OPEN, "", "") == "traceback"
    assert verdict(Outcome(70, 0.1, 100.0, ""), Right.OPEN, "", "") == "traceback"
    assert verdict(Outcome(-7, 0.1, 100.0, ""), Right.OPEN, "", "") == "signal"
    assert verdict(Outcome(None, 20.0, 100.0, ""), Right.OPEN, "", "") == "hang"
    assert verdict(Outcome(2, 0.1, 9999.0, "error: x"), Right.REFUSE, "", "") == "memory"
