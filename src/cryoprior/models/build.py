"""Builds an atomic model into a map with ModelAngelo, once for each input: the engine of ``cryoprior model build``."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryoprior.external.modelangelo import MODELANGELO, BuildSettings, BuiltModel, build_model, version
from cryoprior.external.modelangelo_files import VOXEL_ANGSTROM, WINDOW_VOXELS, Kind, read_sequences
from cryoprior.io.atomic_models import read_atomic_model
from cryoprior.io.volumes import read_density, read_mask
from cryoprior.models.build_files import BUILT, LOG, MODEL, PROFILES, RAW, write_build
from cryoprior.output.files import write_whole
from cryoprior.output.folder import claim_output, holds_run, resume_output
from cryoprior.output.record import file_digest, to_json
from cryoprior.output.stored_json import read_json

COMMAND, WORK, FACTS = "model build", "modelangelo", "facts.json"
MAKES = (*BUILT, WORK, PROFILES)
"""The names of all that a build writes."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class BuildInput:
    """What a model is built from: a map, FASTA files by kind, and a mask."""

    map: Path
    sequences: Mapping[Kind, tuple[Path, ...]] = field(default_factory=dict)
    mask: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Return all files that are read."""
        given = [self.map, self.mask, *(path for paths in self.sequences.values() for path in paths)]
        return [path for path in given if path is not None]

    @property
    def with_sequence(self) -> bool:
        """Return whether a protein's sequence is known."""
        return bool(self.sequences.get("protein"))

    def check(self) -> None:
        """Raise InputError for a map, a mask or a FASTA file that ModelAngelo cannot use; warn of a small map."""
        volume, voxel_size = read_density(self.map)
        needed = (WINDOW_VOXELS + 2) * VOXEL_ANGSTROM
        if len(volume) * voxel_size < needed:
            log.warning(
                "%s: %.0f angstrom a side; ModelAngelo looks through a window of %d voxels of %.1f angstrom and wants "
                "%.0f or more; pad the map",
                *(self.map, len(volume) * voxel_size, WINDOW_VOXELS, VOXEL_ANGSTROM, needed),
            )
        if self.mask is not None:
            read_mask(self.mask, len(volume), voxel_size, "the map")
        for kind, paths in self.sequences.items():
            for path in paths:
                read_sequences(path, kind)

    def digests(self) -> dict[str, Any]:
        """Return the digests of all files that are read."""
        volumes = {name: file_digest(path) for name, path in (("map", self.map), ("mask", self.mask)) if path}
        return volumes | {kind: [file_digest(path) for path in paths] for kind, paths in self.sequences.items()}


def build_into(
    output: Path,
    given: BuildInput,
    settings: BuildSettings,
    options: Any,
    *,
    executable: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Return the summary of a model that the output folder holds; it is built unless it is there already.

    Parameters
    ----------
    options: the options that provenance.json records.
    executable: ModelAngelo's; None for the one that is installed.
    overwrite: replace a build of another input or with other settings.

    Raises
    ------
    InputError: a map, mask or FASTA file that cannot be used, ModelAngelo is absent or fails, the output is in use.
    """
    given.check()
    identity = _identity(given, settings)
    replace = overwrite and not holds_run(output, COMMAND, identity)
    with resume_output(
        output,
        COMMAND,
        identity,
        makes=MAKES,
        overwrite=replace,
        inputs=given.files,
        reopen=True,
    ) as work:
        summary = _finished(work.folder)
        if summary is not None:
            log.info("%s: built before from the same input; not run again", output)
        else:
            facts = _facts(work.folder) or _built(work.folder, output, given, settings, executable)
            bundle = str(settings.bundle_path or settings.bundle_name(given.with_sequence))
            known_facts = {
                "with_sequence": given.with_sequence,
                "bundle": bundle,
                "model": str(output / MODEL),
                **facts,
            }
            summary = write_build(work.folder, known_facts, options, given.files, str(given.map))
        work.complete()
    return summary


def _identity(given: BuildInput, settings: BuildSettings) -> dict[str, Any]:
    """Return all that decides the model: the input and the settings, but not where and in what batches it is run."""
    decisive = {k: v for k, v in dataclasses.asdict(settings).items() if k not in ("device", "batch")}
    return {**given.digests(), **decisive}


def _finished(folder: Path) -> dict[str, Any] | None:
    """Return the summary of the build in the folder, None where there is none or its model is gone."""
    path = folder / "summary.json"
    if not path.is_file() or not (folder / MODEL).is_file():
        return None
    return read_json(path, "a summary", "delete it, and build again")


def _facts(folder: Path) -> dict[str, Any] | None:
    """Return what is known of the model in the folder, where it was built but its page was not finished."""
    path = folder / WORK / FACTS
    if not path.is_file() or not (folder / MODEL).is_file():
        return None
    return read_json(path, "what is known of a model", "delete it, and build again")


def _built(
    folder: Path, output: Path, given: BuildInput, settings: BuildSettings, executable: Path | None
) -> dict[str, Any]:
    """Return what is known of a model, which is built into the folder now."""
    program = MODELANGELO.find(executable)
    start = time.perf_counter()
    with claim_output(folder / WORK, COMMAND, overwrite=True) as inner:
        built = build_model(
            given.map,
            inner,
            settings,
            sequences=given.sequences,
            mask=given.mask,
            executable=program,
            log=folder / LOG,
        )
        read_atomic_model(built.model)  # what cannot be read is not kept
        shown = " ".join(built.command).replace(str(inner), str((output / WORK).resolve()))
        facts = {"seconds": time.perf_counter() - start, "version": version(program), "command": shown}
        write_whole(inner / FACTS, to_json(facts))
        _keep(folder, built)
    return facts


def _keep(folder: Path, built: BuiltModel) -> None:
    """Copy what a user wants out of ModelAngelo's folder."""
    write_whole(folder / MODEL, built.model.read_text())
    if built.raw is not None:
        write_whole(folder / RAW, built.raw.read_text())
    for profile in built.profiles:
        (folder / PROFILES).mkdir(exist_ok=True)
        write_whole(folder / PROFILES / profile.name, profile.read_text())
