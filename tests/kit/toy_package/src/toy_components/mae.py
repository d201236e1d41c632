"""The mean absolute error, in the grey scale of the original."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from cryoprior.metrics import Metric


def mean_absolute_error(x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"]) -> Float[Tensor, " b"]:
    """Return the mean of |x - original| over pixels, (b,)."""
    return (x - original).abs().mean((-2, -1))


MAE = Metric("mae", "Mean absolute error", higher_is_better=False, digits=4, function=mean_absolute_error)
