"""Atomic models to test with: written as ModelAngelo writes them, one line an atom."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LETTERS = "ARNDCQEGHILKMFPSTWYV"
NAMES = (
    *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
    *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
)
RESIDUES = {**dict(zip(LETTERS, NAMES, strict=True)), "X": "UNK"}
COLUMNS = [
    *("group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id"),
    *("label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy"),
    *("B_iso_or_equiv", "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num"),
]
BACKBONE = ("N", "CA", "C", "O")


def atom_row(atom: str, residue: str, number: int, chain: str, b: str = "50.5", **changed: str) -> dict[str, str]:
    """Return an atom as ModelAngelo writes it."""
    place = {"Cartn_x": f"{number * 3.8:.3f}", "Cartn_y": f"{len(atom):.3f}", "Cartn_z": "0.000"}
    found = {
        "group_PDB": "ATOM", "id": "1", "type_symbol": atom[0], "label_atom_id": atom, "label_alt_id": ".",
        "label_comp_id": residue, "label_asym_id": chain, "label_entity_id": "?", "label_seq_id": str(number),
        "pdbx_PDB_ins_code": "?", **place, "occupancy": "1", "B_iso_or_equiv": b, "auth_seq_id": str(number),
        "auth_asym_id": chain, "pdbx_PDB_model_num": "1",
    }  # fmt: skip
    return found | changed


def chain_rows(
    sequence: str, chain: str = "A", b: str = "50.5", backbone: np.ndarray | None = None
) -> list[dict[str, str]]:
    """Return the backbone atoms of a chain, NaN left out; without coordinates along a line."""
    rows = []
    for i, letter in enumerate(sequence):
        for j, atom in enumerate(BACKBONE):
            place: dict[str, str] = {}
            if backbone is not None:
                if np.isnan(backbone[i, j]).any():
                    continue
                place = {f"Cartn_{axis}": f"{v:.4f}" for axis, v in zip("xyz", backbone[i, j], strict=True)}
            rows.append(atom_row(atom, RESIDUES[letter], i + 1, chain, b, **place))
    return rows


def write_cif(path: Path, rows: list[dict[str, str]], columns: list[str] = COLUMNS) -> Path:
    """Return the file of the atoms, gzipped where its name ends so."""
    lines = ["data_1", "#", "loop_", *(f"_atom_site.{name}" for name in columns)]
    lines += [" ".join(line[name] for name in columns) for line in rows]
    text = "\n".join([*lines, "#", ""])
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def write_model(path: Path, chains: Mapping[str, tuple[str, np.ndarray]], confidence: float = 50.5) -> Path:
    """Return the file of chains, name to (sequence, backbone)."""
    parts = [chain_rows(sequence, name, str(confidence), backbone) for name, (sequence, backbone) in chains.items()]
    return write_cif(path, [row for part in parts for row in part])


def fold(n: int, seed: int = 0) -> np.ndarray:
    """Return the backbone of a chain that wanders, (n, 4, 3): C-alphas 3.8 angstrom apart and never closer."""
    rng = np.random.default_rng(seed)
    walk = [np.zeros(3)]
    while len(walk) < n:
        step = rng.normal(size=3)
        place = walk[-1] + 3.8 * step / np.linalg.norm(step)
        if min(np.linalg.norm(np.array(walk) - place, axis=1)) > 3.7:
            walk.append(place)
    sides = rng.normal(scale=0.7, size=(n, 4, 3))
    sides[:, 1] = 0
    return np.array(walk)[:, None] + sides


def random_sequence(n: int, seed: int = 0) -> str:
    """Return n letters of amino acids."""
    return "".join(np.random.default_rng(seed).choice(list(LETTERS), n))
