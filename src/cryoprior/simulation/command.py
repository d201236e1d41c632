"""``cryoprior simulate``: particles with known truth from atomic models or maps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cryoprior.image.spectrum import radial_average, soft_disc
from cryoprior.io import StackWriter, write_map, write_star
from cryoprior.options import argument, check_options, option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.progress import track
from cryoprior.simulation.noise import coloured_noise, read_noise
from cryoprior.simulation.particles import Draws, Projector, draw_particles, read_ctf_table
from cryoprior.simulation.states import State, particle_radius, read_states
from cryoprior.simulation.tables import relion_tables

logger = logging.getLogger("cryoprior")

PILOT = 256
"""Particles of each structure from which the scale of its signal is found."""


@dataclass(frozen=True)
class Options:
    """What to simulate."""

    structures: tuple[Path, ...] = argument("atomic models (.pdb, .cif, .gz) or maps (.mrc)", many=True)
    output: Path = option("folder to write", flags=("-o", "--output"))
    n: int = option("number of particles", 1000, minimum=1)
    box: int = option("pixels a side", 64, minimum=8, maximum=1024)
    pixel_size: float = option("angstrom a pixel", 5.0, minimum=0.1)
    snr: float = option("variance of signal over noise inside the particle mask", 0.1, minimum=1e-6)
    ctf: Path | None = option("CSV of CTF values to draw from (default: 0.8 to 2.8 um at 300 kV)", None)
    noise_like: Path | None = option("stack or spectrum CSV whose noise to imitate (default: white)", None)
    noise_radius: float | None = option("particle radius in that stack, angstrom (default: 0.42 box)", None, minimum=1)
    keep_chains: tuple[str, ...] = option("chains to use, shell patterns such as 'B*' (repeat)", (), repeat=True)
    leave_out: tuple[str, ...] = option("a further state without these chains, 'BG,BS' (repeat)", (), repeat=True)
    b_factor: float = option("B-factor of every atom, square angstrom", 80.0, minimum=0)
    shift: float = option("standard deviation of the in-plane shift, angstrom", 4.0, minimum=0)
    radius: float | None = option("particle mask radius, angstrom (default: from the maps)", None, minimum=1)
    seed: int = option("seed of all random streams", 0, minimum=0)
    batch: int = option("particles at once", 128, minimum=1)
    device: str = option("cpu or cuda", "cpu")
    overwrite: bool = option("replace the output folder", False)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a simulated data set: RELION star, noisy and clean stacks, labels and true maps."""
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        states = [
            state
            for path in track(options.structures, "maps")
            for state in read_states(
                path, options.box, options.pixel_size, options.keep_chains, options.leave_out, options.b_factor
            )
        ]
        draws = draw_particles(options.n, len(states), read_ctf_table(options.ctf), options.shift, options.seed)
        power = read_noise(options.noise_like, options.box, options.pixel_size, options.noise_radius)
        radius = options.radius or max(particle_radius(s.volume) for s in states) * options.pixel_size
        scales = _signal_scales(states, options, radius / options.pixel_size)
        _write_maps(folder, states, scales, options.pixel_size)
        _write_stacks(folder, states, draws, scales, power, options)
        _write_tables(folder, states, draws, power, options)
        inputs = [p for p in (*options.structures, options.ctf, options.noise_like) if p is not None]
        summary = {
            "n": options.n,
            "box": options.box,
            "pixel_size_angstrom": options.pixel_size,
            "snr": options.snr,
            "mask_radius_angstrom": radius,
            "states": {s.name: int((draws.state == i).sum()) for i, s in enumerate(states)},
            "output": str(options.output),
        }
        write_provenance(folder, "simulate", options, inputs, options.seed)
        write_summary(folder, summary)
    return summary


def _signal_scales(states: list[State], options: Options, radius_pixel: float) -> list[float]:
    """Return the factor on each map that gives the wanted SNR, one for all states of a structure."""
    mask = soft_disc(options.box, radius_pixel) > 0.5
    table = read_ctf_table(options.ctf)
    scales: dict[str, float] = {}
    for state in states:
        if state.source not in scales:
            pilot = draw_particles(min(PILOT, 4 * options.n), 1, table, options.shift, options.seed + 1)
            project = Projector([state], pilot, options.pixel_size, options.device)
            images = project(np.arange(len(pilot.state)))
            scales[state.source] = float((options.snr / images[:, mask].var(dim=1).mean()).sqrt())
    return [scales[s.source] for s in states]


def _write_maps(folder: Path, states: list[State], scales: list[float], pixel_size: float) -> None:
    (folder / "maps").mkdir()
    for state, scale in zip(states, scales, strict=True):
        write_map(folder / "maps" / f"{state.name}.mrc", (state.volume * scale).astype(np.float32), pixel_size)


def _write_stacks(
    folder: Path, states: list[State], draws: Draws, scales: list[float], power: Tensor, options: Options
) -> None:
    scaled = [State(s.name, s.source, (s.volume * f).astype(np.float32)) for s, f in zip(states, scales, strict=True)]
    project = Projector(scaled, draws, options.pixel_size, options.device)
    header = (options.n, options.box, options.pixel_size)
    starts = range(0, options.n, options.batch)
    with (
        StackWriter(folder / "particles.mrcs", *header) as noisy,
        StackWriter(folder / "clean.mrcs", *header) as clean,
    ):
        for start in track(starts, "particles"):
            rows = np.arange(start, min(start + options.batch, options.n))
            signal = project(rows).cpu()
            clean.write(signal.numpy())
            noisy.write((signal + coloured_noise(rows, power, options.seed)).numpy())


def _write_tables(folder: Path, states: list[State], draws: Draws, power: Tensor, options: Options) -> None:
    for name in ("particles", "clean"):
        table, optics = relion_tables(draws, f"{name}.mrcs", options.box, options.pixel_size)
        write_star(folder / f"{name}.star", table, optics)
    names = [states[i].name for i in draws.state]
    labels = pd.DataFrame({"particle": np.arange(options.n), "state": draws.state, "name": names})
    labels.to_csv(folder / "labels.csv", index=False)
    curve = radial_average(power)[: options.box // 2 + 1]
    frequency = torch.arange(len(curve), dtype=torch.float64) / (options.box * options.pixel_size)
    spectrum = pd.DataFrame({"frequency_per_angstrom": frequency.numpy(), "power": curve.numpy()})
    spectrum.to_csv(folder / "noise_spectrum.csv", index=False)
