"""The check of signatures that all tests run under finds what does not fit, in every test anew."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from kit import signatures


def _halved(x: Float[Tensor, "n n"]) -> Float[Tensor, "m m"]:
    return x[: len(x) // 2, : len(x) // 2] if x[0, 0] else x[0]


def test_the_first_calls_of_every_test_are_checked() -> None:
    halved = signatures.checked(_halved)
    good, bad = torch.ones(4, 4), torch.ones(4, 3)
    for _ in range(signatures.CHECKED_CALLS):
        halved(good)
    halved(bad)
    signatures.renew()
    with pytest.raises(TypeCheckError, match="parameters"):
        halved(bad)
    with pytest.raises(TypeCheckError, match="return value"):
        halved(torch.zeros(4, 4))
