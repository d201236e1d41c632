"""model score: what it reports of models of known relation, what it writes, and what it refuses."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import gemmi
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.metrics import atomic_model
from cryoprior.models import score_files
from cryoprior.models.score_command import TIE_BREAKS, Options, run
from kit.folders import shown
from kit.models import atom_row, chain_rows, fold, random_sequence, write_cif, write_model

SEQUENCES = {"A": random_sequence(40, 1), "B": random_sequence(25, 2), "C": random_sequence(5, 3)}
CONTRACT = {
    *("confidence_a", "confidence_b", "chains_a", "chains_b"),
    *("pairs", "mean_score", "mean_identity", "mean_rmsd_angstrom"),
}
FILES = [
    "chains_a.csv", "chains_b.csv", "confidence.png", "pairs.csv", "pairs.png", "provenance.json", "report.html",
    "residues_a.csv", "residues_b.csv", "summary.json", "traces.png",
]  # fmt: skip


def model(path: Path, *, noise: float = 0.0, confidence: float = 50.5, turn: np.ndarray | None = None) -> Path:
    """Return a model of three chains, 60 angstrom apart."""
    rng = np.random.default_rng(9)
    chains = {}
    for i, (name, sequence) in enumerate(SEQUENCES.items()):
        backbone = fold(len(sequence), i) + np.array([60.0 * i, 0, 0])
        backbone = backbone + rng.normal(scale=noise, size=backbone.shape) if noise else backbone
        chains[name] = sequence, backbone if turn is None else backbone @ turn.T + np.array([10.0, 200, -40])
    return write_model(path, chains, confidence)


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model_traces", "confidence_histogram", "pair_distributions"):
        monkeypatch.setattr(score_files, name, lambda *_: b"png")


def test_a_model_with_itself(tmp_path: Path) -> None:
    a = model(tmp_path / "a.cif")
    summary = run(Options(a=a, b=a, output=tmp_path / "out"))
    assert summary.keys() >= CONTRACT
    assert (summary["chains_a"], summary["chains_b"], summary["pairs"]) == (2, 2, 2)
    assert summary["confidence_a"] == summary["confidence_b"] == pytest.approx(50.5)
    assert (summary["mean_score"], summary["mean_identity"]) == (65, 1)
    assert summary["mean_rmsd_angstrom"] == pytest.approx(0, abs=1e-5)
    recovered = summary["recovery"]
    assert recovered["recall"] == recovered["precision"] == recovered["completeness"] == 1
    assert recovered["matched"] == 70
    assert (summary["warnings"], summary["residues_a"]) == ([], 70)


def test_what_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with its pictures
    a, b = model(tmp_path / "a.cif", confidence=80), model(tmp_path / "b.cif.gz", noise=0.3, confidence=40)
    summary = run(Options(a=a, b=b, output=tmp_path / "out"))
    assert sorted(shown(tmp_path / "out")) == FILES
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == json.loads(json.dumps(summary))
    assert 0.3 < summary["mean_rmsd_angstrom"] < 0.3 * 2 * 3**0.5
    residues, chains = (pd.read_csv(tmp_path / "out" / f"{name}_b.csv") for name in ("residues", "chains"))
    assert (len(residues), residues["matched"].sum()) == (70, summary["recovery"]["matched"])
    assert residues["confidence"].tolist() == [40.0] * 70
    first = residues.iloc[0]
    assert (first["chain"], str(first["number"]), first["letter"], first["partner"]) == (
        "A",
        "1",
        SEQUENCES["A"][0],
        "A:1",
    )
    assert chains["matched"].sum() == summary["recovery"]["matched"]
    assert chains["residues"].tolist() == [40, 25, 5]
    pairs = pd.read_csv(tmp_path / "out" / "pairs.csv")
    assert pairs["score"].tolist() == [80, 50]
    assert pairs["rmsd_angstrom"].mean() == pytest.approx(summary["mean_rmsd_angstrom"], rel=1e-5)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<img ") == 3
    assert "own estimate" in page
    assert "plausible density" in page
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert (record["command"], len(record["inputs"])) == ("model score", 2)


def test_a_deposited_structure_needs_no_confidence(tmp_path: Path) -> None:
    a, b = model(tmp_path / "a.cif"), model(tmp_path / "b.cif", confidence=130)
    with pytest.raises(InputError, match=r"b\.cif: the confidence cannot be read.*deposited"):
        run(Options(a=a, b=b, output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    summary = run(Options(a=a, b=b, output=tmp_path / "out", deposited=True))
    assert (summary["confidence_b"], summary["deposited"], summary["pairs"]) == (None, True, 2)
    assert pd.read_csv(tmp_path / "out" / "residues_b.csv")["confidence"].isna().all()
    assert pd.read_csv(tmp_path / "out" / "chains_b.csv")["confidence"].isna().all()
    structure = gemmi.read_structure(str(b))
    structure.write_pdb(str(tmp_path / "b.pdb"))
    again = run(Options(a=a, b=tmp_path / "b.pdb", output=tmp_path / "pdb", deposited=True))
    assert again["recovery"]["matched"] == 70


def test_other_frames_are_told_and_can_be_undone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    turn = Rotation.from_rotvec([0.5, 1.0, -2.0]).as_matrix()
    a, b = model(tmp_path / "a.cif"), model(tmp_path / "b.cif", turn=turn)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        summary = run(Options(a=a, b=b, output=tmp_path / "out"))
    assert summary["recovery"]["recall"] < 0.1
    assert "frames of their own; superpose them" in caplog.text
    assert summary["mean_rmsd_angstrom"] < 1e-3
    summary = run(Options(a=a, b=b, output=tmp_path / "out", superpose=True, overwrite=True))
    assert (summary["recovery"]["recall"], summary["warnings"], summary["superposed"]) == (1, [], True)
    np.testing.assert_allclose(summary["motion"]["rotation"], turn, atol=1e-4)


def test_a_mirrored_model_is_not_the_model(tmp_path: Path) -> None:
    a = model(tmp_path / "a.cif")
    b = model(tmp_path / "b.cif", turn=np.diag([1.0, 1.0, -1.0]))
    summary = run(Options(a=a, b=b, output=tmp_path / "out", superpose=True))
    assert summary["mean_rmsd_angstrom"] > 2
    assert summary["recovery"]["recall"] < 0.8


def test_no_pair_of_chains_gives_nulls_and_says_so(tmp_path: Path) -> None:
    short = write_model(tmp_path / "short.cif", {"A": ("MKV", fold(3))})
    one = write_model(tmp_path / "one.cif", {"A": ("W", fold(1))})
    for a, b in ((short, short), (short, one), (one, one)):
        summary = run(Options(a=a, b=b, output=tmp_path / "out", overwrite=True))
        assert (summary["pairs"], summary["chains_a"]) == (0, 0)
        assert summary["mean_score"] is summary["mean_rmsd_angstrom"] is summary["mean_identity"] is None
        assert "no pair of chains of 20 residues" in summary["warnings"][0]
        text = (tmp_path / "out" / "summary.json").read_text()
        assert '"mean_rmsd_angstrom": null' in text
        assert "NaN" not in text
    with pytest.raises(InputError, match="no pair of chains to superpose"):
        run(Options(a=short, b=short, output=tmp_path / "other", superpose=True))


def test_nucleic_acids_are_counted_apart(tmp_path: Path) -> None:
    protein = chain_rows(SEQUENCES["A"], "A", "50.5", fold(40, 0))
    nucleic = [atom_row(atom, "A", i, "R") for i in range(1, 31) for atom in ("P", "C4", "N1")]
    a, r = write_cif(tmp_path / "a.cif", protein + nucleic), write_cif(tmp_path / "r.cif", nucleic)
    summary = run(Options(a=a, b=a, output=tmp_path / "out"))
    assert (summary["chains_a"], summary["nucleic_chains_a"], summary["pairs"]) == (1, 1, 1)
    assert summary["recovery"]["residues_a"] == 40
    summary = run(Options(a=r, b=r, output=tmp_path / "rna"))
    assert (summary["chains_a"], summary["pairs"], summary["recovery"]["recall"]) == (0, 0, None)
    assert "a model without protein" in summary["warnings"][1]


def test_options_out_of_range_and_a_used_output_are_refused(tmp_path: Path) -> None:
    a = model(tmp_path / "a.cif")
    with pytest.raises(InputError, match="minimum_identity 40"):
        Options(a=a, b=a, output=tmp_path / "out", minimum_identity=40)
    with pytest.raises(InputError, match="tie_break"):
        Options(a=a, b=a, output=tmp_path / "out", tie_break="any")
    with pytest.raises(InputError, match="expected match above 0"):
        run(Options(a=a, b=a, output=tmp_path / "out", match=0))
    with pytest.raises(InputError, match=r"no\.cif: no such file"):
        run(Options(a=tmp_path / "no.cif", b=a, output=tmp_path / "out"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(InputError, match="the output is in use"):
        run(Options(a=a, b=a, output=tmp_path / "out"))


def test_the_choices_of_the_command_are_those_of_the_metric() -> None:
    assert TIE_BREAKS == atomic_model.TIE_BREAKS


def test_the_published_pair(shared_data: Path, tmp_path: Path) -> None:
    a, b = (shared_data / "published" / f"modelangelo_{name}.cif.gz" for name in ("original", "cryogen"))
    summary = run(Options(a=a, b=b, output=tmp_path / "out"))
    assert (summary["chains_a"], summary["chains_b"], summary["pairs"]) == (27, 29, 42)
    assert summary["confidence_a"] == pytest.approx(67.27, abs=0.005)
    assert summary["confidence_b"] == pytest.approx(62.47, abs=0.005)
    assert summary["mean_score"] == pytest.approx(38.12, abs=0.005)
    assert summary["mean_rmsd_angstrom"] == pytest.approx(2.39, abs=0.005)
    published = run(Options(a=a, b=b, output=tmp_path / "published", tie_break="published"))
    assert published["mean_rmsd_angstrom"] == pytest.approx(2.34, abs=0.005)
    assert published["pairs"] == 42
    assert summary["recovery"]["recall"] == pytest.approx(0.969, abs=0.001)
