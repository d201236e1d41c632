from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.operators import Fourier, Operator, Pixel, parse_operator
from cryoprior.prior import operator_family
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.random import numpy_stream
from cryoprior.training import operator_pool
from cryoprior.training.operator_pool import OperatorPool

FAMILY = OperatorFamily()


def drawn(family: OperatorFamily, box: int, count: int = 300) -> list[Operator]:
    rng = np.random.default_rng(box)
    return [family.draw(rng, box) for _ in range(count)]


def operator(text: str, box: int = 64) -> Operator:
    return parse_operator(text, box=box, seed=0)


@pytest.mark.parametrize("box", [16, 64, 128])
def test_drawn_operators_are_of_the_family(box: int) -> None:
    kinds = Counter[object]()
    for found in drawn(FAMILY, box):
        assert FAMILY.knows(found)
        assert found.box == box
        if isinstance(found, Pixel):
            assert found.block in FAMILY.blocks
            assert found.block < box
            assert 1 < found.compression <= 16
            assert found.sets in {1, 4}
            kinds.update([Pixel, found.block, found.rows, found.keep_ones])
        else:
            assert isinstance(found, Fourier)
            assert 1.15 <= found.compression <= 16
            assert (found.v is not None) == (found.weight is not None) == (found.pattern == "ring")
            assert found.v is None or 0.08 * box <= found.v <= 0.25 * box
            kinds.update([Fourier, found.pattern, found.symmetry])
    blocks = {k for k in FAMILY.blocks if k < box}
    assert set(kinds) == {Pixel, Fourier, True, False, *blocks, *FAMILY.rows, *FAMILY.patterns, *FAMILY.symmetries}
    assert 110 < kinds[Pixel] < 190
    assert min(kinds.values()) >= 10


def test_drawn_operators_measure() -> None:
    images = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0))
    for found in drawn(FAMILY, 16, 12):
        y = found.forward(images, range(3))
        assert y.shape == (3, found.m)
        torch.testing.assert_close(found.forward(found.pinv(y, range(3)), range(3)), y, rtol=1e-3, atol=1e-3)


def test_every_operator_of_a_family_brings_its_own_masks() -> None:
    seeds = [found.seed for found in drawn(FAMILY, 16)]
    assert len(set(seeds)) == len(seeds)


def test_compressions_are_spread_evenly_over_their_logarithm() -> None:
    logs = np.log([found.compression for found in drawn(FAMILY, 128) if isinstance(found, Fourier)])
    low, high = np.log(FAMILY.compression)
    assert np.mean(logs) == pytest.approx((low + high) / 2, abs=0.2)
    assert np.std(logs) == pytest.approx((high - low) / 12**0.5, rel=0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pixel:block=8,masks=16,rows=hadamard", True),
        ("pixel:block=16,masks=64,rows=bernoulli", True),
        ("pixel:block=16,masks=13,rows=bernoulli", True),  # 256 / 13 = 19.7, little above what was learned
        ("pixel:block=16,masks=12,rows=bernoulli", False),
        ("pixel:block=64,masks=1024,rows=hadamard", False),
        ("fourier:compression=4,pattern=spoke", True),
        ("fourier:compression=20,pattern=ring", True),
        ("fourier:compression=20.1,pattern=ring", False),
        ("identity", False),
        ("bin:factor=2", False),
        ("crop:size=32", False),
    ],
)
def test_a_family_knows_its_kinds(text: str, expected: bool) -> None:
    assert FAMILY.knows(operator(text)) is expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("block=8", "pixel:block=8,masks=16"),
        ("rows=bernoulli", "pixel:block=8,masks=16,rows=bernoulli"),
        ("pattern=ring", "fourier:compression=4,pattern=ring"),
        ("symmetry=published", "fourier:compression=4,symmetry=published"),
    ],
)
def test_what_is_left_out_is_not_drawn_and_not_known(name: str, text: str) -> None:
    assert FAMILY.knows(operator(text))
    less = FAMILY.without([name])
    assert not less.knows(operator(text))
    assert all(less.knows(found) for found in drawn(less, 64))
    key, value = name.split("=")
    assert not any(str(getattr(found, key, None)) == value for found in drawn(less, 64))
    kept = asdict(FAMILY)
    changed = [field for field in kept if kept[field] != asdict(less)[field]]
    assert changed == [operator_family.KINDS[key]]


