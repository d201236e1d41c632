"""ModelAngelo: an atomic model built into a map, with a sequence or without.

It lives in an environment of its own, wants a map that ends in .mrc and names its model after its output folder. It
starts from the beginning whenever it is run: an interrupted build is lost. Facts are those of ModelAngelo 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.external.modelangelo_files import (
    BuildSettings,
    Kind,
    link_map,
    read_sequences,
    write_config,
    write_sequences,
)
from cryoprior.external.program import Program

VARIABLE = "CRYOPRIOR_MODELANGELO"
MODELANGELO = Program(
    "ModelAngelo",
    "model_angelo",
    "install it from its source repository 3dem/model-angelo in an environment of its own, and name its executable "
    f"model_angelo by <executable>, by {VARIABLE}, or put it on the PATH",
    VARIABLE,
)

__all__ = ["MODELANGELO", "VARIABLE", "BuildSettings", "BuiltModel", "build_model", "version"]

NAME = "model"
FASTA_FLAGS: dict[Kind, str] = {"protein": "--protein-fasta", "rna": "--rna-fasta", "dna": "--dna-fasta"}


@dataclass(frozen=True)
class BuiltModel:
    """What ModelAngelo wrote: its model, the raw one before pruning (with a sequence), profiles by chain (without).

    command: the words it was run with.
    """

    model: Path
    raw: Path | None
    profiles: tuple[Path, ...]
    command: tuple[str, ...] = field(default=())


def version(executable: Path) -> str:
    """Return ModelAngelo's version, for example ``1.0.12``."""
    version = re.search(r"ModelAngelo\s+v?(\d[\w.]*)", MODELANGELO.answer([str(executable), "--version"]))
    return version.group(1) if version else "unknown"


def build_model(
    map: Path,
    folder: Path,
    settings: BuildSettings | None = None,
    *,
    sequences: Mapping[Kind, Sequence[Path]] | None = None,
    mask: Path | None = None,
    executable: Path | None = None,
    log: Path | None = None,
) -> BuiltModel:
    """Return the model that ModelAngelo builds into a map: ``build`` with sequences, ``build_no_seq`` without.

    Parameters
    ----------
    folder: an empty or absent folder for its input and output; the model is in its sub-folder ``model``.
    sequences: FASTA files by kind; a protein is among them, as ModelAngelo's ``build`` wants one.
    mask: a map of 0 to 1.
    log: for what it prints; beside its output by default.

    Raises
    ------
    InputError: ModelAngelo is absent or fails, or a FASTA file is refused.
    """
    settings, folder = settings or BuildSettings(), folder.resolve()
    program = MODELANGELO.find(executable)
    records = _records(sequences or {})
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / NAME
    out.mkdir()  # it opens its log there before it makes the folder
    words: list[str | Path | float] = [program, "build" if records else "build_no_seq"]
    words += ["--volume-path", link_map(map, folder, "map"), "--output-dir", out]
    for kind, named in records.items():
        words += [FASTA_FLAGS[kind], write_sequences(folder / f"{kind}.fasta", named)]
    words += ["--mask-path", link_map(mask, folder, "mask")] if mask else []
    words += ["--config-path", write_config(folder / "config.json", settings, bool(records))]
    if settings.bundle_path is not None:
        words += ["--model-bundle-path", settings.bundle_path.resolve()]
    else:
        words += ["--model-bundle-name", settings.bundle_name(bool(records))]
    words += ["--device", settings.device] if settings.device is not None else []
    kept = log or folder / "modelangelo.log"
    MODELANGELO.run(words, folder=folder, log=kept)
    return _built(out, kept, tuple(str(word) for word in words))


def _records(sequences: Mapping[Kind, Sequence[Path]]) -> dict[Kind, list[tuple[str, str]]]:
    given = {kind: paths for kind, paths in sequences.items() if paths}
    if given and "protein" not in given:
        kinds = " and ".join(given)
        raise InputError(f"{MODELANGELO.name}: {kinds} without a protein; expected a protein FASTA as well; add it")
    return {kind: [record for path in paths for record in read_sequences(path, kind)] for kind, paths in given.items()}


def _built(out: Path, log: Path, words: tuple[str, ...]) -> BuiltModel:
    model, raw = out / f"{NAME}.cif", out / f"{NAME}_raw.cif"
    if not model.is_file():
        raise InputError(f"{MODELANGELO.name}: it ended without {model.name}; see its log, {log}")
    profiles = tuple(sorted((out / "hmm_profiles").glob("*.hmm")))
    return BuiltModel(model, raw if raw.is_file() else None, profiles, words)
