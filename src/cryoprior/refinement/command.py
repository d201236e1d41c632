"""``cryoprior external-reconstruct``: the map that RELION refines against, with a prior of maps, from its own sums."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import INPUT, Computing, argument, check_options, option, output_option, overwrite_option

EXAMPLE = "cryoprior external-reconstruct run_it005_half1_class001_external_reconstruct.star -o tried/"


@dataclass(frozen=True)
class Options(Computing):
    star: Path = argument(
        "The star file that relion_refine --external_reconstruct wrote. RELION puts it here itself where its variable "
        "RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE holds 'cryoprior external-reconstruct', with options."
    )
    map_prior: str = option(
        "Prior of maps: default, a folder that train-map wrote, or none for RELION's own reconstruction.", "default"
    )
    voxel_size: float | None = option(
        "Voxel size in angstrom (default: that in RELION's model file of the iteration before).",
        None,
        group=INPUT,
        minimum=0.1,
        maximum=100,
    )
    output: Path | None = output_option("Folder to write (default: the map where RELION reads it).", None)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    started = time.monotonic()
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.errors import InputError
    from cryoprior.external.relion_sums import read_sums
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.prior import load_map_prior
    from cryoprior.refinement.files import write_beside_relions, write_in_folder
    from cryoprior.refinement.reconstructing import reconstruct_reference

    limit_threads(options.threads)
    sums = read_sums(options.star)
    voxel_size = options.voxel_size or sums.voxel_size
    prior = None
    if options.map_prior != "none":
        if not voxel_size:
            raise InputError(
                f"{options.star}: no model file of RELION beside it, so no voxel size, which the prior needs; pass "
                "<voxel_size>, or <map_prior=none>"
            )
        prior = load_map_prior(options.map_prior, device=choose_device(options.device))
    reference = reconstruct_reference(sums, prior, voxel_size)
    summary: dict[str, Any] = {
        "part": sums.part,
        "box": sums.box,
        "current_size": sums.current_size,
        "voxel_size_angstrom": voxel_size or None,
        "map_prior": options.map_prior,
        "given": "prior" if reference.map is reference.prior else "prior-free",
        "snr": None if reference.snr is None else reference.snr.round(6).tolist(),
        "seconds": round(time.monotonic() - started, 2),
        "output": str(options.output or sums.result),
    }
    if options.output is None:
        write_beside_relions(sums, reference, voxel_size, options, summary)
        return summary
    inputs = [options.star, *sums.files]
    with claim_output(options.output, "external-reconstruct", overwrite=options.overwrite, inputs=inputs) as folder:
        write_in_folder(folder, reference, voxel_size)
        write_provenance(folder, "external-reconstruct", options, inputs)
        write_summary(folder, summary)
    return summary
