"""``cryoprior simulate``: particles with known truth from atomic models or maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import (
    COMPUTING,
    INPUT,
    Computing,
    argument,
    check_options,
    option,
    output_option,
    overwrite_option,
)

EXAMPLE = "cryoprior simulate 50s.cif -o sim/ --n 4000 --box 64 --pixel-size 5 --snr 0.1"
NEXT = "cryoprior measure {output}/particles.star -o y.zarr --operator pixel:block=16,masks=192,rows=hadamard"


@dataclass(frozen=True)
class Options(Computing):
    """What to simulate."""

    structures: tuple[Path, ...] = argument("Atomic models (.pdb, .cif, .gz) or maps (.mrc).", many=True)
    output: Path = output_option("Folder to write.")
    n: int = option("Number of particles.", 1000, minimum=1)
    box: int = option("Pixels a side.", 64, minimum=8, maximum=1024)
    pixel_size: float = option("Pixel size in angstrom.", 5.0, minimum=0.1)
    snr: float = option("Variance of the signal over that of the noise, inside the particle mask.", 0.1, minimum=1e-6)
    ctf: Path | None = option(
        "CSV of CTF values, and optical columns of RELION, to draw from (default: 0.8 to 2.8 um of defocus at 300 kV).",
        None,
        group=INPUT,
    )
    noise_like: Path | None = option(
        "Stack or spectrum (.csv) whose noise is imitated (default: white noise).", None, group=INPUT
    )
    noise_radius: float | None = option(
        "Radius of the particles in that stack, in angstrom (default: 0.42 box).", None, minimum=1, group=INPUT
    )
    keep_chains: tuple[str, ...] = option(
        "Chains to use, as shell patterns such as 'B*'; may be repeated.", (), repeat=True
    )
    leave_out: tuple[str, ...] = option(
        "A further state without these chains, 'BG,BS'; may be repeated.", (), repeat=True
    )
    b_factor: float = option("B-factor of every atom, in square angstrom.", 80.0, minimum=0)
    shift: float = option("Standard deviation of the shifts along x and y, in angstrom.", 4.0, minimum=0)
    radius: float | None = option("Radius of the particle mask, in angstrom (default: from the maps).", None, minimum=1)
    seed: int = option("Seed of all random streams.", 0, minimum=0)
    batch: int = option("Particles in memory at a time.", 128, minimum=1, group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return the summary of a simulated data set: RELION star, noisy and clean stacks, labels and true maps."""
    from cryoprior.devices import choose_device, limit_threads
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary
    from cryoprior.progress import track
    from cryoprior.simulation.files import simulation_summary, write_simulation
    from cryoprior.simulation.noise import noise_files, read_noise
    from cryoprior.simulation.optics import read_ctf_table
    from cryoprior.simulation.simulation import prepare
    from cryoprior.simulation.states import read_states

    limit_threads(options.threads)
    grid, files = (options.box, options.pixel_size), noise_files(options.noise_like)
    inputs = [*options.structures, *filter(None, [options.ctf]), *files]
    with claim_output(options.output, "simulate", overwrite=options.overwrite, inputs=inputs) as folder:
        chains = (options.keep_chains, options.leave_out)
        states = [
            state
            for path in track(options.structures, "maps")
            for state in read_states(path, *grid, *chains, options.b_factor)
        ]
        simulation = prepare(
            states,
            options.n,
            options.pixel_size,
            options.snr,
            read_ctf_table(options.ctf),
            read_noise(options.noise_like, *grid, options.noise_radius),
            options.shift,
            options.radius,
            options.seed,
            str(choose_device(options.device)),
        )
        write_simulation(folder, simulation, options.batch)
        summary = {**simulation_summary(simulation, options.snr), "output": str(options.output)}
        write_provenance(folder, "simulate", options, inputs, options.seed)
        write_summary(folder, summary)
    return summary
