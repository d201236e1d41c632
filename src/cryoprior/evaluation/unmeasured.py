"""Samples where nothing was measured: their power beside that of the data, and how often they cover the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.evaluation.pooled import jackknife
from cryoprior.metrics import shell_powers
from cryoprior.operators import Operator

FIRST_SHELL = 3
LEVELS = (0.5, 0.8, 0.95)


def missing_power(
    operator: Operator,
    sample: Float[Tensor, "n box box"],
    original: Float[Tensor, "n box box"],
    particles: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Return the ratio of powers of x - A+ A x by shell, and its largest deviation from 1 over shells from 3.

    ``ratio`` starts at shell 0; ``deviation`` and its standard ``error`` (jackknife over particles) are those of
    ``shell``. Shells that are measured whole are left out. particles: their numbers, which choose masks; 0 to n - 1
    where not given.
    """
    numbers = range(len(sample)) if particles is None else particles
    powers = shell_powers(*(unmeasured(operator, x, numbers) for x in (sample, original)))
    a, b = powers.power_a, powers.power_b
    whole = shell_powers(original, original).power_a.sum(0)
    there = b.sum(0) > 1e-9 * whole
    ratio = torch.where(there, a.sum(0) / b.sum(0).clamp_min(1e-300), 1.0)
    left_out = (a.sum(0) - a) / (b.sum(0) - b).clamp_min(1e-300)
    deviation = (ratio - 1)[FIRST_SHELL:]
    shell = int(deviation.abs().argmax()) + FIRST_SHELL
    return {
        "ratio": ratio.tolist(),
        "shell": shell,
        "deviation": float(ratio[shell] - 1),
        "error": float(jackknife(left_out[:, shell])) if len(sample) > 1 else 0.0,
        "mean": float(ratio[FIRST_SHELL:].mean()),
        "mean absolute": float(deviation.abs().mean()),
    }


def coverage(
    operator: Operator,
    samples: Sequence[Float[Tensor, "n box box"]],
    truth: Float[Tensor, "n box box"],
    particles: Sequence[int] | None = None,
) -> dict[float, tuple[float, float]]:
    """Return, by nominal level, how often the unmeasured part of the truth lies in the interval of its samples.

    The interval is that of a further draw (Student-t with one degree of freedom less than there are samples). Every
    share comes with its standard error (jackknife over particles, whose pixels are not independent).
    """
    from scipy import stats

    numbers, s = range(len(truth)) if particles is None else particles, len(samples)
    hidden = torch.stack([unmeasured(operator, x, numbers) for x in samples])
    score = (unmeasured(operator, truth, numbers) - hidden.mean(0)).abs() / (hidden.std(0) * (1 + 1 / s) ** 0.5)
    shares = {}
    for level in LEVELS:
        inside = (score <= stats.t.ppf(0.5 + level / 2, s - 1)).double().mean((-2, -1))
        n = len(inside)
        error = float(jackknife((inside.sum() - inside) / (n - 1))) if n > 1 else 0.0
        shares[level] = (float(inside.mean()), error)
    return shares


def unmeasured(
    operator: Operator, x: Float[Tensor, "n box box"], particles: Sequence[int]
) -> Float[Tensor, "n box box"]:
    """Return x - A+ A x in float64."""
    return x.double() - operator.project(x.double(), particles)
