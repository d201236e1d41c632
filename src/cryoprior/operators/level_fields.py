"""What the fields of an operator that rounds its numbers may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cryoprior.errors import InputError
from cryoprior.operators.levels import MOST_BITS

if TYPE_CHECKING:
    from cryoprior.operators.base import Operator


def check_levels(operator: Operator) -> None:
    """Raise InputError for bits, means and deviations that are out of their range or do not go together."""
    if operator.bits is None:
        if operator.mean is not None or operator.deviation is not None:
            raise InputError(f"{operator.name}: mean or deviation without bits; pass <bits>, or leave them out")
        return
    if not 1 <= operator.bits <= MOST_BITS:
        raise InputError(f"{operator.name}: bits={operator.bits}; expected 1 to {MOST_BITS}")
    if (operator.mean is None) != (operator.deviation is None):
        raise InputError(f"{operator.name}: one of mean and deviation; pass both, or neither to have them fitted")
    if operator.mean is None or operator.deviation is None:
        return
    if not np.isfinite(operator.mean) or not all(0 < value < np.inf for value in operator.deviation):
        found = f"mean={operator.mean}, deviation={operator.deviation}"
        raise InputError(f"{operator.name}: {found}; expected numbers, the deviation above 0")
    if len(operator.deviation) not in (1, operator.bands):
        found = f"{len(operator.deviation)} deviations"
        raise InputError(f"{operator.name}: {found}; expected one, or one for each of {operator.bands} bands")
