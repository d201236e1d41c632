"""The large ribosomal subunit in four assembly states, after those of EMPIAR-10076 (Davis et al. 2016, Cell 167, 1610).

Precursors lack whole domains of the 23S RNA with the proteins that bind there. An atomic model has that RNA as one
chain, so it is cut here into chains that can be left out.
"""

from __future__ import annotations

from pathlib import Path

import gemmi

from cryoprior.output.files import whole_file

RNA_23S = "BA"
REST = "Bco"
# residues of 23S in the numbering of E. coli, which 4v5d has
PIECES = {
    "Bcp": ((2246, 2430),),  # helices 80 to 88: the central protuberance
    "Bst": ((1030, 1125),),  # helices 42 to 44: the stalk base
    "Bl1": ((2093, 2196),),  # helices 76 to 78: the L1 stalk
    "Biv": ((1647, 2014),),  # domain IV
    "Bv": ((2015, 2092), (2197, 2245), (2431, 2625)),  # what is left of domain V
}
PROTUBERANCE = ("BB", "BG", "BS", "BZ", "B0", "B4", "B6", "B8", "Bcp")  # 5S, L5, L18, L25, L27, L31, L33, L35
STALKS = ("Biv", "Bst", "BI", "BC", "Bl1")  # and L9, L1
CORE = ("Bv", "BQ", "B1", "BN", "BU", "BT", "BE")  # and L16, L28, L13, L20, L19, L3
LEFT_OUT = (PROTUBERANCE, (*PROTUBERANCE, *STALKS), (*PROTUBERANCE, *STALKS, *CORE))
"""What each of the three precursors lacks; the fourth state is whole."""

NUCLEOTIDES = ("A", "C", "G", "U")


def write_assembly(structure: Path, path: Path) -> Path:
    """Return the path of a structure (mmCIF) whose 23S RNA is cut into chains; ions and waters of it are left out."""
    model = gemmi.read_structure(str(structure))
    atoms = model[0]
    piece_of = {n: name for name, spans in PIECES.items() for low, high in spans for n in range(low, high + 1)}
    chains = {name: gemmi.Chain(name) for name in (REST, *PIECES)}
    for residue in atoms[RNA_23S]:
        if residue.name in NUCLEOTIDES:
            chains[piece_of.get(residue.seqid.num, REST)].add_residue(residue)
    atoms.remove_chain(RNA_23S)
    for chain in chains.values():
        atoms.add_chain(chain)
    model.setup_entities()
    with whole_file(path) as partial:
        model.make_mmcif_document().write_file(str(partial))
    return path
