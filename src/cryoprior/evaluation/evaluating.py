"""Scores of reconstructed images beside their floors, with no files: ``cryoprior.evaluate``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.evaluation.compared import Compared, compared_arrays
from cryoprior.evaluation.floors import (
    constant_image,
    least_squares,
    radial_spectrum,
    spectrum_noise,
)
from cryoprior.evaluation.gathering import Images, Scores
from cryoprior.evaluation.lpips import choose_lpips
from cryoprior.evaluation.prior_floors import PriorFloors
from cryoprior.evaluation.summary import clean_scores, curves, mean_scores, particle_columns, shell_columns, summarise
from cryoprior.image.smoothing import low_passed
from cryoprior.io.rows import row_batches
from cryoprior.measurement.arrays import check_least
from cryoprior.operators import Operator
from cryoprior.random import ParticleNoise

SPECTRUM_PARTICLES = 1024
"""Particles that give the noise floor its spectrum; a batch that begins below this number counts whole."""


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores of a reconstruction, beside those of images that know nothing of the particles.

    n: particles. box: pixels a side.
    scores: image (``reconstruction`` or the name of a floor), then metric, to ``mean`` and ``std`` over particles.
    clean: image to ``correlation``, ``correlation_std``, ``frc`` and ``frc_half_angstrom`` (None where it never is one
        half) with the clean one; empty where none is known.
    summary: what ``summary.json`` holds: ``metrics``, ``floors``, ``over_least_squares`` and ``clean``.
    particles: one column per score, (n,) each; those of floors are called ``image.metric``.
    shells: one column per curve, (box // 2 + 1,) each: ``resolution_angstrom``, ``frc.image.against`` and others.
    lpips_note: why LPIPS is missing, empty where it is not.
    """

    n: int
    box: int
    scores: Mapping[str, Mapping[str, Mapping[str, float]]]
    clean: Mapping[str, Mapping[str, float | None]]
    summary: Mapping[str, Any]
    particles: Mapping[str, Float[np.ndarray, " n"]]
    shells: Mapping[str, Float[np.ndarray, " shells"]]
    lpips_note: str = ""

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """Return metric to ``mean`` and ``std`` of the reconstruction; None where LPIPS has no weights."""
        metrics: Mapping[str, Mapping[str, Any]] = self.summary["metrics"]
        return metrics

    @property
    def floors(self) -> Mapping[str, Mapping[str, Any]]:
        """Return floor, then metric, to the mean over particles."""
        floors: Mapping[str, Mapping[str, Any]] = self.summary["floors"]
        return floors

    def curves(self, kind: str = "frc", against: str = "original") -> dict[str, Float[np.ndarray, " shells"]]:
        """Return curves over shells by the image's name in words: ``frc`` or ``power``, ``original`` or ``clean``."""
        return curves(self.shells, kind, against)

    def __repr__(self) -> str:
        means = [f"{name} {score['mean']:.3g}" for name, score in self.metrics.items() if score["mean"] is not None]
        return f"Evaluation({self.n} particles of {self.box} x {self.box}, {', '.join(means[:3])})"


def evaluate(
    x: Tensor | np.ndarray,
    original: Tensor | np.ndarray,
    clean: Tensor | np.ndarray | None = None,
    y: Tensor | np.ndarray | None = None,
    operator: str | Operator | None = None,
    *,
    particles: Sequence[int] | np.ndarray | None = None,
    pixel_size: float = 1.0,
    lpips: str = "auto",
    seed: int = 0,
    batch: int = 32,
    device: str = "auto",
) -> Evaluation:
    """Return the scores of images beside their floors, as ``cryoprior evaluate`` computes them.

    Parameters
    ----------
    x: the reconstruction, (n, box, box), a tensor or a numpy array.
    original: the images that were measured, in the same grey scale, (n, box, box).
    clean: the same images without noise, where they are known.
    y, operator: what was measured, (n, m), and by what; they add the residual and the floor of least squares.
    particles: numbers in the whole stack, which choose mask sets; 0 to n - 1 by default.
    pixel_size: in angstrom, for the resolution of shells; 1 gives it in pixels.
    lpips: ``auto`` where its weights are in the cache, ``off``, or ``fetch`` to get them first (64 MB).
    seed: of the noise that has the original's spectrum.
    batch: particles at a time; results do not depend on it except for rounding.
    device: where to compute, ``auto``, ``cpu``, ``cuda`` ...

    Raises
    ------
    InputError: arrays of other shapes than x, values that are not finite, constant originals, y without operator.
    """
    compared = compared_arrays(x, original, clean, y, operator, particles)
    check_least(batch, "batch", 1)
    place = choose_device(device)
    box = compared.x.shape[-1]
    network, note = choose_lpips(lpips, box)
    scores = Scores(network)
    for images, _ in compared_batches(compared, compared.n, batch, seed, place):
        scores.add(images)
    return summed_up(scores, box, pixel_size, note)


def compared_batches(
    compared: Compared, n: int, batch: int, seed: int, device: torch.device, prior: PriorFloors | None = None
) -> Iterator[tuple[Images, np.ndarray]]:
    """Yield the first n rows in batches on the device, each with its floors, and the rows' numbers.

    prior: what makes the floors that know a prior; left out where None.
    """
    batches = [np.asarray(rows) for rows in row_batches(n, batch)]
    first = [rows for rows in batches if rows[0] < SPECTRUM_PARTICLES]
    spectrum, mean = radial_spectrum(compared.read_original(rows) for rows in first)
    for rows in batches:
        noise = ParticleNoise(seed, "evaluate/spectrum-noise", rows.tolist())
        yield _images(compared, rows, spectrum_noise(spectrum, mean, noise).float(), device, prior), rows


def summed_up(scores: Scores, box: int, pixel_size: float, lpips_note: str) -> Evaluation:
    """Return what the gathered scores say; pixel_size in angstrom."""
    return Evaluation(
        scores.n,
        box,
        mean_scores(scores),
        clean_scores(scores, box, pixel_size),
        summarise(scores, box, pixel_size, lpips_note),
        particle_columns(scores),
        shell_columns(scores, box, pixel_size),
        lpips_note,
    )


def _images(
    compared: Compared,
    rows: np.ndarray,
    noise_floor: Float[Tensor, "b box box"],
    device: torch.device,
    prior: PriorFloors | None,
) -> Images:
    original, x = compared.read_original(rows).to(device), compared.read_reconstruction(rows).to(device)
    known = compared.read_clean(rows)
    clean = None if known is None else known.to(device)
    floors = {"constant": constant_image(original), "spectrum_noise": noise_floor.to(device)}
    measured = compared.read_measurements(rows)
    if measured is None:
        return Images(original, x, floors, clean)
    y, operator, particles = measured[0].to(device), *measured[1:]
    floors["least_squares"] = least_squares(y, operator, particles)
    if clean is not None:
        floors["low_passed"] = low_passed(floors["least_squares"])
        floors |= {} if prior is None else prior.images(y, operator, particles)
    return Images(original, x, floors, clean, y, operator.forward(x, particles))
