"""The files of an audit: maps, verdict by shell as CSV and STAR; and the pair of half maps with random phases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32

from cryoprior.audit.noise_test import NoiseTest
from cryoprior.errors import InputError
from cryoprior.io import write_blocks, write_map
from cryoprior.io.volumes import read_density, read_volume
from cryoprior.output.stored_json import read_json
from cryoprior.referee.auditing import check_apart
from cryoprior.referee.randomising import check_same_halves, check_shell, randomised_halves
from cryoprior.referee.result import Audit
from cryoprior.referee.tables import star_table, verdict_table
from cryoprior.referee.volumes import write_prior_volumes


@dataclass(frozen=True, eq=False)
class ReadPair:
    """What a folder of half maps with random phases holds with the prior's maps of them."""

    from_shell: int
    halves: tuple[Float32[np.ndarray, "d d d"], Float32[np.ndarray, "d d d"]]
    priors: tuple[Float32[np.ndarray, "d d d"], Float32[np.ndarray, "d d d"]]


def write_audit(folder: Path, audit: Audit) -> None:
    """Write map.mrc (prior-free), what the prior made of it, the gated maps, verdict.csv and verdict.star."""
    write_map(folder / "map.mrc", audit.maps.free.float().numpy(), audit.voxel_size_angstrom)
    write_prior_volumes(folder, audit)
    table = verdict_table(audit)
    table.to_csv(folder / "verdict.csv", index=False, float_format="%.6g")
    write_blocks(folder / "verdict.star", {"fsc": star_table(table)})


def write_noise(folder: Path, noise: NoiseTest, voxel_size: float) -> None:
    """Write noise_prior.mrc, what the prior made of noise in place of the particles, and noise.csv by shell."""
    write_map(folder / "noise_prior.mrc", noise.led.float().numpy(), voxel_size)
    curves = {
        "fsc_half_maps": noise.halves,
        "fsc_prior_halves": noise.led_halves,
        "fsc_with_map": noise.led_with_map,
        "fsc_prior_halves_told_itself": noise.unled_halves,
    }
    table = pd.DataFrame({"shell": range(len(noise.halves)), **{name: curve.numpy() for name, curve in curves.items()}})
    table.to_csv(folder / "noise.csv", index=False, float_format="%.6g")


def write_randomised(
    folder: Path,
    half_1: Float[np.ndarray, "d d d"],
    half_2: Float[np.ndarray, "d d d"],
    voxel_size: float,
    from_shell: int,
    seed: int,
) -> dict[str, Any]:
    """Write half1.mrc and half2.mrc with random phases from a shell on; return the summary that names the shell."""
    halves = torch.from_numpy(half_1), torch.from_numpy(half_2)
    check_apart(*halves, "half1 and half2", "two maps of separate particles")
    pair = randomised_halves(*halves, from_shell, seed)
    for half, volume in enumerate(pair, start=1):
        write_map(folder / f"half{half}.mrc", volume.numpy(), voxel_size)
    edge = len(half_1) * voxel_size
    return {
        "says": (
            f"The phases of both half maps are random beyond {edge / from_shell:.1f} Å. Put each, alone, through the "
            "program that is audited; save what it makes as prior1.mrc and prior2.mrc in this folder; then pass the "
            "folder to the audit as that of random phases (randomised)."
        ),
        "randomised_from_shell": from_shell,
        "randomised_from_angstrom": edge / from_shell,
        "seed": seed,
    }


def read_pair(folder: Path, half_1: Float[np.ndarray, "d d d"], half_2: Float[np.ndarray, "d d d"]) -> ReadPair:
    """Return the pair in a folder with prior1.mrc and prior2.mrc.

    Raises
    ------
    InputError: no such folder, no maps of the prior in it, another grid, half maps that are not these with random
        phases.
    """
    path = folder / "summary.json"
    if not path.is_file():
        raise InputError(f"{folder}: no summary.json; expected the folder that <randomise_beyond> wrote; write one")
    remedy = "write the folder again"
    shell = int(
        read_json(path, "the summary of randomised half maps", remedy, {"randomised_from_shell": int})[
            "randomised_from_shell"
        ]
    )
    check_shell(shell, len(half_1))
    _, voxel_size = read_density(folder / "half1.mrc")
    grid = (len(half_1), voxel_size, "the half maps")
    halves = (read_volume(folder / "half1.mrc", *grid), read_volume(folder / "half2.mrc", *grid))
    for given, randomised in zip((half_1, half_2), halves, strict=True):
        check_same_halves(torch.from_numpy(given), torch.from_numpy(randomised), shell)
    priors = (read_volume(folder / "prior1.mrc", *grid), read_volume(folder / "prior2.mrc", *grid))
    return ReadPair(shell, halves, priors)
