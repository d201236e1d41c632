"""Codes of every number of bits and rows of every length come back as they were packed."""

from __future__ import annotations

import numpy as np
import pytest

from cryoprior.io.packing import pack_codes, row_bytes, unpack_codes, unpack_levels


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("m", [1, 2, 3, 7, 8, 9, 13, 16, 31, 64, 255])
def test_round_trip(bits: int, m: int) -> None:
    codes = np.random.default_rng(m).integers(0, 2**bits, (5, m)).astype(np.uint8)
    packed = pack_codes(codes, bits)
    assert packed.shape == (5, row_bytes(m, bits))
    assert packed.shape[1] == -(-m * bits // 8)
    np.testing.assert_array_equal(unpack_codes(packed, m, bits), codes)
    level = np.random.default_rng(0).normal(size=2**bits).astype(np.float32)
    np.testing.assert_array_equal(unpack_levels(packed, m, level), level[codes])


def test_the_first_code_is_in_the_highest_bits() -> None:
    assert pack_codes(np.array([[1, 0, 1]], np.uint8), 1).tolist() == [[0b10100000]]
    assert pack_codes(np.array([[5, 2, 7]], np.uint8), 3).tolist() == [[0b10101011, 0b10000000]]
