"""Every registered operator keeps the laws of :mod:`cryoprior.testing`, in float64 and in float32."""

from __future__ import annotations

import pytest
import torch

from cryoprior.operators import OPERATORS, parse_operator
from cryoprior.testing import OPERATOR_LAWS
from cryoprior.testing.operators import LAWS_OF_ALL, types_of

SPECS = (
    "pixel:block=4,masks=7,rows=hadamard",
    "pixel:block=4,masks=16,rows=hadamard",
    "pixel:block=2,masks=1,rows=hadamard",
    "pixel:block=2,masks=2,rows=hadamard",
    "pixel:block=4,masks=16,rows=hadamard,keep_ones=false",
    "pixel:block=2,masks=4,rows=bernoulli",
    "pixel:block=4,masks=9,rows=bernoulli,sets=3",
    "pixel:block=8,masks=24,sets=2",
    "pixel:box=16,block=8,masks=64",
    "pixel:box=16,block=8,masks=3",
    "pixel:block=8,masks=2",
    "pixel:box=16,block=8,masks=1",
    "fourier:compression=2",
    "fourier:compression=1",
    "fourier:compression=2.5,pattern=ring,sets=3",
    "fourier:compression=3,pattern=spoke",
    "fourier:compression=2,symmetry=published,sets=3",
    "fourier:compression=4,symmetry=published,pattern=ring",
    "fourier:compression=4,symmetry=published,pattern=spoke",
    "fourier:compression=2,box=7",
    "fourier:compression=1,box=7,symmetry=published",
    "identity",
    "identity:sets=2",
    "bin:factor=2",
    "crop:size=5",
    "crop:size=4",
    "crop:size=8",
    "quantize:bits=4",
    "quantize:bits=1,mean=0.5,deviation=1.25",
    "fourier:compression=2,bits=2,sets=3",
    "pixel:block=4,masks=9,bits=3,mean=0,deviation=1/2",
)


def test_every_operator_is_under_the_laws() -> None:
    assert {spec.partition(":")[0] for spec in SPECS} == set(OPERATORS)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize(("law", "dtype"), [(law, dtype) for law in OPERATOR_LAWS for dtype in types_of(law)], ids=str)
def test_law(law: str, dtype: torch.dtype, spec: str) -> None:
    operator = parse_operator(spec, box=None if "box=" in spec else 8, seed=5)
    if operator.linear or law in LAWS_OF_ALL:
        OPERATOR_LAWS[law](operator, dtype)
