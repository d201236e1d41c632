"""score_models in Python: what the command reports of the same models, number for number, and no file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import cryoprior
from cryoprior.errors import InputError
from cryoprior.models import score_files, score_models
from cryoprior.models.score import read_atomic_model
from cryoprior.models.score_command import Options, run
from kit.models import fold, random_sequence, write_model

SEQUENCE = random_sequence(40, 1)


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model_traces", "confidence_histogram", "pair_distributions"):
        monkeypatch.setattr(score_files, name, lambda *_: b"png")


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_model(tmp_path / "a.cif", {"A": (SEQUENCE, fold(40))}, 70.0),
        write_model(tmp_path / "b.cif", {"X": (SEQUENCE[:30], fold(30) + 0.1), "Y": ("MKV", fold(3, 1))}, 50.0),
    )


@pytest.mark.parametrize(
    "changes",
    [{}, {"deposited": True, "minimum_residues": 2}, {"superpose": True, "tie_break": "best", "distance": 1.0}],
)
def test_it_is_what_the_command_reports(models: tuple[Path, Path], tmp_path: Path, changes: dict[str, Any]) -> None:
    reported = run(Options(*models, tmp_path / "out", **changes))
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert reported.keys() == written.keys()
    del written["seconds"]
    score = cryoprior.score_models(*models, **changes)
    assert json.loads(json.dumps(score.summary(), default=lambda array: array.tolist())) == written
    assert repr(score).startswith(f"ModelScore({written['pairs']} pairs of chains, mean RMSD ")
    assert len(repr(score)) < 100


def test_models_that_were_read_and_their_files_are_one(models: tuple[Path, Path]) -> None:
    read = [read_atomic_model(path) for path in models]
    assert score_models(*read).summary() == score_models(*models).summary() == score_models(*map(str, models)).summary()
    other = dataclasses.replace(read[0], chains=())
    assert "a model without protein" in score_models(other, read[1]).warnings[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distance": 0.0}, "distance 0: expected angstrom above 0"),
        ({"tie_break": "any"}, "tie break 'any'; expected one of first, published, best"),
        ({"match": -1.0}, "expected match above 0"),
        ({"minimum_identity": 40}, "an identity from 0 to 1"),
    ],
)
def test_what_is_out_of_range_is_refused(models: tuple[Path, Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_models(*models, **changes)
