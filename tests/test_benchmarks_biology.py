"""The benchmarks of states and models: the states that are simulated, and tables of known numbers."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import itertools

from benchmarks.biology import assembly_states, heterogeneity, published
from benchmarks.kit.pictures import keep_picture


def test_the_states_lack_more_and_more() -> None:
    fewest, more, most = (set(chains) for chains in assembly_states.LEFT_OUT)
    assert fewest < more < most
    spans = sorted(span for spans in assembly_states.PIECES.values() for span in spans)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    assert set(assembly_states.PIECES) < most
    assert assembly_states.REST not in most


def test_the_rna_is_cut_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    structure, chain = gemmi.Structure(), gemmi.Chain(assembly_states.RNA_23S)
    for number, name in ((5, "A"), (1050, "G"), (1700, "C"), (2100, "U"), (2300, "A"), (2500, "G"), (2501, "MG")):
        residue = gemmi.Residue()
        residue.name, residue.seqid = name, gemmi.SeqId(number, " ")
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "P", gemmi.Element("P"), gemmi.Position(number, 0, 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    structure.add_model(gemmi.Model(1))
    structure[0].add_chain(chain)
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "in.cif"))
    cut = gemmi.read_structure(str(assembly_states.write_assembly(tmp_path / "in.cif", tmp_path / "out.cif")))[0]
    found = {part.name: [residue.seqid.num for residue in part] for part in cut}
    expected = {"Bco": [5], "Bst": [1050], "Biv": [1700], "Bl1": [2100], "Bcp": [2300], "Bv": [2500]}
    assert found == expected


def summary(value: float) -> dict[str, Any]:
    shares = [value, value]
    scores = {"agreement": value, "agreement_by_cluster": shares, "ari": value, "nmi": value}
    spread = {name: {"min": score, "max": score} for name, score in scores.items()}
    accuracy = {"accuracy": value, "spread": {"accuracy": {"min": value, "max": value}}}
    return {
        **scores,
        "spread": spread,
        "ceiling": {**scores, "spread": spread},
        "chance": {"agreement": 0.25},
        "labels": {"original": accuracy, "reconstructed": accuracy},
    }


def test_the_table_of_states(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    state = np.arange(100) % 4
    (tmp_path / "labels.csv").write_text("state\n" + "\n".join(map(str, state)))
    z = {}
    for name, noise in (("original", 0.1), ("a", 0.1), ("b", 100.0)):
        z[name] = tmp_path / f"{name}.pkl"
        z[name].write_bytes(pickle.dumps(np.eye(4)[state] + noise * rng.normal(size=(100, 4))))
    found = [{"method": "a", "summary": summary(0.9)}, {"method": "b", "summary": summary(0.5)}]
    lines = heterogeneity.table(found, z, tmp_path / "labels.csv").splitlines()
    assert lines[2].split("|")[1].strip() == "original"
    assert "| 90.0 (90.0 to 90.0) | 90, 90 | 0.90 | 0.90 | 90.0 (90.0 to 90.0) | 100.0 |" in lines[3]
    assert float(lines[4].split("|")[-2]) < 50
    (row, _) = heterogeneity.csv_rows(found)
    assert row["labels.original.accuracy"] == 0.9
    assert row["agreement_by_cluster"] == "[0.9, 0.9]"


def test_the_tables_of_the_published_results() -> None:
    text = published.states(summary(0.88), summary(0.61))
    assert "| agreement, cluster 2, % | 88.0 | 88.0 to 88.0 | 82.1 to 91.4 | Heterogeneity (K = 16" in text
    models = {"confidence_a": 67.271, "confidence_b": 62.47, "chains_a": 27, "chains_b": 29, "pairs": 42}
    models |= {"mean_score": 38.119, "mean_rmsd_angstrom": 2.389, "median_rmsd_angstrom": 1.384}
    recovery = {"recall": 0.97, "precision": 0.95, "sequence_match": 0.66, "ca_rmsd_angstrom": 0.51}
    text = published.atoms({key: {**models, "recovery": recovery} for key in published.TIE_BREAKS})
    assert "| mean backbone RMSD, tie-break published, Å | 2.389 | 2.34 |" in text
    assert "| pairs of chains | 42 | 42 |" in text


def test_a_kept_picture_is_small(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    noise = np.random.default_rng(0).integers(0, 255, (300, 2000, 3), np.uint8)
    image.fromarray(noise).save(tmp_path / "wide.png")
    kept = image.open(keep_picture(tmp_path / "wide.png", tmp_path / "kept" / "small.png"))
    assert kept.size == (1400, 210)
    assert len(kept.getcolors()) <= 64
