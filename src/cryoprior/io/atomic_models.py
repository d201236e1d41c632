"""Atomic models as arrays: chains with their sequence, backbone and B-factors, of mmCIF and PDB files."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float64, Int64

from cryoprior.errors import InputError
from cryoprior.io.model_files import check_coordinates, check_model_size

if TYPE_CHECKING:
    import gemmi

BACKBONE = ("N", "CA", "C", "O")
PHOSPHATE, SUGAR = "P", "C1'"
CIF, PDB = (".cif", ".mmcif"), (".pdb", ".ent")
B_COLUMN = "_atom_site.B_iso_or_equiv"
UNKNOWN = "X"
SAME_B = 0.02
"""PDB files give B-factors with two decimals."""

Kind = Literal["protein", "nucleic"]

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, repr=False)
class ModelChain:
    """One polymer of a model, residue by residue.

    name: the author's chain name.
    kind: protein or nucleic acid; a chain name that carries both is two of these.
    sequence: one letter per residue, X where unknown.
    numbers: the author's residue numbers, with insertion code.
    names: residue names such as ALA or DA.
    backbone: N, CA, C and O in angstrom, NaN where an atom is absent.
    trace: CA, of nucleic acids P (else C1'), NaN where absent.
    atoms: atoms other than hydrogen.
    b_factor: their mean, NaN where the file has none; ModelAngelo writes its confidence there, 0 to 100.
    """

    name: str
    kind: Kind
    sequence: str
    numbers: tuple[str, ...]
    names: tuple[str, ...]
    backbone: Float64[np.ndarray, "n 4 3"]
    trace: Float64[np.ndarray, "n 3"]
    atoms: Int64[np.ndarray, " n"]
    b_factor: Float64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.sequence)

    def __repr__(self) -> str:
        return f"ModelChain({self.name}, {self.kind}, {len(self)} residues)"


@dataclass(frozen=True, repr=False)
class AtomicModel:
    """The polymers of a model; ``remarks`` says what of the file was left out or looks odd."""

    path: Path
    chains: tuple[ModelChain, ...]
    remarks: tuple[str, ...] = field(default=())

    def __repr__(self) -> str:
        residues = sum(map(len, self.chains))
        return f"AtomicModel({self.path.name}, {len(self.chains)} chains, {residues} residues)"

    @property
    def protein(self) -> tuple[ModelChain, ...]:
        """Return the protein chains."""
        return tuple(chain for chain in self.chains if chain.kind == "protein")

    @property
    def nucleic(self) -> tuple[ModelChain, ...]:
        """Return the nucleic acid chains."""
        return tuple(chain for chain in self.chains if chain.kind == "nucleic")

    @property
    def mean_b_factor(self) -> float:
        """Return the mean over all atoms."""
        atoms, values = (np.concatenate([getattr(c, name) for c in self.chains]) for name in ("atoms", "b_factor"))
        return float((atoms * values).sum() / atoms.sum())


def read_atomic_model(path: Path | str, *, confidence: bool = True) -> AtomicModel:
    """Return the polymers of a .cif or .pdb file, either may be gzipped.

    Of several models the first is read, of alternative locations that of highest occupancy; hydrogens, waters,
    ligands and ions are left out.

    Parameters
    ----------
    confidence: the B-factors are ModelAngelo's confidence, and must be there and lie in 0 to 100. False for a
        deposited structure, whose B-factors are left out of account and may be absent.

    Raises
    ------
    InputError: no such file, not a model, no atom of a polymer, or no confidence where it is wanted.
    """
    path = Path(path)
    structure, has_b = _parse(path)
    if not len(structure) or not structure[0].count_atom_sites():
        raise InputError(f"{path}: no atoms; expected an atomic model; is it the right file?")
    check_coordinates(path, structure)
    chains = tuple(part for chain in structure[0] for part in _polymers(chain, has_b))
    if not chains:
        raise InputError(f"{path}: no amino acid and no nucleotide among its atoms; expected a protein or nucleic acid")
    remarks = []
    if len(structure) > 1:
        remarks.append(f"{len(structure)} models; the first is read")
    if confidence:
        remarks += _check_confidence(path, structure, chains, has_b)
    for remark in remarks:
        log.warning("%s: %s", path, remark)
    return AtomicModel(path, chains, tuple(remarks))


def _parse(path: Path) -> tuple[gemmi.Structure, bool]:
    """Return the structure, and whether the file has B-factors."""
    import gemmi

    if not path.is_file():
        raise InputError(f"{path}: no such file; expected an atomic model, .cif or .pdb; check the name")
    suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
    if suffix not in CIF + PDB:
        raise InputError(
            f"{path}: a file of type {suffix or 'unknown'}; expected .cif or .pdb (.gz); rename or convert"
        )
    check_model_size(path)
    try:
        if suffix in PDB:
            return gemmi.read_pdb(str(path)), True
        document = gemmi.cif.read(str(path))
        block = next((b for b in document if b.find_loop("_atom_site.Cartn_x")), None)
        structure = gemmi.Structure() if block is None else gemmi.make_structure_from_block(block)
    except (RuntimeError, ValueError, OSError, IndexError) as error:
        fault = f"not a model that gemmi reads ({error})"
        raise InputError(f"{path}: {fault}; expected .cif or .pdb; copy it again") from None
    if block is None:
        return structure, False
    structure.merge_chain_parts()
    return structure, any(value not in ("?", ".") for value in block.find_values(B_COLUMN))


def _polymers(chain: gemmi.Chain, has_b: bool) -> Iterable[ModelChain]:
    kinds: dict[Kind, list[tuple[str, gemmi.Residue, list[gemmi.Atom]]]] = {"protein": [], "nucleic": []}
    for residue in _one_a_place(chain):
        kind, letter = _kind(residue)
        atoms = _atoms(residue)
        if kind is not None and atoms:
            kinds[kind].append((letter, residue, atoms))
    for kind, residues in kinds.items():
        if residues:
            yield _chain(chain.name, kind, residues, has_b)


def _chain(
    name: str, kind: Kind, residues: list[tuple[str, gemmi.Residue, list[gemmi.Atom]]], has_b: bool
) -> ModelChain:
    backbone = np.full((len(residues), len(BACKBONE), 3), np.nan)
    trace = np.full((len(residues), 3), np.nan)
    for i, (_, _, atoms) in enumerate(residues):
        places = {atom.name: atom.pos.tolist() for atom in atoms}
        for j, atom_name in enumerate(BACKBONE if kind == "protein" else ()):
            backbone[i, j] = places.get(atom_name, np.nan)
        trace[i] = backbone[i, 1] if kind == "protein" else places.get(PHOSPHATE, places.get(SUGAR, np.nan))
    return ModelChain(
        name=name,
        kind=kind,
        sequence="".join(letter for letter, _, _ in residues),
        numbers=tuple(str(residue.seqid) for _, residue, _ in residues),
        names=tuple(residue.name for _, residue, _ in residues),
        backbone=backbone,
        trace=trace,
        atoms=np.array([len(atoms) for _, _, atoms in residues], np.int64),
        b_factor=np.array([np.mean([a.b_iso for a in atoms]) if has_b else math.nan for _, _, atoms in residues]),
    )


def _one_a_place(chain: gemmi.Chain) -> Iterable[gemmi.Residue]:
    """Yield the residues of a chain; where several share a place, that of the highest occupancy."""
    places: dict[str, gemmi.Residue] = {}
    for residue in chain:
        if residue.is_water():
            continue
        place = str(residue.seqid)
        known = places.get(place)
        if known is None or (_kind(residue)[0] is not None and _occupancy(residue) > _occupancy(known)):
            places[place] = residue
    return places.values()


def _occupancy(residue: gemmi.Residue) -> float:
    return max((float(atom.occ) for atom in residue), default=0.0) if _kind(residue)[0] is not None else -1.0


def _kind(residue: gemmi.Residue) -> tuple[Kind | None, str]:
    """Return whether a residue is of protein or nucleic acid, and its letter; None for anything else."""
    import gemmi

    known = gemmi.find_tabulated_residue(residue.name)
    letter = known.one_letter_code.upper().strip() or UNKNOWN
    if known.is_amino_acid():
        return "protein", letter if residue.name != "UNK" else UNKNOWN
    if known.is_nucleic_acid():
        return "nucleic", letter
    names = {atom.name for atom in residue}
    if not known.found() and {"N", "CA", "C"} <= names:
        return "protein", UNKNOWN
    return None, UNKNOWN


def _atoms(residue: gemmi.Residue) -> list[gemmi.Atom]:
    """Return the atoms other than hydrogen, each once: at its alternative location of highest occupancy."""
    chosen: dict[str, gemmi.Atom] = {}
    for atom in residue:
        if not atom.is_hydrogen() and (atom.name not in chosen or atom.occ > chosen[atom.name].occ):
            chosen[atom.name] = atom
    return list(chosen.values())


def _check_confidence(path: Path, structure: gemmi.Structure, chains: tuple[ModelChain, ...], has_b: bool) -> list[str]:
    remedy = "take the file that ModelAngelo wrote; for a deposited structure as the second model pass <deposited>"
    expected = "expected ModelAngelo's confidence, 0 to 100, in the B-factor"
    values = np.concatenate([chain.b_factor for chain in chains])
    if not has_b or not np.any(values):
        fault = f"no B-factor ({B_COLUMN})" if not has_b else "every B-factor is 0"
        raise InputError(f"{path}: the confidence cannot be read: {fault}; {expected}; {remedy}")
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 100):
        fault = f"B-factors from {np.nanmin(values):.4g} to {np.nanmax(values):.4g}"
        raise InputError(f"{path}: the confidence cannot be read: {fault}; {expected}; {remedy}")
    spread = [max(b) - min(b) for c in structure[0] for r in c if _kind(r)[0] and (b := [a.b_iso for a in r])]
    if spread and np.mean(np.array(spread) > SAME_B) > 0.5:
        return ["B-factors differ within residues, as temperature factors do; ModelAngelo gives one value per residue"]
    return []
