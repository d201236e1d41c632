"""The signal against its floors, on molecules of families that trained nothing; and where it misleads.

    python benchmarks/images/signal_floors.py --data DATA -o OUT [--particles 64]

DATA holds structures/, real/ and meta/. OUT gets rows.csv (scores), bands.csv (what the prior adds by resolution, what
is true of it, what the check finds without the truth), table.md and particles.png. A molecule and cell that is in
rows.csv already is not computed again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cryoprior.image.smoothing import low_passed
from cryoprior.io import read_particles
from cryoprior.measurement.conditioning import Measurement
from cryoprior.measurement.measuring import measure_unrounded
from cryoprior.metrics.image import correlation
from cryoprior.metrics.rings import frc_mean, frc_reach_angstrom, shell_powers
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior import load_prior
from cryoprior.prior.calibration import calibrate
from cryoprior.prior.posterior import posterior_mean, posterior_signal
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction.check import Check
from cryoprior.reconstruction.withholding import Withheld, predict_withheld
from cryoprior.report.figures import MontageRow, montage
from cryoprior.report.slider import own_grey
from cryoprior.solvers import Gaussian, Posterior

BOX, PIXEL_SIZE, SNR, BATCH = 64, 4.0, 0.1, 16
MOLECULES = {
    "insulin receptor": "many/4zxb.pdb.gz",
    "Taq polymerase with Fab": "many/1bgx.pdb.gz",
    "20S proteasome": "3j9i.pdb.gz",
    "mTOR": "many/4jsv.pdb.gz",
}
"""Families of none of the structures that trained the embedded priors of images."""
CELLS = {
    "full image": "identity",
    "K = 16, C = 2.5": "pixel:block=16,masks=102,rows=hadamard,sets=64",
    "K = 16, C = 10": "pixel:block=16,masks=26,rows=hadamard,sets=64",
    "Fourier, C = 2.5": "fourier:pattern=uniform,compression=2.5,symmetry=hermitian,sets=64",
    "Fourier, C = 10": "fourier:pattern=uniform,compression=10,symmetry=hermitian,sets=64",
}
SEEDS = (0, 1, 2)
BANDS = {"32 Å": range(1, 9), "16 Å": range(9, 17), "11 Å": range(17, 25), "8 Å": range(25, 33)}


@dataclass(frozen=True)
class Case:
    """One molecule under one operator, in the grey scale of the prior."""

    operator: Operator
    prior: Any
    y: Tensor
    clean: Tensor
    recorded: Tensor

    def images(self) -> Iterator[tuple[str, Tensor]]:
        """Yield every estimate by name."""
        parts: dict[str, list[Tensor]] = {}
        for start in range(0, len(self.y), BATCH):
            particles = list(range(start, min(start + BATCH, len(self.y))))
            y, noise = self.y[particles], ParticleNoise(0, "benchmark", particles)
            measurement = Measurement(self.operator, y, 0.0, particles, "benchmark")
            found = {
                "signal": posterior_signal(self.prior, measurement),
                "Wiener signal": Gaussian(estimate="signal", tolerance=1e-3)
                .solve(y, self.operator, self.prior, 0.0, noise)
                .x,
                "posterior mean": posterior_mean(self.prior, measurement),
                "Gaussian mean": Gaussian(tolerance=1e-3).solve(y, self.operator, self.prior, 0.0, noise).x,
                "least squares": self.operator.pinv(y, particles),
            }
            found["least squares, low-passed"] = low_passed(found["least squares"])
            found["posterior mean, low-passed"] = low_passed(found["posterior mean"])
            for name, x in found.items():
                parts.setdefault(name, []).append(x)
        yield from ((name, torch.cat(images)) for name, images in parts.items())
        yield "mean image", self.mean.expand_as(self.clean)
        yield "recorded image", self.recorded

    @property
    def mean(self) -> Tensor:
        """Return the prior's mean image."""
        return torch.as_tensor(self.prior.mean_image(BOX, self.y))

    def check(self) -> Check:
        """Return what withheld numbers say of the prior."""
        batches = [list(range(i, min(i + BATCH, len(self.y)))) for i in range(0, len(self.y), BATCH)]
        parts = [predict_withheld(self.prior, self.operator, self.y[p], 0.0, p, 0) for p in batches]
        unknown = torch.zeros(BOX // 2 + 1, dtype=torch.float64)
        return Check(Withheld.joined(parts), unknown, unknown, BOX, PIXEL_SIZE)


def simulated(data: Path, out: Path, name: str, particles: int) -> Path:
    """Return the folder of a molecule's particles, simulated if they are not there."""
    folder = out / "particles" / Path(MOLECULES[name]).name.split(".")[0]
    if not (folder / "clean.star").exists():
        words = ["simulate", data / "structures" / MOLECULES[name], "-o", folder, "--n", particles, "--box", BOX]
        words += ["--pixel-size", PIXEL_SIZE, "--snr", SNR, "--ctf", data / "meta/empiar_10028_ctf_sample.csv"]
        words += ["--noise-like", data / "real/empiar_10076_7.star", "--seed", 17, "--overwrite"]
        subprocess.run([sys.executable, "-m", "cryoprior", *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return folder


def opened(folder: Path, operator: Operator, prior: Any) -> Case:
    """Return the measurements of a molecule, and the prior fitted to them."""
    x, clean = (torch.from_numpy(read_particles(folder / f"{s}.star").read()) for s in ("particles", "clean"))
    particles = list(range(len(x)))
    y = measure_unrounded(x, operator, 0.0, 0, particles)
    fitted = calibrate(y, operator, prior.denoiser, 0.0, particles, contrast="bright")
    offset, scale = fitted.intensity.offset, fitted.intensity.scale
    inner = fitted.intensity.to_prior(y, operator, particles)
    return Case(operator, fitted.denoiser, inner, (clean - offset) / scale, (x - offset) / scale)


def scores(case: Case) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """Return one row per estimate, and the estimates."""
    rows, images = [], dict(case.images())
    for name, x in images.items():
        agreement, powers = correlation(x, case.clean), shell_powers(x, case.clean)
        curve = powers.pooled().frc
        rows.append(
            {
                "estimate": name,
                "correlation": float(agreement.mean()),
                "correlation_error": float(agreement.std()) / len(agreement) ** 0.5,
                "frc": float(frc_mean(curve, BOX)[0]),
                "frc_error": jackknife(lambda keep, p=powers: float(frc_mean(pooled(p, keep), BOX)), len(x)),
                "frc_half_angstrom": frc_reach_angstrom(curve[0], BOX, PIXEL_SIZE),
            }
        )
    return rows, images


def pooled(powers: Any, keep: Tensor) -> Tensor:
    """Return the FRC of the particles that are kept."""
    return torch.as_tensor(
        powers.cross[keep].sum(0) / (powers.power_a[keep].sum(0) * powers.power_b[keep].sum(0)).sqrt()
    )


def jackknife(statistic: Any, n: int, parts: int = 16) -> float:
    """Return the standard error of a statistic of particles, which are left out in parts."""
    groups = np.array_split(np.arange(n), min(parts, n))
    values = [statistic(torch.from_numpy(np.setdiff1d(np.arange(n), group))) for group in groups]
    return float(np.std(values) * (len(groups) - 1) ** 0.5)


def bands(case: Case, images: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Return by band what the prior adds to the Wiener signal, how much of it is true, and what the check says."""
    added = images["signal"] - images["Wiener signal"]
    truth = shell_powers(case.clean - images["Wiener signal"], added)
    error = shell_powers(case.clean - images["signal"], case.clean - images["signal"]).cross.sum(0)
    before = shell_powers(case.clean - images["Wiener signal"], case.clean - images["Wiener signal"]).cross.sum(0)
    about = shell_powers(case.clean - case.mean, case.clean - case.mean).cross.sum(0)
    says = shell_powers(added, added).cross.sum(0)
    table = case.check().table([list(shells) for shells in BANDS.values()])
    return [
        {
            "band": name,
            "adds": float(says[list(shells)].sum() / about[list(shells)].sum()),
            "true_confirmed": float(truth.cross[:, list(shells)].sum() / says[list(shells)].sum()),
            "true_gain": float((before - error)[list(shells)].sum() / about[list(shells)].sum()),
            **{f"check_{key}": float(row[key]) for key in ("gain", "gain_error", "confirmed", "confirmed_error")},
        }
        for (name, shells), (_, row) in zip(BANDS.items(), table.iterrows(), strict=True)
    ]


def picture(case: Case, images: dict[str, Tensor], path: Path, count: int = 3) -> None:
    """Draw three particles: recorded, measured, floors, signal, deviation, truth; each picture in its own greys."""
    particles = list(range(count))
    solver = Posterior(estimate="signal", samples=8)
    noise = ParticleNoise(0, "benchmark", particles)
    deviation = solver.solve(case.y[:count], case.operator, case.prior, 0.0, noise).deviation
    assert deviation is not None
    shown = {
        "recorded": case.recorded,
        "least squares": images["least squares"],
        "low-passed": images["least squares, low-passed"],
        "Wiener signal": images["Wiener signal"],
        "signal": images["signal"],
        "deviation": deviation,
        "truth": case.clean,
    }
    rows = [
        MontageRow(f"particle {i + 1}", [own_grey(x[i].numpy()) for x in shown.values()], -3.0, 3.0) for i in particles
    ]
    path.write_bytes(montage(rows, list(shown)))


def run(data: Path, out: Path, particles: int, molecules: Sequence[str]) -> None:
    """Compute what is missing and write the tables."""
    out.mkdir(parents=True, exist_ok=True)
    prior = load_prior("operator-aware")
    kept: dict[str, list[pd.DataFrame]] = {
        name: [pd.read_csv(out / name)] if (out / name).exists() else [] for name in ("rows.csv", "bands.csv")
    }
    for name in molecules:
        folder = simulated(data, out, name, particles)
        for cell, text in CELLS.items():
            for seed in SEEDS[:1] if text == "identity" else SEEDS:
                what: dict[str, Any] = {"molecule": name, "cell": cell, "seed": seed}
                if any((frame[list(what)] == list(what.values())).all(axis=1).any() for frame in kept["rows.csv"]):
                    continue
                what["particles"] = particles
                case = opened(folder, parse_operator(text, box=BOX, seed=seed), prior)
                rows, images = scores(case)
                what["particles"] = particles
                kept["rows.csv"].append(pd.DataFrame([{**what, **row} for row in rows]))
                kept["bands.csv"].append(pd.DataFrame([{**what, **row} for row in bands(case, images)]))
                for file, frames in kept.items():
                    pd.concat(frames).to_csv(out / file, index=False, float_format="%.5g")
                if (name, cell, seed) == ("insulin receptor", "K = 16, C = 2.5", 0):
                    picture(case, images, out / "particles.png")
                print(name, cell, seed, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--molecules", nargs="*", default=list(MOLECULES))
    given = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        run(given.data, given.output, given.particles, given.molecules)
