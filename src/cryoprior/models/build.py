"""``cryoprior model build``: an atomic model that ModelAngelo builds into a map."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.external.modelangelo import MODELANGELO, BuildSettings, BuiltModel, build_model, version
from cryoprior.external.modelangelo_files import VOXEL_ANGSTROM, WINDOW_VOXELS, Kind, read_sequences
from cryoprior.io.atomic_models import AtomicModel, read_atomic_model
from cryoprior.io.volumes import read_density, read_mask
from cryoprior.models.figures import ModelTrace, confidence_histogram, model_traces
from cryoprior.models.page import BuildPage
from cryoprior.models.tables import chain_table, residue_table, traces
from cryoprior.options import COMPUTING, INPUT, argument, check_options, option, output_option, overwrite_option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import file_digest, to_json, write_provenance, write_summary
from cryoprior.report.page import write_page

RUN_FILE, WORK, MODEL = "build.json", "modelangelo", "model.cif"
FACTS = "facts.json"
COUNTED = 20

log = logging.getLogger("cryoprior")


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
    threshold: float = option("Probability from which on the network sees a C-alpha.", 0.05, minimum=0, maximum=1)
    batch: int = option("Windows of the C-alpha network at a time.", 4, minimum=1, group=COMPUTING)
    stride: int = option(
        "From one window of 64 voxels to the next, in voxels of 1.5 angstrom.", 16, minimum=1, maximum=64
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

    @property
    def sequences(self) -> dict[Kind, tuple[Path, ...]]:
        """Return the FASTA files by kind."""
        return {"protein": self.sequence, "rna": self.rna, "dna": self.dna}

    @property
    def inputs(self) -> list[Path]:
        """Return all files that are read."""
        given = [self.map, self.mask, *(path for paths in self.sequences.values() for path in paths)]
        return [path for path in given if path is not None]


def run(options: Options) -> dict[str, Any]:
    _check_input(options)
    done = _finished(options)
    if done is not None:
        log.info("%s: built before from the same input; not run again", options.output)
        return done
    program = MODELANGELO.find(options.executable)
    log_file = options.output / "modelangelo.log"
    start = time.perf_counter()
    with claim_output(options.output / WORK, overwrite=True) as folder:
        _claim(options)
        built = build_model(
            options.map,
            folder,
            _settings(options),
            sequences=options.sequences,
            mask=options.mask,
            executable=program,
            log=log_file,
        )
        read_atomic_model(built.model)  # what cannot be read is not kept
        seconds = time.perf_counter() - start
        facts = {"seconds": seconds, "version": version(program), "command": _shown(built, folder, options.output)}
        _write_text(folder / FACTS, to_json(facts))
        _keep(options.output, built)
    return _write(options, facts)


def _settings(options: Options) -> BuildSettings:
    return BuildSettings(**{f.name: getattr(options, f.name) for f in dataclasses.fields(BuildSettings)})


def _check_input(options: Options) -> None:
    volume, voxel_size = read_density(options.map)
    needed = (WINDOW_VOXELS + 2) * VOXEL_ANGSTROM
    if len(volume) * voxel_size < needed:
        log.warning(
            "%s: %.0f angstrom a side; ModelAngelo looks through a window of %d voxels of %.1f angstrom and wants %.0f "
            "or more; pad the map",
            *(options.map, len(volume) * voxel_size, WINDOW_VOXELS, VOXEL_ANGSTROM, needed),
        )
    if options.mask is not None:
        read_mask(options.mask, len(volume), voxel_size, "the map")
    for kind, paths in options.sequences.items():
        for path in paths:
            read_sequences(path, kind)


def _identity(options: Options) -> dict[str, Any]:
    """Return all that decides the model; another identity may not use the folder."""
    digests = {name: file_digest(path) for name, path in (("map", options.map), ("mask", options.mask)) if path}
    sequences = {kind: [file_digest(path) for path in paths] for kind, paths in options.sequences.items()}
    settings = {k: v for k, v in dataclasses.asdict(_settings(options)).items() if k not in ("device", "batch")}
    plain: dict[str, Any] = json.loads(to_json({**digests, **sequences, **settings}))
    return plain


def _finished(options: Options) -> dict[str, Any] | None:
    """Return the summary of the same build where the folder holds it; None where it is to be run.

    Raises
    ------
    InputError: the folder holds something else, or another build, and overwrite is not set.
    """
    folder, record = options.output, options.output / RUN_FILE
    if not record.is_file():
        if (folder.is_dir() and any(folder.iterdir())) or (folder.exists() and not folder.is_dir()):
            raise InputError(f"{folder}: the output is in use by something else; pass another <output>")
        return None
    known, wanted = json.loads(record.read_text()), _identity(options)
    changed = sorted(key for key in wanted.keys() | known.keys() if wanted.get(key) != known.get(key))
    if changed and not options.overwrite:
        found = f"a build with other {', '.join(changed)}"
        raise InputError(f"{folder}: the output is in use by {found}; pass another <output>, or <overwrite>")
    if changed or not (folder / MODEL).is_file():
        return None
    if (folder / "summary.json").is_file():
        summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
        return summary
    facts = folder / WORK / FACTS  # the model was built, its page was cut off
    return _write(options, json.loads(facts.read_text())) if facts.is_file() else None


def _claim(options: Options) -> None:
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("summary.json", MODEL, "model_raw.cif", "report.html", "modelangelo.log"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "hmm_profiles", ignore_errors=True)
    _write_text(folder / RUN_FILE, to_json(_identity(options)) + "\n")


def _keep(folder: Path, built: BuiltModel) -> None:
    """Copy what a user wants out of ModelAngelo's folder; every file takes its name when it is whole."""
    _write_text(folder / MODEL, built.model.read_text())
    if built.raw is not None:
        _write_text(folder / "model_raw.cif", built.raw.read_text())
    for profile in built.profiles:
        (folder / "hmm_profiles").mkdir(exist_ok=True)
        _write_text(folder / "hmm_profiles" / profile.name, profile.read_text())


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def _shown(built: BuiltModel, staged: Path, output: Path) -> str:
    """Return the command line, the work folder by the name that it will have."""
    return " ".join(built.command).replace(str(staged), str((output / WORK).resolve()))


