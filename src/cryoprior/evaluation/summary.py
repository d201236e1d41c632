"""Scores as numbers by name and as columns: what ``summary.json`` and the tables hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.evaluation.gathering import FLOORS, SCEPTICS, Scores
from cryoprior.metrics import METRICS
from cryoprior.metrics.rings import frc_mean, frc_reach_angstrom, shell_coefficients, shell_resolution_angstrom

CLEAN_IMAGES = ("reconstruction", "least_squares", *SCEPTICS, "original")
_LABELS = {
    "reconstruction": "reconstruction",
    "least_squares": "least squares",
    "low_passed": "least squares, low-passed",
    "mean_image": "mean image, no data",
    "gaussian": "Gaussian prior with mean image",
    "wiener_signal": "Wiener signal",
    "original": "full noisy image",
}


def mean_and_std(values: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Return the mean and the sample standard deviation (0 for one particle)."""
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0}


def mean_scores(scores: Scores) -> dict[str, dict[str, dict[str, float]]]:
    """Return image, then metric, to mean and std over particles."""
    return {
        image: {metric: mean_and_std(np.asarray(values)) for metric, values in columns.items()}
        for image, columns in scores.by_particle.items()
    }


def clean_scores(scores: Scores, box: int, pixel_size_angstrom: float) -> dict[str, dict[str, float | None]]:
    """Return image to its ``correlation`` (mean, and std) and pooled ``frc`` with the clean one; empty without one.

    ``frc_half_angstrom``: the resolution to which that FRC is at least a half, None where it never is.
    """
    by_image: dict[str, dict[str, float | None]] = {}
    for image in CLEAN_IMAGES:
        column = scores.column(image, "clean_correlation")
        if column is not None:
            part = mean_and_std(column)
            curve = scores.shells[image, "clean"].frc
            by_image[image] = {
                "correlation": part["mean"],
                "correlation_std": part["std"],
                "frc": float(frc_mean(curve, box)[0]),
                "frc_half_angstrom": frc_reach_angstrom(curve[0], box, pixel_size_angstrom),
            }
    return by_image


def gain(scores: Scores, metric: str) -> dict[str, float] | None:
    """Return the mean of (reconstruction - least squares) over particles and its paired standard error."""
    ours, floor = scores.column("reconstruction", metric), scores.column("least_squares", metric)
    if ours is None or floor is None:
        return None
    part = mean_and_std(ours - floor)
    return {"mean": part["mean"], "standard_error": part["std"] / len(ours) ** 0.5}


def summarise(scores: Scores, box: int, pixel_size_angstrom: float, lpips_note: str = "") -> dict[str, Any]:
    """Return what ``summary.json`` holds: ``metrics``, ``floors``, ``over_least_squares`` and, if known, ``clean``."""
    by_image = mean_scores(scores)
    metrics: dict[str, Any] = dict(by_image["reconstruction"])
    metrics = {key: value for key, value in metrics.items() if not key.startswith("clean_")}
    if "lpips" not in metrics:
        metrics["lpips"] = {"mean": None, "std": None, "note": lpips_note}
    shown = [metric.name for metric in METRICS.values() if metric.floors]
    floors = {
        name: {key: by_image[name][key]["mean"] if key in by_image[name] else None for key in shown}
        for name in FLOORS
        if name in by_image
    }
    gains = {key: gain(scores, key) for key in (*shown, "frc", "clean_correlation", "clean_frc")}
    summary: dict[str, Any] = {
        "n": scores.n,
        "metrics": metrics,
        "floors": floors,
        "over_least_squares": {key: value for key, value in gains.items() if value is not None},
    }
    clean = clean_scores(scores, box, pixel_size_angstrom)
    if clean:
        others = {name: clean[image] for image, name in _OTHERS.items() if image in clean}
        summary["clean"] = {**clean["reconstruction"], **others}
    return summary


_OTHERS = {"least_squares": "least_squares", **{name: name for name in SCEPTICS}, "original": "full_image"}


def particle_columns(scores: Scores) -> dict[str, Float[np.ndarray, " n"]]:
    """Return one column per score, one row per particle; those of the floors are called ``image.metric``."""
    return {
        metric if image == "reconstruction" else f"{image}.{metric}": np.asarray(values)
        for image, columns in scores.by_particle.items()
        for metric, values in columns.items()
    }


def shell_columns(scores: Scores, box: int, pixel_size_angstrom: float) -> dict[str, Float[np.ndarray, " shells"]]:
    """Return one row per shell 0 .. box // 2: resolution, coefficients, pooled FRC and power ratios."""
    columns: dict[str, Tensor] = {
        "resolution_angstrom": shell_resolution_angstrom(box, pixel_size_angstrom),
        "coefficients": shell_coefficients(box),
    }
    for (image, against), powers in scores.shells.items():
        columns[f"frc.{image}.{against}"] = powers.frc[0]
        columns[f"power.{image}.{against}"] = powers.power_ratio[0]
    shells = {"shell": np.arange(box // 2 + 1, dtype=np.float64)}
    return shells | {name: values.cpu().numpy() for name, values in columns.items()}


def curves(
    columns: Mapping[str, Float[np.ndarray, " shells"]], kind: str, against: str
) -> dict[str, Float[np.ndarray, " s"]]:
    """Return the ``frc`` or ``power`` columns against the ``original`` or the ``clean`` image, by name in words."""
    named = {_LABELS[image]: columns.get(f"{kind}.{image}.{against}") for image in CLEAN_IMAGES}
    return {name: values for name, values in named.items() if values is not None}
