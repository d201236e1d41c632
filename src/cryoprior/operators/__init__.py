"""What is measured of an image: y = A x, and the closed forms of A. A new operator is one file and one line here."""

from __future__ import annotations

import re

from cryoprior.operators.base import Operator
from cryoprior.operators.checks import fault_of_operator, require_linear
from cryoprior.operators.controls import Bin, Crop, Identity, Quantize
from cryoprior.operators.fourier import Fourier
from cryoprior.operators.pixel import Pixel
from cryoprior.operators.rounding import rounded, with_levels
from cryoprior.operators.transfer import measured_transfer
from cryoprior.registry import Registry
from cryoprior.spec import format_spec, parse_spec

OPERATORS: Registry[type[Operator]] = Registry(
    "operator",
    {
        "pixel": Pixel,
        "fourier": Fourier,
        "identity": Identity,
        "bin": Bin,
        "crop": Crop,
        "quantize": Quantize,
    },
    fault_of_operator,
)


def parse_operator(text: str, box: int | None = None, seed: int = 0) -> Operator:
    """Return the operator that a text names, for example ``pixel:block=16,masks=192,rows=hadamard,sets=1``.

    Parameters
    ----------
    text: name and fields. A seed in it wins over ``seed``.
    box: pixels a side of the images, where the text does not give it.
    seed: of the mask sets, where the text does not give it.

    Raises
    ------
    InputError: a text that names no operator, lacks a field, has one out of range, or another box than ``box``.
    """
    given = re.search(r"[:,]\s*seed\s*=", text)
    return parse_spec(text, OPERATORS, box=box, seed=None if given else seed)


def format_operator(operator: Operator) -> str:
    """Return the text that :func:`parse_operator` reads back as this operator, box and seed included."""
    return format_spec(operator, OPERATORS)


__all__ = [
    "OPERATORS",
    "Bin",
    "Crop",
    "Fourier",
    "Identity",
    "Operator",
    "Pixel",
    "Quantize",
    "format_operator",
    "measured_transfer",
    "parse_operator",
    "require_linear",
    "rounded",
    "with_levels",
]