def test_a_whole_sort_of_masks_may_be_left_out() -> None:
    fourier = FAMILY.without(["rows=hadamard", "rows=bernoulli"])
    assert all(isinstance(found, Fourier) for found in drawn(fourier, 64))
    pixel = FAMILY.without(["symmetry=hermitian", "symmetry=published"])
    assert all(isinstance(found, Pixel) for found in drawn(pixel, 64))
    assert FAMILY.without([]) == FAMILY


@pytest.mark.parametrize("name", ["block=7", "block", "pattern=", "size=8", "noisy=0.4", "compression=2", ""])
def test_kinds_that_there_are_not_are_named(name: str) -> None:
    with pytest.raises(
        InputError, match=r"no kind of operator; expected one of block=2, .*pattern=ring.*published"
    ) as e:
        FAMILY.without(["block=8", name])
    assert str(e.value).startswith(f"{name!r}: ")


def test_something_must_be_left_to_train_on() -> None:
    names = ["symmetry=hermitian", "symmetry=published", "rows=hadamard", "rows=bernoulli"]
    with pytest.raises(InputError, match=f"{', '.join(names)}: no operator is left to train on; leave fewer out"):
        FAMILY.without(names)


@pytest.mark.parametrize("names", [[], ["block=8", "pattern=ring"]])
def test_a_family_survives_json(names: list[str]) -> None:
    family = FAMILY.without(names)
    assert OperatorFamily.of(json.loads(json.dumps(asdict(family)))) == family


def test_an_operator_of_the_pool_is_its_number() -> None:
    pool, other = OperatorPool(FAMILY, 16, 3), OperatorPool(FAMILY, 16, 3)
    forwards = [pool[number] for number in range(12)]
    backwards = [other[number] for number in reversed(range(12))][::-1]
    assert forwards == backwards
    assert [pool[number] for number in (5, 3, 5)] == [forwards[number] for number in (5, 3, 5)]
    assert len({found.seed for found, _ in forwards}) == 12
    assert pool[5][0] is pool[5][0]
    assert [OperatorPool(FAMILY, 16, 4)[number] for number in range(12)] != forwards
    assert OperatorPool(FAMILY, 32, 3)[0][0].box == 32


def test_some_operators_are_noisy() -> None:
    pool = OperatorPool(OperatorFamily(patterns=(), blocks=(4,), rows=("hadamard",)), 16, 0)
    shares = []
    for number in range(80):
        found, sigma = pool[number]
        s = found.values(0)
        shares.append(sigma / float(s[s > 0].median()))
    noisy = [share for share in shares if share > 0]
    assert 0.25 < len(noisy) / len(shares) < 0.55
    assert 0.03 <= min(noisy) < 0.1
    assert 0.5 < max(noisy) <= 1
    quiet = OperatorPool(OperatorFamily(noisy=0.0), 16, 0)
    assert {quiet[number][1] for number in range(20)} == {0.0}


def test_the_pool_holds_no_more_than_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = OperatorPool(OperatorFamily(patterns=(), blocks=(4,), rows=("bernoulli",), noisy=1.0), 16, 0)
    first, sigma = pool[0]
    limit = 3 * first.held_bytes
    monkeypatch.setattr(operator_pool, "HELD_BYTES", limit)
    most = 0
    for number in range(1, 25):
        pool[number]
        held = list(pool._held.values())
        assert len(held) == 1 or sum(found.held_bytes for found in held) <= limit
        assert list(pool._held)[-1] == number
        most = max(most, len(held))
    assert most > 1
    assert 0 not in pool._held
    again, sigma_again = pool[0]
    assert (again, sigma_again) == (first, sigma)
    assert again is not first


def test_the_operators_asked_for_last_are_the_ones_held(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = OperatorPool(OperatorFamily(patterns=(), symmetries=(), blocks=(4,), noisy=1.0), 16, 0)
    for number in range(4):
        pool[number]
    monkeypatch.setattr(operator_pool, "HELD_BYTES", 1 + sum(found.held_bytes for found in pool._held.values()))
    pool[0]
    pool[4]
    assert 0 in pool._held
    assert 1 not in pool._held


def test_the_operator_asked_for_last_is_held_whatever_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_pool, "HELD_BYTES", 1)
    pool = OperatorPool(OperatorFamily(noisy=1.0), 16, 0)
    for number in range(5):
        pool[number]
        assert list(pool._held) == [number]


def test_a_box_that_no_block_divides_is_refused() -> None:
    family = OperatorFamily(blocks=(4, 8), patterns=(), symmetries=())
    with pytest.raises(InputError, match=r"box 6: blocks of 4, 8 pixels do not divide it"):
        family.draw(numpy_stream(0, "draw"), 6)
