"""Every error that the operators promise, with its text."""

from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.operators import parse_operator

X = torch.zeros(2, 8, 8)


@pytest.mark.parametrize(
    ("text", "box", "message"),
    [
        ("wavelet", 8, "no operator is called 'wavelet'; choose one of bin, crop"),
        ("pixel:block=4,masks=2", None, "needs box"),
        ("pixel:block=4", 8, "needs masks"),
        ("pixel:block=4,masks=2,colour=red", 8, "no field 'colour'; its fields are bits, block"),
        ("pixel:block=4,masks=2,box=16", 8, "box=16 contradicts box=8"),
        ("pixel:block=3,masks=2", 100, "block 3 does not divide box 100; expected a block among 2, 4, 5.*99 or 102"),
        ("pixel:block=0,masks=2", 8, "block 0 does not divide box 8; expected a block among 2, 4, 8"),
        ("pixel:block=16,masks=2", 8, "block 16 does not divide box 8.*resize to a box of 16"),
        ("pixel:block=5,masks=2", 10, "block 5 with rows=hadamard; expected a power of two, or pass rows=bernoulli"),
        ("pixel:block=4,masks=17", 8, "masks=17 in blocks of 4x4 pixels; expected 1 to 16"),
        ("pixel:block=4,masks=0", 8, "masks=0"),
        ("pixel:block=4,masks=2,rows=gauss", 8, "rows='gauss'; expected one of bernoulli, hadamard"),
        ("pixel:block=4,masks=2,sets=0", 8, "pixel: sets=0; expected 1 to 1000000"),
        ("identity", 0, "identity: box=0; expected 1 to 4096"),
        ("fourier:compression=0.5", 8, "compression=0.5; expected 1 to 64"),
        ("fourier:compression=65", 8, "compression=65.0; expected 1 to 64, the pixels of a box of 8"),
        ("fourier:compression=nan", 8, "compression='nan'; expected a finite number"),
        ("fourier:compression=2,pattern=star", 8, "pattern='star'; expected one of uniform, ring, spoke"),
        ("fourier:compression=2,weight=printed", 8, "weight and v with pattern=uniform; pass pattern=ring"),
        ("fourier:compression=2,pattern=ring,v=0", 8, "v=0.0; expected a width of at least 0.01"),
        ("bin:factor=3", 8, "factor 3 does not divide box 8; expected one of 2, 4, 8"),
        ("crop:size=9", 8, "size 9 of box 8; expected 1 to 8"),
        ("quantize:bits=0", 8, "quantize: bits=0; expected 1 to 8"),
        ("quantize:bits=33", 8, "quantize: bits=33; expected 1 to 8"),
        ("quantize", 8, "needs bits"),
        ("pixel:block=4,masks=6,bits=9", 8, "pixel: bits=9; expected 1 to 8"),
        ("quantize:bits=4,mean=0", 8, "one of mean and deviation; pass both"),
        ("quantize:bits=4,mean=0,deviation=0", 8, "the deviation above 0"),
        ("quantize:bits=4,mean=0,deviation=1/2", 8, "2 deviations; expected one, or one for each of 1 bands"),
        ("quantize:bits=4,mean=nan,deviation=1", 8, "mean='nan'; expected a finite number"),
        ("quantize:bits=4,mean=0,deviation=1/x", 8, "deviation='x'; expected float"),
        ("identity:mean=0,deviation=1", 8, "mean or deviation without bits"),
        ("pixel:block=4,masks=2,sets=1000000000", 8, "sets=1000000000; expected at most 16777216"),
        ("pixel:block=4,masks=2,sets=10000000", 8, "sets=10000000; expected 1 to 1000000"),
        ("pixel:block=4,masks=2,sets=900000", 1024, "900000 mask sets for a box of 1024; expected at most 65536"),
        ("pixel:block=4,masks=1000000000", 8, "masks=1000000000; expected at most"),
        ("pixel:block=1000000000,masks=2", 8, "block=1000000000; expected at most"),
        ("identity:box=100000", None, "box=100000; expected 1 to 4096"),
        ("identity:box=1000000000", None, "box=1000000000; expected at most"),
        ("fourier:compression=1e-9", 8, "compression=1e-09; expected 1 to 64"),
        ("fourier:compression=inf", 8, "compression='inf'; expected a finite number"),
        ("fourier:compression=1e400", 8, "expected a finite number"),
        ("fourier:compression=2,pattern=ring,v=1e-300", 8, "v=1e-300; expected a width of at least"),
        ("fourier:compression=2,seed=" + "9" * 5000, 8, "expected int"),
    ],
)
def test_fields(text: str, box: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_operator(text, box=box)


@pytest.mark.parametrize(("text", "field"), [("pixel:block=4,masks=2", "rows"), ("fourier:compression=2", "symmetry")])
def test_choices_in_python(text: str, field: str) -> None:
    operator = parse_operator(text, box=8)
    object.__setattr__(operator, field, "other")  # the run-time type check of the tests would catch the constructor
    with pytest.raises(InputError, match=f"{field}='other'; expected one of"):
        operator.__post_init__()


def test_batches_that_do_not_fit() -> None:
    shared, drawn = (
        parse_operator("pixel:block=4,masks=2", box=8),
        parse_operator("pixel:block=4,masks=2,sets=3", box=8),
    )
    with pytest.raises(InputError, match="pixel: 3 mask sets, no particle indices; pass particles="):
        drawn.forward(X)
    with pytest.raises(InputError, match="1 particle indices for a batch of 2; pass one for each"):
        drawn.forward(X, [0])
    with pytest.raises(InputError, match=r"images of shape \(2, 4, 4\); expected \(particles, 8, 8\)"):
        shared.project(X[:, :4, :4])
    with pytest.raises(InputError, match=r"measurements of shape \(2, 9\); expected \(particles, 8\)"):
        shared.pinv(torch.zeros(2, 9))
    with pytest.raises(InputError, match=r"coordinates of shape \(2, 9\); expected \(particles, 8\)"):
        shared.synthesise(torch.zeros(2, 9))
    with pytest.raises(InputError, match=r"weight 0\.0 in solve; expected more than 0, or use pinv"):
        shared.solve(X, 0.0)


def test_an_operator_that_sees_nothing() -> None:
    blank = next(
        operator
        for seed in range(200)
        if not (operator := parse_operator("pixel:block=2,masks=1,rows=bernoulli", box=2, seed=seed)).masks_of(0).any()  # type: ignore[attr-defined]
    )
    assert not blank.pinv(blank.forward(torch.ones(1, 2, 2))).any()
    with pytest.raises(InputError, match="every singular value is zero; take more masks or another seed"):
        _ = blank.condition


def test_the_text_names_box_and_seed() -> None:
    operator = parse_operator("fourier:compression=2,box=16,seed=3", box=16, seed=8)
    assert (operator.box, operator.seed) == (16, 3)
    assert parse_operator("fourier:compression=2", box=16, seed=8).seed == 8
