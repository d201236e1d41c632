"""The check of signatures that all tests run under finds what does not fit, in every test anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
import torch
from beartype import beartype
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


def test_equal_calls_are_checked_once_and_others_anew() -> None:
    seen: list[str] = []

    def noting(signature: Any) -> Any:
        check = beartype(signature)
        return lambda *args, **kwargs: [seen.append("checked"), check(*args, **kwargs)]

    def shortened(x: Float[Tensor, "n n"], by: Literal["row", "both"] = "row") -> Float[Tensor, "m k"]:
        return x[1:, 1:] if by == "both" else x[1:]

    shortened = signatures.checked(shortened, typechecker=noting)
    steps: list[tuple[Any, int]] = [
        ((torch.ones(4, 4),), 2),
        ((torch.zeros(4, 4),), 0),
        ((torch.ones(5, 5),), 2),
        ((torch.ones(4, 4).double(),), 2),
        ((torch.ones(4, 4), "both"), 2),
    ]
    for given, checks in steps:
        signatures.renew()
        seen.clear()
        shortened(*given)
        assert len(seen) == checks, given
    signatures.renew()
    with pytest.raises(TypeCheckError, match="'by'"):
        shortened(torch.ones(4, 4), "column")  # type: ignore[arg-type]


def test_what_comes_out_counts_as_a_kind_of_its_own() -> None:
    halved = signatures.checked(_halved)
    halved(torch.ones(4, 4))
    with pytest.raises(TypeCheckError, match="return value"):
        halved(torch.zeros(4, 4))  # the same kind goes in


def test_fields_of_a_dataclass_are_checked() -> None:
    @dataclass
    class Square:
        x: Float[Tensor, "n n"]

    checked = signatures.checked(Square)
    checked(torch.ones(3, 3))
    with pytest.raises(TypeCheckError, match="'x'"):
        checked(torch.ones(3, 4))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (torch.ones(2, 3), torch.zeros(2, 3), True),
        (torch.ones(2, 3), torch.ones(3, 2), False),
        (torch.ones(2), np.ones(2, np.float32), False),
        (np.ones(2), np.ones(2, np.float32), False),
        ((1.0, torch.ones(2)), (2.0, torch.ones(2)), True),
        ((1.0, torch.ones(2)), (1.0, torch.ones(3)), False),
        ([torch.ones(2)], (torch.ones(2),), False),
        ({"a": 1.0}, {"a": "b"}, False),
        ({"a": [(1.0,)]}, {"a": [(2.0,)]}, True),
        ([[[[[[1.0]]]]]], [[[[[[1.0]]]]]], False),  # too deep to tell
        (True, 1, False),
        (None, 0, False),
        (int, float, False),
    ],
)
def test_a_kind_is_what_a_check_looks_at(one: Any, other: Any, same: bool) -> None:
    assert (signatures.kind(one) == signatures.kind(other)) is same


def test_an_object_that_is_being_made_is_not_asked() -> None:
    class Wrapping:
        def __init__(self, inner: float) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    Wrapping.__init__ = signatures.checked(Wrapping.__init__)  # type: ignore[method-assign]
    assert Wrapping(0.5).is_integer() is False


def test_lists_of_lists_of_lists_end() -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(50):
        laughs = [laughs] * 8
    signatures.kind(laughs)
