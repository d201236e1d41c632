"""The files of maps: volumes, curves and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.io import Measurements, write_blocks, write_map
from cryoprior.maps.job import PRIOR_FREE, MapJob
from cryoprior.maps.judgement import Judgement, NamedMaps
from cryoprior.maps.map_set import MapSet
from cryoprior.metrics.fsc import volume_shells
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.operators import Operator
from cryoprior.referee.tables import beside_curves


def write_maps(folder: Path, named: Sequence[NamedMaps]) -> None:
    """Write the first maps into a folder with their mask, and the others into folders of their names in it."""
    first, *others = named
    write_map_set(folder, first, first.judgement.mask)
    for other in others:
        write_map_set(folder / folder_name(other), other)


def folder_name(named: NamedMaps) -> str:
    """Return the name of the folder of maps that stand beside others."""
    return "prior_free" if named.name == PRIOR_FREE else named.name.replace(" ", "_")


def write_map_set(folder: Path, named: NamedMaps, mask: Float[Tensor, "d d d"] | None = None) -> None:
    """Write map, half maps, filtered map, the mask where given, and the curves as star and CSV.

    Where a map prior was asked, its weights and verdicts by shell stand beside the curves.

    The unregularised half maps are those that EMDB asks for.

    ``half1.mrc`` and ``half2.mrc`` are named as RELION's postprocess wants them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    maps, size = named.maps, named.maps.voxel_size_angstrom
    volumes = {"half1": maps.half_1, "half2": maps.half_2, "map": maps.full}
    if maps.unregularised is not None:
        volumes |= {f"half{half}_unregularised": volume for half, volume in enumerate(maps.unregularised, start=1)}
    volumes["map_filtered"] = fsc_filtered(maps, named.judgement)
    if mask is not None:
        volumes["mask"] = mask
    for name, volume in volumes.items():
        write_map(folder / f"{name}.mrc", volume.float().numpy(), size)
    table = fsc_table(named)
    star = _relion_names(table)
    if maps.audit is not None:
        columns, labels = beside_curves(maps.audit)
        table, star = pd.concat([table, columns], axis=1), pd.concat([star, labels], axis=1)
    table.to_csv(folder / "fsc.csv", index=False, float_format="%.6g")
    write_blocks(folder / "fsc.star", {"fsc": star})


def fsc_filtered(maps: MapSet, judgement: Judgement) -> Float[Tensor, "d d d"]:
    """Return the full map with every shell weighted by sqrt(2 FSC / (1 + FSC)), nothing beyond the resolution.

    Source: Rosenthal and Henderson, J. Mol. Biol. 333 (2003) 721, Eq. 13.
    """
    curve = judgement.curves.corrected.clamp(0, 1)
    weights = (2 * curve / (1 + curve)).sqrt()
    weights[0] = 1.0
    last = maps.box * maps.voxel_size_angstrom / judgement.resolution.angstrom
    weights[torch.arange(len(weights)) > last] = 0.0
    shells = volume_shells(maps.box).long()
    transfer = torch.cat([weights, weights.new_zeros(1)])[shells]
    filtered: Tensor = torch.fft.irfftn(torch.fft.rfftn(maps.full.double()) * transfer, s=(maps.box,) * 3)
    return filtered.to(maps.full)


def fsc_table(named: NamedMaps) -> pd.DataFrame:
    """Return the curves by shell: half maps unmasked, masked, randomised, corrected, and with the truth where known."""
    curves = named.judgement.curves
    resolution = shell_resolution_angstrom(named.maps.box, named.maps.voxel_size_angstrom).numpy()
    table = pd.DataFrame(
        {
            "shell": np.arange(len(resolution)),
            "frequency_per_angstrom": 1 / resolution,
            "resolution_angstrom": resolution,
            "fsc_corrected": curves.corrected.numpy(),
            "fsc_unmasked": curves.unmasked.numpy(),
            "fsc_masked": curves.masked.numpy(),
            "fsc_randomised": curves.randomised.numpy(),
        }
    )
    if named.judgement.truth is not None:
        table["fsc_truth"] = named.judgement.truth.fsc.numpy()
    return table


def _relion_names(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table under the names of RELION's postprocess; it writes 999 angstrom for shell 0."""
    correlation = "rlnFourierShellCorrelation"
    return pd.DataFrame(
        {
            "rlnSpectralIndex": table["shell"],
            "rlnResolution": table["frequency_per_angstrom"],
            "rlnAngstromResolution": table["resolution_angstrom"].replace(np.inf, 999.0),
            f"{correlation}Corrected": table["fsc_corrected"],
            f"{correlation}UnmaskedMaps": table["fsc_unmasked"],
            f"{correlation}MaskedMaps": table["fsc_masked"],
            "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": table["fsc_randomised"],
        }
    )


def map_summary(
    job: MapJob, named: Sequence[NamedMaps], says: str, symmetry: str, mask_from: str, warnings: Sequence[str]
) -> dict[str, Any]:
    """Return the numbers of maps under the names that summary.json promises, and what they say in one sentence."""
    first, *others = named
    maps = first.maps
    return {
        "says": says,
        "n": maps.n,
        "n_half": [maps.n_half_1, maps.n_half_2],
        "box": maps.box,
        "voxel_size_angstrom": maps.voxel_size_angstrom,
        "symmetry": symmetry,
        **first.judgement.summary(),
        "mask": mask_from,
        "contrast": "dark" if maps.dark else "bright",
        "solution": {"steps": maps.steps, "residual": maps.residual, "converged": maps.converged},
        "ctf": job.source.geometry.ctf is not None,
        **({} if job.prior_weight is None else {"prior_weight": job.prior_weight}),
        **({} if job.measured is None else _measured(*job.measured)),
        "beside": {folder_name(other): {"n": other.maps.n, **other.judgement.summary()} for other in others},
        "warnings": list(warnings),
    }


def _measured(measurements: Measurements, operator: Operator) -> dict[str, Any]:
    """Return what was measured, and what it takes: C and bytes."""
    return {
        "operator": measurements.operator_spec,
        "compression": operator.compression,
        "bytes_per_particle": measurements.bytes_per_particle,
    }
