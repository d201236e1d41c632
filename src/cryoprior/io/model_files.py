"""The file of an atomic model, read; its size first, before a parser takes memory, and numbers read as 0 after it."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from cryoprior.errors import InputError

MOST_BYTES = 1 << 30
"""The largest entries of the Protein Data Bank have a quarter of it."""
MOST_RATIO, SMALL_BYTES = 100, 64 << 20
"""How often the size of its gzip a model above 64 MiB may have: coordinates are packed to a fifth."""
BLOCK = 1 << 20
FARTHEST_ANGSTROM = 1e5
"""No assembly is a tenth of this across."""
ATOMS, COLUMNS = (b"ATOM  ", b"HETATM"), (slice(30, 38), slice(38, 46), slice(46, 54))
"""Where a PDB file has the coordinates of an atom."""

if TYPE_CHECKING:
    import gemmi


def check_model_size(path: Path) -> None:
    """Raise InputError for a model above 1 GiB, or one that its gzip only pretends to be."""
    packed = path.stat().st_size
    size = _unpacked(path, packed) if path.suffix.lower() == ".gz" else packed
    if size > MOST_BYTES or (size > SMALL_BYTES and size > MOST_RATIO * packed):
        held = f", packed in {packed}" if size != packed else ""
        raise InputError(f"{path}: at least {size} bytes{held}; expected an atomic model; is it the right file?")


def read_structure(path: Path) -> gemmi.Structure:
    """Return the structure of an atomic model, .pdb or .cif, also .gz.

    Raises
    ------
    InputError: a file that is too large or no structure, without atoms, or with coordinates that are none.
    """
    import gemmi

    check_model_size(path)
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: not a structure that gemmi reads ({error}); expected .pdb or .cif") from None
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise InputError(f"{path}: no atoms inside; expected a model; is it a coordinate file?")
    check_coordinates(path, structure)
    return structure


def check_coordinates(path: Path, structure: gemmi.Structure) -> None:
    """Raise InputError for a coordinate that is no number, or that lies beyond any assembly.

    gemmi takes a text in the columns of a PDB file for 0, so that those are looked through as they are.
    """
    if ".pdb" in path.suffixes or ".ent" in path.suffixes:
        _check_pdb(path)
    for chain in structure[0] if len(structure) else ():
        for residue in chain:
            for atom in residue:
                if not all(math.isfinite(x) and abs(x) <= FARTHEST_ANGSTROM for x in atom.pos.tolist()):
                    raise _no_coordinate(path, f"atom {atom.name} of {chain.name} {residue}", str(atom.pos.tolist()))


def _check_pdb(path: Path) -> None:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.startswith(ATOMS):
                continue
            try:
                line.decode("ascii")
                places = [float(line[column]) for column in COLUMNS]
            except ValueError:
                places = [math.nan]
            if not all(math.isfinite(x) and abs(x) <= FARTHEST_ANGSTROM for x in places):
                found = line[30:54].decode("ascii", "replace").strip() or "nothing"
                raise _no_coordinate(path, f"the atom in line {number}", found)


def _no_coordinate(path: Path, atom: str, found: str) -> InputError:
    return InputError(
        f"{path}: {atom} lies at {found}; expected three numbers in angstrom, and names in ASCII; copy the file again"
    )


def _unpacked(path: Path, packed: int) -> int:
    """Return the size of a gzip's content, as far as it takes to know that it is too large."""
    size, limit = 0, min(MOST_BYTES, max(SMALL_BYTES, MOST_RATIO * packed))
    try:
        with gzip.open(path) as file:
            while size <= limit and (block := file.read(BLOCK)):
                size += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip ({error}); expected an atomic model; copy it again") from None
    return size
