from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from cryoprior.errors import InputError
from cryoprior.registry import Registry
from cryoprior.spec import format_spec, parse_spec


@dataclass(frozen=True)
class Mask:
    box: int
    rows: Literal["bernoulli", "hadamard"] = "hadamard"
    width: float = 0.1
    keep_mean: bool = True
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.width <= 0:
            raise InputError(f"width {self.width}: expected a positive number")


REGISTRY = Registry("operator", {"mask": Mask})


def parse(text: str, **fixed: object) -> Mask:
    return parse_spec(text, REGISTRY, **fixed)


def test_fields_get_their_types() -> None:
    found = parse("mask:box=8, rows=bernoulli, width=1e-3, keep_mean=false, limit=3")
    assert found == Mask(8, "bernoulli", 1e-3, False, 3)
    assert parse("mask:limit=none", box=4) == Mask(4)


@pytest.mark.parametrize("component", [Mask(8), Mask(16, "bernoulli", 1 / 3, False, 7)])
def test_text_and_component_are_the_same(component: Mask) -> None:
    assert parse(format_spec(component, REGISTRY)) == component


def test_a_component_of_no_registered_class_has_no_text() -> None:
    @dataclass(frozen=True)
    class Other:
        box: int

    with pytest.raises(InputError, match=r"Other: no registered operator; expected one of mask; register it"):
        format_spec(Other(3), REGISTRY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "no operator is called 'nope'; choose one of mask"),
        ("mask:height=3", "has no field 'height'; its fields are box"),
        ("mask:box", "has no field 'box'"),
        ("mask:box=x", "box='x'; expected int"),
        ("mask:box=8,rows=spoke", "expected one of bernoulli, hadamard"),
        ("mask:box=8,keep_mean=maybe", "expected true or false"),
        ("mask:width=0.1", "needs box"),
        ("mask:box=8,width=-1", "expected a positive number"),
        ("mask:box=8,box=16", "box is given twice"),
    ],
)
def test_a_wrong_text_is_explained(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text)


def test_the_text_may_not_contradict_what_is_fixed() -> None:
    assert parse("mask:box=8", box=8) == Mask(8)
    with pytest.raises(InputError, match="box=16 contradicts box=8"):
        parse("mask:box=16", box=8)