def _write(options: Options, facts: dict[str, Any]) -> dict[str, Any]:
    folder = options.output
    model = read_atomic_model(folder / MODEL)
    residues = residue_table(model.chains)
    summary = {
        "residues": len(residues),
        "protein_residues": sum(len(chain) for chain in model.protein),
        "nucleotides": sum(len(chain) for chain in model.nucleic),
        "chains": len(model.chains),
        "chains_20": sum(len(chain) >= COUNTED for chain in model.protein),
        "longest_chain": max(len(chain) for chain in model.chains),
        "mean_confidence": model.mean_b_factor,
        "with_sequence": bool(options.sequence),
        "bundle": str(options.bundle_path or _settings(options).bundle_name(bool(options.sequence))),
        "model": str(folder / MODEL),
        **facts,
    }
    for name, table in (("residues.csv", residues), ("chains.csv", chain_table(model.chains))):
        _write_text(folder / name, table.to_csv(index=False, float_format="%.6g"))
    page = _page(model, residues, summary)
    for name, picture in page.pictures.items():
        (folder / name).write_bytes(picture)
    write_page(folder / "report.html", "Atomic model", page.sections(), str(options.map))
    write_provenance(folder, "model build", options, options.inputs)
    write_summary(folder, summary)
    return summary


def _page(model: AtomicModel, residues: pd.DataFrame, summary: dict[str, Any]) -> BuildPage:
    trace = ModelTrace("model", *traces(model.chains))
    confidence = {"model": tuple(residues[name].to_numpy(np.float64) for name in ("confidence", "atoms"))}
    return BuildPage(summary, model_traces([trace]), confidence_histogram(confidence))
