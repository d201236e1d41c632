"""ModelAngelo's input: sequences as it takes them, a map under a name it reads, and its configuration.

Facts are those of ModelAngelo 1.0. Its configuration replaces that of its model bundle as a whole, so ours is the
bundle's own where that is at hand, with the settings below changed. The window of its C-alpha network, 64 voxels of
1.5 angstrom in the bundles of its authors, is stored with the network's weights and is no setting.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryoprior.errors import InputError
from cryoprior.io.mrc_volumes import read_map, read_map_header
from cryoprior.io.mrc_writing import write_map

VOXEL_ANGSTROM, WINDOW_VOXELS = 1.5, 64
AMINO_ACIDS, RARE_AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY", "UOXBZJ"
ALPHABETS = {"protein": AMINO_ACIDS + RARE_AMINO_ACIDS, "rna": "ACGUN", "dna": "ACGTN"}
NUCLEOTIDES = "ACGTUN"
LONG = 12
"""A chain so long of the letters of nucleotides alone is no protein."""

Kind = Literal["protein", "rna", "dna"]


@dataclass(frozen=True)
class BuildSettings:
    """How ModelAngelo builds; the numbers are the paper's, and its own.

    threshold: of the C-alpha network's probability, 0 to 1.
    batch, stride: windows at a time, and voxels of 1.5 angstrom from one to the next.
    rounds: of the graph network.
    bundle: name of the networks; None takes ``nucleotides`` with a sequence and ``nucleotides_no_seq`` without.
    bundle_path: their folder, in place of a name.
    device: ``cpu``, or the number of a GPU, or several as ``0,1``; None lets ModelAngelo choose.
    """

    threshold: float = 0.05
    batch: int = 4
    stride: int = 16
    rounds: int = 3
    bundle: str | None = None
    bundle_path: Path | None = None
    device: str | None = None

    def bundle_name(self, with_sequence: bool) -> str:
        """Return the bundle's name."""
        return self.bundle or ("nucleotides" if with_sequence else "nucleotides_no_seq")


def read_sequences(path: Path, kind: Kind) -> list[tuple[str, str]]:
    """Return the records of a FASTA file, (name, sequence in capitals).

    Raises
    ------
    InputError: no such file, no record, a sequence that is empty, has other letters, or is of another kind.
    """
    from Bio import SeqIO

    if not path.is_file():
        raise InputError(f"{path}: no such file; expected sequences as FASTA; check the name")
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not text; expected sequences as FASTA; is it the right file?") from None
    if not text.lstrip().startswith(">"):
        raise InputError(f"{path}: no FASTA record; expected lines that begin with >, each before a sequence; add one")
    parse: Any = SeqIO.parse
    records = [
        (record.description, str(record.seq).upper().rstrip("*")) for record in parse(io.StringIO(text), "fasta")
    ]
    for name, sequence in records:
        _check_sequence(f"{path}: sequence {name or 'without a name'}", sequence, kind)
    return records


def write_sequences(path: Path, records: Sequence[tuple[str, str]]) -> Path:
    """Return the FASTA file of the records; ModelAngelo writes beside its FASTA file, so it is given one of its own."""
    path.write_text("".join(f">{name or i}\n{sequence}\n" for i, (name, sequence) in enumerate(records, 1)))
    return path


def write_config(path: Path, settings: BuildSettings, with_sequence: bool) -> Path:
    """Return the configuration file: the bundle's own, else that of ModelAngelo 1.0, with the settings put in."""
    config = _bundle_config(settings, with_sequence)
    config["ca_infer_args"] |= {
        "threshold": settings.threshold,
        "batch_size": settings.batch,
        "stride": settings.stride,
    }
    # without a configuration of ours ModelAngelo prunes in the last round, with one it follows that
    config["gnn_infer_args"] |= {"num_rounds": settings.rounds, "aggressive_pruning": True}
    path.write_text(json.dumps(config, indent=2) + "\n")
    return path


