"""The files of a simulated data set: true maps, noisy and clean stacks, tables and the spectrum of the noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cryoprior.image.spectrum import radial_average
from cryoprior.io import StackWriter, write_map, write_star
from cryoprior.simulation.simulation import Simulation
from cryoprior.simulation.tables import relion_tables


def write_simulation(folder: Path, simulation: Simulation, batch: int) -> None:
    """Write all files of a simulation into an empty folder, its images batch by batch."""
    (folder / "maps").mkdir()
    for state in simulation.states:
        write_map(folder / "maps" / f"{state.name}.mrc", state.volume, simulation.pixel_size)
    _write_stacks(folder, simulation, batch)
    _write_tables(folder, simulation)
    _write_spectrum(folder, simulation)


def simulation_summary(simulation: Simulation, snr: float) -> dict[str, Any]:
    """Return the numbers of a simulation under the names that summary.json promises."""
    states = simulation.draws.state
    return {
        "n": simulation.n,
        "box": simulation.box,
        "pixel_size_angstrom": simulation.pixel_size,
        "snr": snr,
        "mask_radius_angstrom": simulation.mask_radius_angstrom,
        "states": {state.name: int((states == i).sum()) for i, state in enumerate(simulation.states)},
    }


def _write_stacks(folder: Path, simulation: Simulation, batch: int) -> None:
    header = (simulation.n, simulation.box, simulation.pixel_size)
    with (
        StackWriter(folder / "particles.mrcs", *header) as noisy_stack,
        StackWriter(folder / "clean.mrcs", *header) as clean_stack,
    ):
        for clean, noisy in simulation.batches(batch):
            clean_stack.write(clean.numpy())
            noisy_stack.write(noisy.numpy())


def _write_tables(folder: Path, simulation: Simulation) -> None:
    draws = simulation.draws
    for name in ("particles", "clean"):
        table, optics = relion_tables(draws, f"{name}.mrcs", simulation.box, simulation.pixel_size)
        write_star(folder / f"{name}.star", table, optics)
    names = [simulation.states[i].name for i in draws.state]
    labels = pd.DataFrame({"particle": np.arange(simulation.n), "state": draws.state, "name": names})
    labels.to_csv(folder / "labels.csv", index=False)


def _write_spectrum(folder: Path, simulation: Simulation) -> None:
    curve = radial_average(simulation.power)[: simulation.box // 2 + 1]
    frequency = torch.arange(len(curve), dtype=torch.float64) / (simulation.box * simulation.pixel_size)
    spectrum = pd.DataFrame({"frequency_per_angstrom": frequency.numpy(), "power": curve.numpy()})
    spectrum.to_csv(folder / "noise_spectrum.csv", index=False)
