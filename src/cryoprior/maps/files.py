"""The files of a set of maps, and the page that shows several beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.io import write_blocks, write_map
from cryoprior.maps.judgement import Judgement
from cryoprior.maps.making import MapSet
from cryoprior.maps.page import MapPage
from cryoprior.metrics.fsc import Resolution, volume_shells
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.report.page import Alert, write_page


@dataclass(frozen=True)
class NamedMaps:
    """Maps with their judgement under the name that the page gives them."""

    name: str
    maps: MapSet
    judgement: Judgement


def write_maps(folder: Path, named: NamedMaps, mask: Float[Tensor, "d d d"] | None = None) -> None:
    """Write map, half maps, filtered map, the mask where given, and the curves as star and CSV.

    ``half1.mrc`` and ``half2.mrc`` are named as RELION's postprocess wants them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    maps, size = named.maps, named.maps.voxel_size_angstrom
    volumes = {"half1": maps.half_1, "half2": maps.half_2, "map": maps.full}
    volumes["map_filtered"] = fsc_filtered(maps, named.judgement)
    if mask is not None:
        volumes["mask"] = mask
    for name, volume in volumes.items():
        write_map(folder / f"{name}.mrc", volume.float().numpy(), size)
    table = fsc_table(named)
    table.to_csv(folder / "fsc.csv", index=False, float_format="%.6g")
    write_blocks(folder / "fsc.star", {"fsc": _relion_names(table)})


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


def write_map_page(
    folder: Path,
    shown: Sequence[NamedMaps],
    facts: Sequence[tuple[str, str]],
    truth: Float[Tensor, "d d d"] | None,
    warnings: Sequence[Alert],
    *,
    prior_inside: bool,
) -> None:
    """Write report.html, fsc.png and slices.png of maps beside each other; the first is the one that was asked for."""
    first = shown[0]
    known = first.judgement.truth is not None
    pictures: Mapping[str, np.ndarray] = {
        **({"true map": truth.numpy()} if truth is not None else {}),
        **{named.name: named.maps.full.numpy() for named in shown},
    }
    curves = first.judgement.curves
    page = MapPage(
        facts=facts,
        columns=("map", "particles", "half maps 0.143", "half maps 0.5", *(("truth 0.5", "correlation") * known)),
        rows=[_row(named) for named in shown],
        resolution_angstrom=shell_resolution_angstrom(first.maps.box, first.maps.voxel_size_angstrom).numpy(),
        curves={
            "corrected": curves.corrected.numpy(),
            "masked": curves.masked.numpy(),
            "unmasked": curves.unmasked.numpy(),
            "phases randomised": curves.randomised.numpy(),
        },
        methods={
            n.name: (n.judgement.curves.corrected if n.judgement.truth is None else n.judgement.truth.fsc).numpy()
            for n in shown
        },
        against="true map" if known else "other half map",
        maps=pictures,
        voxel_size_angstrom=first.maps.voxel_size_angstrom,
        prior_inside=prior_inside,
        warnings=warnings,
    )
    (folder / "fsc.png").write_bytes(page.fsc_picture())
    (folder / "slices.png").write_bytes(page.slices_picture())
    write_page(folder / "report.html", "Map report", page.sections(), first.name)


def _row(named: NamedMaps) -> list[str]:
    judgement = named.judgement
    row = [named.name, str(named.maps.n), angstrom(judgement.resolution), angstrom(judgement.resolution_05)]
    if judgement.truth is not None:
        row += [angstrom(judgement.truth.resolution), f"{judgement.truth.correlation.about_zero:.4f}"]
    return row


def angstrom(found: Resolution) -> str:
    """Return a resolution as text; what never falls below the threshold is marked as at most that."""
    return f"≤ {found.angstrom:.2f} (Nyquist)" if found.nyquist_limited else f"{found.angstrom:.2f}"