def link_map(path: Path, folder: Path, name: str) -> Path:
    """Return a link to a map under a name that ends in .mrc, the one ending that ModelAngelo reads.

    A map that other programs read otherwise than this one (compressed, other axes, unsigned bytes) is written anew.

    Raises
    ------
    InputError: a map to be written anew that does not begin at the origin of its cell, as the model would be moved.
    """
    link = folder / f"{name}.mrc"
    header = read_map_header(path)
    if header.plain:
        link.symlink_to(path.resolve())
        return link
    if any(header.placement_angstrom):
        raise InputError(
            f"{path}: compressed, or with other axes than x, y, z, and its first voxel lies at "
            f"{', '.join(f'{at:.4g}' for at in header.placement_angstrom)} A; expected 0, 0, 0; write it as a plain map"
        )
    volume, voxel_size = read_map(path)
    write_map(link, volume, voxel_size)
    return link


def _check_sequence(where: str, sequence: str, kind: Kind) -> None:
    if not sequence:
        raise InputError(f"{where} is empty; expected one letter per residue; add it, or remove the record")
    strange = sorted(set(sequence) - set(ALPHABETS[kind]))
    if strange:
        expected = f"expected {kind}, letters {ALPHABETS[kind]}"
        raise InputError(f"{where} has {' '.join(strange)}; {expected}; correct it, or pass it as another kind")
    if kind == "protein" and len(sequence) >= LONG and set(sequence) <= set(NUCLEOTIDES):
        raise InputError(
            f"{where} has the letters of nucleotides alone; expected a protein; pass it with <rna> or <dna>"
        )


def _bundle_config(settings: BuildSettings, with_sequence: bool) -> dict[str, Any]:
    for folder in _bundle_folders(settings, with_sequence):
        file = folder / "config.json"
        if file.is_file():
            return _read_config(file)
    if settings.bundle_path is not None:
        raise InputError(
            f"{settings.bundle_path}: no config.json; expected a model bundle of ModelAngelo; pass another"
        )
    return _known_config(settings.bundle_name(with_sequence).startswith("nucleotides"))


def _bundle_folders(settings: BuildSettings, with_sequence: bool) -> list[Path]:
    """Return where the bundle may lie: the folder that is named, else where PyTorch keeps its downloads."""
    if settings.bundle_path is not None:
        return [settings.bundle_path]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    torch_home = Path(os.environ.get("TORCH_HOME") or cache / "torch").expanduser()
    name = settings.bundle_name(with_sequence)
    return [torch_home / "hub" / "checkpoints" / "model_angelo_v1.0" / name]


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config: Any = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(
            f"{file}: not JSON ({error}); expected ModelAngelo's configuration; install the bundle again"
        ) from None
    parts = ("ca_infer_args", "gnn_infer_args")
    if not isinstance(config, Mapping) or any(not isinstance(config.get(part), dict) for part in parts):
        raise InputError(f"{file}: no {' and '.join(parts)}; expected ModelAngelo's configuration; install it again")
    return dict(config)


def _known_config(nucleotides: bool) -> dict[str, Any]:
    """Return the configuration that the bundles of ModelAngelo 1.0 bring along."""
    never = ("save_real_coordinates", "save_cryo_em_grid", "save_backbone_trace", "save_ca_grid", "save_output_grid")
    return {
        "standardize_mrc_args": {
            "target_voxel_size": VOXEL_ANGSTROM,
            "crop_z": 0,
            "bfactor_to_apply": 0,
            "auto_mask": False,
        },
        "ca_infer_args": {
            "model_checkpoint": "chkpt.torch",
            "bfactor": 0,
            "dont_mask_input": True,
            "do_nucleotides": nucleotides,
            "crop": 6,
            **dict.fromkeys(never, False),
        },
        "gnn_infer_args": {
            "crop_length": 200,
            "repeat_per_residue": 3,
            "esm_model": "esm1b_t33_650M_UR50S",
            "seq_attention_batch_size": 200,
        },
    }
