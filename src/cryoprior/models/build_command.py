"""``cryoprior model build``: an atomic model that ModelAngelo builds into a map."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import COMPUTING, INPUT, argument, check_options, option, output_option, overwrite_option

if TYPE_CHECKING:
    from cryoprior.external.modelangelo_files import Kind

EXAMPLE = "cryoprior model build map/map.mrc -o model/ --sequence protein.fasta"


@dataclass(frozen=True)
class Options:
    map: Path = argument("Map to build into (.mrc), its density positive.")
    output: Path = output_option("Folder to write.")
    sequence: tuple[Path, ...] = option(
        "Protein sequences (FASTA), each unique chain once; without any, the types of residues are guessed. May be "
        "repeated.",
        (),
        repeat=True,
        group=INPUT,
    )
    rna: tuple[Path, ...] = option(
        "RNA sequences (FASTA), beside a protein; may be repeated.", (), repeat=True, group=INPUT
    )
    dna: tuple[Path, ...] = option(
        "DNA sequences (FASTA), beside a protein; may be repeated.", (), repeat=True, group=INPUT
    )
    mask: Path | None = option("Mask from 0 to 1; the model is built inside.", None, group=INPUT)
    threshold: float = option("Least probability at which the network sees a C-alpha.", 0.05, minimum=0, maximum=1)
    batch: int = option("Windows of the C-alpha network at a time.", 4, minimum=1, group=COMPUTING)
    stride: int = option(
        "Step from one window of 64 voxels to the next, in voxels of 1.5 angstrom.", 16, minimum=1, maximum=64
    )
    rounds: int = option("Rounds of the graph network.", 3, minimum=1)
    bundle: str | None = option(
        "Networks by name (default: nucleotides, or nucleotides_no_seq without a sequence).", None
    )
    bundle_path: Path | None = option("Folder of the networks, in place of a name.", None, group=INPUT)
    device: str | None = option(
        "Where to compute: cpu, a GPU's number, or several as 0,1 (default: ModelAngelo's choice).",
        None,
        group=COMPUTING,
    )
    executable: Path | None = option(
        "ModelAngelo's executable (default: that in CRYOPRIOR_MODELANGELO, else model_angelo on the PATH).",
        None,
        group=COMPUTING,
    )
    overwrite: bool = overwrite_option("Replace an earlier build with other input or settings.")

    def __post_init__(self) -> None:
        check_options(self)
        if (self.rna or self.dna) and not self.sequence:
            raise InputError(
                "model build: <rna> or <dna> without <sequence>; ModelAngelo wants a protein as well; add it"
            )
        if self.bundle is not None and self.bundle_path is not None:
            raise InputError("model build: <bundle> and <bundle_path>; expected one of them; leave one out")


def run(options: Options) -> dict[str, Any]:
    """Return the summary of the model that the output holds: built now, or earlier from the same input."""
    from cryoprior.external.modelangelo import BuildSettings
    from cryoprior.models.build import BuildInput, build_into

    sequences: dict[Kind, tuple[Path, ...]] = {"protein": options.sequence, "rna": options.rna, "dna": options.dna}
    given = BuildInput(options.map, sequences, options.mask)
    settings = BuildSettings(**{f.name: getattr(options, f.name) for f in dataclasses.fields(BuildSettings)})
    return build_into(
        options.output, given, settings, options, executable=options.executable, overwrite=options.overwrite
    )
