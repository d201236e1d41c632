"""The power of samples where nothing was measured, beside that of the data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cryoprior.evaluation.pooled import jackknife
from cryoprior.metrics import shell_powers
from cryoprior.operators import Operator

FIRST_SHELL = 3


def missing_power(operator: Operator, sample: Tensor, original: Tensor) -> dict[str, Any]:
    """Return the ratio of powers of x - A+ A x by shell, and its largest deviation from 1 over shells from 3.

    ``ratio`` starts at shell 0; ``deviation`` and its standard ``error`` (jackknife over particles) are those of
    ``shell``. Shells that are measured whole are left out.
    """
    particles = range(len(sample))
    unseen = [x.double() - operator.project(x.double(), particles) for x in (sample, original)]
    powers = shell_powers(*unseen)
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
