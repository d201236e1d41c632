"""Codes of 1 to 8 bits, packed without gaps: eight codes lie in ``bits`` bytes, the first in the highest bits."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float32, UInt8

MOST_BITS = 8
BYTE = 8


def row_bytes(m: int, bits: int) -> int:
    """Return the bytes of m packed codes; the last byte is filled with zeros."""
    return -(-m * bits // BYTE)


def pack_codes(codes: UInt8[np.ndarray, "b m"], bits: int) -> UInt8[np.ndarray, "b row_bytes"]:
    """Return codes below 2^bits packed row by row, (b, row_bytes)."""
    spread = np.unpackbits(codes[..., None], axis=-1)[..., BYTE - bits :]
    packed: UInt8[np.ndarray, "b row_bytes"] = np.packbits(spread.reshape(len(codes), -1), axis=1)
    return packed


def unpack_codes(packed: UInt8[np.ndarray, "b row_bytes"], m: int, bits: int) -> UInt8[np.ndarray, "b m"]:
    """Return the m codes of every row."""
    if BYTE % bits == 0:
        return _by_table(packed, _codes_of_bytes(bits), m)
    groups = -(-m // BYTE)
    padded = np.zeros((len(packed), groups * bits), np.uint8)
    padded[:, : packed.shape[1]] = packed
    word = np.zeros((len(packed), groups), np.uint64)
    for byte in range(bits):
        word = word << np.uint64(BYTE) | padded[:, byte::bits]
    codes = np.empty((len(packed), groups, BYTE), np.uint8)
    for place in range(BYTE):
        codes[..., place] = word >> np.uint64(bits * (BYTE - 1 - place)) & np.uint64(2**bits - 1)
    return codes.reshape(len(packed), -1)[:, :m]


def unpack_levels(
    packed: UInt8[np.ndarray, "b row_bytes"], m: int, level: Float32[np.ndarray, " cells"]
) -> Float32[np.ndarray, "b m"]:
    """Return the level of each of the m codes of every row, (b, m); 2^bits levels."""
    bits = (len(level) - 1).bit_length()
    if BYTE % bits == 0:
        return _by_table(packed, level[_codes_of_bytes(bits)], m)
    return np.asarray(level[unpack_codes(packed, m, bits)])


def _by_table(packed: np.ndarray, table: np.ndarray, m: int) -> np.ndarray:
    """Return what every byte stands for: a table of 256 rows saves the shifts."""
    found = table.take(packed, axis=0).reshape(len(packed), -1)
    return found[:, :m] if found.shape[1] > m else found


@lru_cache(maxsize=4)
def _codes_of_bytes(bits: int) -> UInt8[np.ndarray, "256 codes"]:
    shifts = np.arange(BYTE - bits, -1, -bits)
    codes: UInt8[np.ndarray, "256 codes"] = (np.arange(256)[:, None] >> shifts & (2**bits - 1)).astype(np.uint8)
    return codes
