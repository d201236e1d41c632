"""Atomic models on disk: what is read of them, what is left out, and what is refused."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import gemmi
import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io.atomic_models import read_atomic_model
from kit.models import COLUMNS, atom_row, chain_rows, write_cif


@pytest.mark.parametrize("name", ["a.cif", "a.cif.gz", "A.CIF"])
def test_chains_residues_and_confidence_of_a_model(tmp_path: Path, name: str) -> None:
    rows = chain_rows("GAKX", "A", "50") + chain_rows("W", "Bc", "80")
    model = read_atomic_model(write_cif(tmp_path / name, rows))
    first, second = model.chains
    assert (first.name, first.kind, first.sequence, first.names[3]) == ("A", "protein", "GAKX", "UNK")
    assert (second.name, second.sequence, second.numbers) == ("Bc", "W", ("1",))
    assert first.numbers == ("1", "2", "3", "4")
    np.testing.assert_allclose(first.backbone[:, 1, 0], [3.8, 7.6, 3 * 3.8, 4 * 3.8])
    np.testing.assert_array_equal(first.trace, first.backbone[:, 1])
    np.testing.assert_array_equal(first.atoms, 4)
    assert model.mean_b_factor == pytest.approx((16 * 50 + 4 * 80) / 20)
    assert not model.remarks


def test_a_pdb_file_is_the_same_model_as_the_cif(tmp_path: Path) -> None:
    cif = write_cif(tmp_path / "a.cif", chain_rows("GAKW", "A"))
    gemmi.read_structure(str(cif)).write_pdb(str(tmp_path / "a.pdb"))
    (tmp_path / "a.pdb.gz").write_bytes(gzip.compress((tmp_path / "a.pdb").read_bytes()))
    wanted = read_atomic_model(cif)
    for name in ("a.pdb", "a.pdb.gz"):
        found = read_atomic_model(tmp_path / name)
        assert found.chains[0].sequence == wanted.chains[0].sequence
        np.testing.assert_allclose(found.chains[0].backbone, wanted.chains[0].backbone, atol=1e-3)
        assert found.mean_b_factor == pytest.approx(wanted.mean_b_factor)


def test_hydrogens_waters_ligands_and_rarer_locations_are_left_out(tmp_path: Path) -> None:
    rows = [line for line in chain_rows("GA") if line["label_atom_id"] != "CA" or line["auth_seq_id"] != "1"]
    for alt, occupancy, x in (("A", "0.3", "1.0"), ("B", "0.7", "2.0")):
        changed = {"label_alt_id": alt, "occupancy": occupancy, "Cartn_x": x, "label_seq_id": "1", "auth_seq_id": "1"}
        rows.insert(1, atom_row("CA", "GLY", 1, "A", **changed))
    rows.append(atom_row("HA", "ALA", 2, "A", type_symbol="H"))
    rows.append(atom_row("O", "HOH", 3, "A", group_PDB="HETATM"))
    rows.append(atom_row("MG", "MG", 4, "A", group_PDB="HETATM", type_symbol="MG"))
    (chain,) = read_atomic_model(write_cif(tmp_path / "a.cif", rows)).chains
    assert chain.sequence == "GA"
    assert chain.atoms.tolist() == [4, 4]
    assert chain.backbone[0, 1, 0] == 2.0


def test_of_two_residues_at_one_place_the_more_occupied_is_read(tmp_path: Path) -> None:
    rows = [atom_row(a, "ALA", 1, "A", occupancy="0.4", label_alt_id="A") for a in ("N", "CA", "C", "O")]
    rows += [atom_row(a, "LYS", 1, "A", occupancy="0.6", label_alt_id="B") for a in ("N", "CA", "C", "O")]
    assert read_atomic_model(write_cif(tmp_path / "a.cif", rows)).chains[0].sequence == "K"


def test_absent_backbone_atoms_are_nan_and_strange_residues_with_a_backbone_are_unknown(tmp_path: Path) -> None:
    rows = [line for line in chain_rows("GAK") if (line["label_atom_id"], line["auth_seq_id"]) != ("O", "2")]
    rows += [atom_row(atom, "ZZ9", 4, "A") for atom in ("N", "CA", "C")]
    (chain,) = read_atomic_model(write_cif(tmp_path / "a.cif", rows)).chains
    assert chain.sequence == "GAKX"
    assert np.isnan(chain.backbone[1, 3]).all()
    assert np.isfinite(chain.backbone[1, :3]).all()


def test_nucleic_acids_are_chains_of_their_own_kind(tmp_path: Path) -> None:
    rows = chain_rows("GA", "A") + [
        atom_row(atom, name, i, "R") for i, name in ((1, "G"), (2, "DA")) for atom in ("P", "C5")
    ]
    rows += [atom_row("P", "U", 3, "A")]
    model = read_atomic_model(write_cif(tmp_path / "a.cif", rows))
    assert [(c.name, c.kind, c.sequence) for c in model.chains] == [
        ("A", "protein", "GA"),
        ("A", "nucleic", "U"),
        ("R", "nucleic", "GA"),
    ]
    assert (len(model.protein), len(model.nucleic)) == (1, 2)
    assert np.isfinite(model.nucleic[0].trace).all()
    assert np.isnan(model.nucleic[0].backbone).all()


def test_of_several_models_the_first_is_read_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = chain_rows("GA") + [line | {"pdbx_PDB_model_num": "2"} for line in chain_rows("GAK")]
    path = write_cif(tmp_path / "a.cif", rows)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        assert read_atomic_model(path).chains[0].sequence == "GA"
    assert "a.cif: 2 models; the first is read" in caplog.text


def test_a_model_without_confidence_is_read_only_where_none_is_wanted(tmp_path: Path) -> None:
    bare = [name for name in COLUMNS if name != "B_iso_or_equiv"]
    cases = {
        "none.cif": write_cif(tmp_path / "none.cif", chain_rows("GA"), bare),
        "unknown.cif": write_cif(tmp_path / "unknown.cif", chain_rows("GA", b="?")),
        "zero.cif": write_cif(tmp_path / "zero.cif", chain_rows("GA", b="0")),
        "large.cif": write_cif(tmp_path / "large.cif", chain_rows("GA", b="132.5")),
        "below.cif": write_cif(tmp_path / "below.cif", chain_rows("GA", b="-3")),
    }
    found = {
        "none.cif": r"no B-factor \(_atom_site\.B_iso_or_equiv\)",
        "unknown.cif": r"no B-factor \(_atom_site\.B_iso_or_equiv\)",
        "zero.cif": "every B-factor is 0",
        "large.cif": r"B-factors from 132\.5 to 132\.5",
        "below.cif": "B-factors from -3 to -3",
    }
    for name, path in cases.items():
        expected = f"{name}: the confidence cannot be read: {found[name]}; .*0 to 100.*deposited"
        with pytest.raises(InputError, match=expected):
            read_atomic_model(path)
        assert read_atomic_model(path, confidence=False).chains[0].sequence == "GA"
    assert np.isnan(read_atomic_model(cases["none.cif"], confidence=False).mean_b_factor)


def test_temperature_factors_are_remarked(tmp_path: Path) -> None:
    rows = [line | {"B_iso_or_equiv": str(20 + i)} for i, line in enumerate(chain_rows("GAKW"))]
    path = write_cif(tmp_path / "a.cif", rows)
    assert "as temperature factors do" in read_atomic_model(path).remarks[0]
    assert not read_atomic_model(path, confidence=False).remarks


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.cif", b"", "not a model that gemmi reads|no atoms"),
        ("a.cif", b"hello, this is no model\n", "not a model that gemmi reads"),
        ("a.cif", b"data_1\n_cell.length_a 3\n", "no atoms; expected an atomic model"),
        ("a.pdb", b"nothing in here\n", "no atoms; expected an atomic model"),
        ("a.cif.gz", b"not gzip at all", "damaged gzip"),
        ("a.txt", b"x", r"a file of type \.txt; expected \.cif or \.pdb"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, name: str, text: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read_atomic_model(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_an_absent_file_and_a_model_without_polymers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.cif: no such file"):
        read_atomic_model(tmp_path / "no.cif")
    path = write_cif(tmp_path / "w.cif", [atom_row("O", "HOH", 1, "A", group_PDB="HETATM")])
    with pytest.raises(InputError, match="no amino acid and no nucleotide"):
        read_atomic_model(path)


def test_the_published_models(shared_data: Path) -> None:
    wanted = {"original": (132, 27, 67.27), "cryogen": (149, 29, 62.47)}
    for name, (chains, long, confidence) in wanted.items():
        model = read_atomic_model(shared_data / "published" / f"modelangelo_{name}.cif.gz")
        assert (len(model.protein), len(model.nucleic)) == (chains, 0)
        assert sum(len(chain) >= 20 for chain in model.protein) == long
        assert model.mean_b_factor == pytest.approx(confidence, abs=0.005)
        assert not model.remarks
