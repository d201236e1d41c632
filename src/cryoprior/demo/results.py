"""What the demo's runs left on disk, read back as the numbers and pictures of its page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from cryoprior.demo.page import ScoreRow
from cryoprior.io import read_particles
from cryoprior.metrics import frc_mean, pooled_frc

NOISY = "full noisy image"
SCEPTICS = {
    "Wiener signal": "wiener_signal",
    "least squares, low-passed": "low_passed",
    "mean image, no data": "mean_image",
    NOISY: "full_image",
}


@dataclass(frozen=True)
class Result:
    """One method on one operator: where its files are, and the summaries of reconstruct and evaluate."""

    name: str
    title: str
    folder: Path
    report: Path
    reconstructed: Mapping[str, Any]
    judged: Mapping[str, Any]

    @property
    def n(self) -> int:
        """Return how many particles were reconstructed."""
        return int(self.judged["n"])

    @cached_property
    def particles(self) -> pd.DataFrame:
        """Return the scores of every particle, one row each."""
        return pd.read_csv(self.report / "particles.csv")

    @cached_property
    def shells(self) -> pd.DataFrame:
        """Return the curves over the shells."""
        return pd.read_csv(self.report / "frc.csv")

    def images(self, count: int) -> Float[np.ndarray, "b box box"]:
        """Return the first images."""
        return read_images(self.folder / "particles.star", count)

    def scores(self) -> ScoreRow:
        """Return the scores over all particles that were reconstructed."""
        clean = self.judged["clean"]
        return self._row(self.particles, clean["frc"], clean["frc_half_angstrom"])

    def scores_of_first(self, count: int, clean: Path) -> ScoreRow:
        """Return the scores over the first particles; ``clean`` is the star file of their clean images."""
        truth = read_images(clean, count)
        curve = pooled_frc(torch.from_numpy(self.images(count)), torch.from_numpy(truth))
        return self._row(self.particles.iloc[:count], float(frc_mean(curve, truth.shape[-1])))

    def _row(self, particles: pd.DataFrame, frc: float, reach: float | None = None) -> ScoreRow:
        gain = particles["clean_correlation"] - particles["least_squares.clean_correlation"]
        error = float(gain.std()) / len(gain) ** 0.5 if len(gain) > 1 else 0.0
        is_floor = self.name == "least-squares"
        return ScoreRow(
            self.title,
            correlation=float(particles["clean_correlation"].mean()),
            gain=None if is_floor else (float(gain.mean()), error),
            frc=frc,
            reach=reach,
            ssim=float(particles["ssim"].mean()),
            psnr=float(particles["psnr"].mean()),
            residual=float(particles["residual"].mean()),
            evaluations=int(self.reconstructed["evaluations"]),
            seconds=self.reconstructed["seconds"] / self.reconstructed["n"],
        )

    def floors(self) -> list[ScoreRow]:
        """Return floors: a sceptic's against the clean image, the original, and two that know nothing of the particle.

        The sceptic's are known where a prior was asked: smoothing, no data at all, the Wiener estimate of the signal.
        """
        clean, floors = self.judged["clean"], self.judged["floors"]
        sceptics = {title: clean[key] for title, key in SCEPTICS.items() if key in clean}
        named = {"spectrum-matched noise": "spectrum_noise", "constant image": "constant"}
        return [
            *(
                ScoreRow(title, correlation=part["correlation"], frc=part["frc"], reach=part["frc_half_angstrom"])
                for title, part in sceptics.items()
            ),
            *(ScoreRow(title, ssim=floors[key]["ssim"], psnr=floors[key]["psnr"]) for title, key in named.items()),
        ]

    def summary(self) -> dict[str, Any]:
        """Return the numbers of ``summary.json``."""
        numbers = dataclasses.asdict(self.scores())
        numbers["clean_correlation"], numbers["clean_frc"] = numbers.pop("correlation"), numbers.pop("frc")
        gain = numbers.pop("gain")
        if gain is not None:
            numbers["over_least_squares"] = {"mean": gain[0], "standard_error": gain[1]}
        return {"n": self.n, "solver": self.reconstructed["solver"], **numbers}


def read_images(star: Path, count: int) -> Float[np.ndarray, "b box box"]:
    """Return the first images of a particle file."""
    return read_particles(star).read(range(count))


def clean_curves(results: list[Result]) -> tuple[Float[np.ndarray, " s"], dict[str, Float[np.ndarray, " s"]]]:
    """Return the resolution of every shell, and these methods' and the noisy image's curve with the clean one."""
    shells = results[0].shells
    curves = {r.title: r.shells["frc.reconstruction.clean"].to_numpy() for r in results}
    return shells["resolution_angstrom"].to_numpy(), curves | {NOISY: shells["frc.original.clean"].to_numpy()}
