"""An evaluation as numbers by name and as columns: what ``summary.json`` and the tables hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from cryoprior.evaluation.gathering import FLOORS, Evaluation
from cryoprior.metrics import METRICS
from cryoprior.metrics.rings import frc_mean, shell_coefficients, shell_resolution_angstrom

CLEAN_IMAGES = ("reconstruction", "least_squares", "original")
_LABELS = {"reconstruction": "reconstruction", "least_squares": "least squares", "original": "full noisy image"}


def mean_and_std(values: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Return the mean and the sample standard deviation (0 for one particle)."""
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0}


def scores(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Return image, then metric, to mean and std over particles."""
    return {
        image: {metric: mean_and_std(np.asarray(values)) for metric, values in columns.items()}
        for image, columns in evaluation.scores.items()
    }


def clean_scores(evaluation: Evaluation, box: int) -> dict[str, dict[str, float]]:
    """Return image to its ``correlation`` (mean, and std) and pooled ``frc`` with the clean one; empty without one."""
    found: dict[str, dict[str, float]] = {}
    for image in CLEAN_IMAGES:
        column = evaluation.column(image, "clean_correlation")
        if column is not None:
            part = mean_and_std(column)
            pooled = float(frc_mean(evaluation.shells[image, "clean"].frc, box)[0])
            found[image] = {"correlation": part["mean"], "correlation_std": part["std"], "frc": pooled}
    return found


def gain(evaluation: Evaluation, metric: str) -> dict[str, float] | None:
    """Return the mean of (reconstruction - least squares) over particles and its paired standard error."""
    ours, floor = evaluation.column("reconstruction", metric), evaluation.column("least_squares", metric)
    if ours is None or floor is None:
        return None
    part = mean_and_std(ours - floor)
    return {"mean": part["mean"], "standard_error": part["std"] / len(ours) ** 0.5}


def summarise(evaluation: Evaluation, box: int, lpips_note: str = "") -> dict[str, Any]:
    """Return what ``summary.json`` holds: ``metrics``, ``floors``, ``over_least_squares`` and, if known, ``clean``."""
    by_image = scores(evaluation)
    metrics: dict[str, Any] = dict(by_image["reconstruction"])
    metrics = {key: value for key, value in metrics.items() if not key.startswith("clean_")}
    if "lpips" not in metrics:
        metrics["lpips"] = {"mean": None, "std": None, "note": lpips_note}
    shown = [metric.name for metric in METRICS.values() if metric.floors]
    floors = {
        name: {key: by_image[name][key]["mean"] if key in by_image[name] else None for key in shown} for name in FLOORS
    }
    gains = {key: gain(evaluation, key) for key in (*shown, "frc", "clean_correlation", "clean_frc")}
    summary: dict[str, Any] = {
        "n": len(evaluation.scores["reconstruction"]["ssim"]),
        "metrics": metrics,
        "floors": floors,
        "over_least_squares": {key: value for key, value in gains.items() if value is not None},
    }
    clean = clean_scores(evaluation, box)
    if clean:
        others = {"least_squares": clean["least_squares"], "full_image": clean["original"]}
        summary["clean"] = {**clean["reconstruction"], **others}
    return summary


def particle_columns(evaluation: Evaluation) -> dict[str, Float[np.ndarray, " n"]]:
    """Return one column a score, one row a particle; those of the floors are called ``image.metric``."""
    return {
        metric if image == "reconstruction" else f"{image}.{metric}": np.asarray(values)
        for image, columns in evaluation.scores.items()
        for metric, values in columns.items()
    }


def shell_columns(
    evaluation: Evaluation, box: int, pixel_size_angstrom: float
) -> dict[str, Float[np.ndarray, " shells"]]:
    """Return one row a shell 0 .. box // 2: resolution, coefficients, pooled FRC and power ratios."""
    columns: dict[str, Tensor] = {
        "resolution_angstrom": shell_resolution_angstrom(box, pixel_size_angstrom),
        "coefficients": shell_coefficients(box),
    }
    for (image, against), powers in evaluation.shells.items():
        columns[f"frc.{image}.{against}"] = powers.frc[0]
        columns[f"power.{image}.{against}"] = powers.power_ratio[0]
    shells = {"shell": np.arange(box // 2 + 1, dtype=np.float64)}
    return shells | {name: values.cpu().numpy() for name, values in columns.items()}


def curves(
    columns: dict[str, Float[np.ndarray, " shells"]], kind: str, against: str
) -> dict[str, Float[np.ndarray, " s"]]:
    """Return the ``frc`` or ``power`` columns against the ``original`` or the ``clean`` image, by name in words."""
    found = {_LABELS[image]: columns.get(f"{kind}.{image}.{against}") for image in CLEAN_IMAGES}
    return {name: values for name, values in found.items() if values is not None}
