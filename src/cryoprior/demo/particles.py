"""The particles of the demo: a made-up assembly in noise that is coloured as in vitreous ice."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.demo.assembly import made_up_assembly
from cryoprior.io import write_map
from cryoprior.simulation import command as simulate

BOX, PIXEL_SIZE_ANGSTROM, SNR = 64, 5.0, 0.1

log = logging.getLogger("cryoprior")


def simulate_particles(folder: Path, n: int, seed: int, device: str = "auto", threads: int | None = None) -> Path:
    """Return the folder of the simulated particles, noisy and clean; ``folder`` gets their assembly too."""
    log.info("simulate: %d particles of a made-up assembly, signal-to-noise ratio %.2g", n, SNR)
    write_map(folder / "assembly.mrc", made_up_assembly(BOX, PIXEL_SIZE_ANGSTROM, seed), PIXEL_SIZE_ANGSTROM)
    _noise_table().to_csv(folder / "noise.csv", index=False)
    options = simulate.Options(
        structures=(folder / "assembly.mrc",),
        output=folder / "particles",
        n=n,
        box=BOX,
        pixel_size=PIXEL_SIZE_ANGSTROM,
        snr=SNR,
        noise_like=folder / "noise.csv",
        seed=seed,
        device=device,
        threads=threads,
        overwrite=True,
    )
    simulate.run(options)
    return options.output


def _noise_table() -> pd.DataFrame:
    """Return a noise spectrum that falls to a third between 50 and 15 angstrom, as in vitreous ice on a detector."""
    frequency = np.linspace(0, 0.1, 33)
    return pd.DataFrame({"frequency_per_angstrom": frequency, "power": 0.75 + 1.5 / (1 + (frequency / 0.045) ** 6)})
