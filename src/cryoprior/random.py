"""Random streams: one for every (seed, stage, particle), whatever the batch, the order, the process or the device.

Noise is counter-based: block i of a stream is a function of its key and of i, so that an accelerator draws for all
particles at once what the processor draws for each. The bits are the same everywhere; the logarithm, sine and cosine
that make them normal differ between devices by rounding.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10
"""Of Philox4x64-10. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"."""
WORDS, NUMBERS = 4, 8
"""Words of 64 bits in a block, and normal numbers that are made of them."""
LOW = 0xFFFFFFFF


def stream_key(seed: int, stage: str, particle: int) -> int:
    """Return the 63-bit key of the stream (seed, stage, particle)."""
    text = f"{seed}|{stage}|{particle}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def numpy_stream(seed: int, stage: str, particle: int = 0) -> np.random.Generator:
    """Return the numpy generator of the stream (seed, stage, particle)."""
    return np.random.Generator(np.random.Philox(stream_key(seed, stage, particle)))


class NormalStreams:
    """Standard normal numbers of several streams, drawn where they are wanted, one place in all of them.

    keys: one for each stream.
    """

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys = list(keys)
        self._blocks = 0

    def draw_like(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Return the next numbers of the first b streams, of the shape, dtype and device of x."""
        count = math.prod(x.shape[1:])
        blocks, keys = -(-count // NUMBERS), self.keys[: len(x)]
        if x.device.type == "cpu":
            words = _words_by_numpy(keys, self._blocks, blocks)
        else:
            words = philox_words(torch.tensor(keys, dtype=torch.int64, device=x.device), self._blocks, blocks)
        self._blocks += blocks
        return _normal(words)[:, :count].reshape(x.shape).to(x.dtype)


class ParticleNoise:
    """Standard normal draws for a batch, each particle from its own stream, on the device where they are wanted.

    A particle sees the same draws alone, in any batch, in any order and in any shard.

    Parameters
    ----------
    seed: the user's seed.
    stage: the name of the consumer, for example ``reconstruct``.
    particles: the index of every batch member in the whole stack, (b,).
    """

    def __init__(self, seed: int, stage: str, particles: Sequence[int]) -> None:
        self.seed, self.stage = seed, stage
        self.particles = [int(p) for p in particles]
        self._streams = NormalStreams([stream_key(seed, stage, p) for p in self.particles])

    def __len__(self) -> int:
        return len(self.particles)

    def normal_like(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Return standard normal noise of the shape, dtype and device of x, (b, ...)."""
        if len(x) != len(self):
            raise ValueError(f"noise for {len(self)} particles was asked for a batch of {len(x)}")
        return self._streams.draw_like(x)

    def fork(self, name: str) -> ParticleNoise:
        """Return independent streams for the same particles, for example one for each sample."""
        return ParticleNoise(self.seed, f"{self.stage}/{name}", self.particles)


def philox_words(keys: Int[Tensor, " b"], first: int, blocks: int) -> Int[Tensor, "b words"]:
    """Return the words of blocks ``first`` to first + blocks - 1 of every key, (b, 4 blocks), as signed 64-bit numbers.

    The same bits as ``numpy.random.Philox(key=[key, 0], counter=[first, 0, 0, 0]).random_raw``, on any device.
    """
    counter = torch.arange(first + 1, first + 1 + blocks, device=keys.device)[None]
    zero = torch.zeros_like(counter)
    a, b, c, d = counter, zero, zero, zero
    for turn in range(ROUNDS):
        high_a, low_a = _product(a, MULTIPLIERS[0])
        high_c, low_c = _product(c, MULTIPLIERS[1])
        key, other = keys[:, None] + _signed(turn * WEYL[0]), _signed(turn * WEYL[1])
        a, b, c, d = high_c ^ b ^ key, low_c, high_a ^ d ^ other, low_a
    return torch.stack((a, b, c, d), -1).flatten(1)


def _words_by_numpy(keys: Sequence[int], first: int, blocks: int) -> Int[Tensor, "b words"]:
    words = np.empty((len(keys), WORDS * blocks), np.uint64)
    for row, key in zip(words, keys, strict=True):
        row[:] = np.random.Philox(key=[key, 0], counter=[first, 0, 0, 0]).random_raw(len(row))
    return torch.from_numpy(words.view(np.int64))


def _normal(words: Int[Tensor, "b words"]) -> Float[Tensor, "b numbers"]:
    """Return two standard normal numbers for each word. Source: Box and Muller 1958."""
    uniform = _high(words).float().add_(0.5).mul_(2.0**-32)
    angle = (words & LOW).float().mul_(2 * math.pi * 2.0**-32)
    radius = uniform.log_().mul_(-2).sqrt_()
    return torch.stack((radius * angle.cos(), radius * angle.sin()), -1).flatten(1)


def _product(a: Int[Tensor, "..."], factor: int) -> tuple[Tensor, Tensor]:
    """Return the upper and the lower 64 bits of the product of unsigned numbers; products wrap around."""
    a_high, a_low, f_high, f_low = _high(a), a & LOW, factor >> 32, factor & LOW
    up, down = a_low * f_high, a_high * f_low
    middle = _high(a_low * f_low) + (up & LOW) + (down & LOW)
    return a_high * f_high + _high(up) + _high(down) + (middle >> 32), a * _signed(factor)


def _high(a: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Return the upper 32 bits of unsigned numbers, which torch holds as signed ones."""
    return (a >> 32) & LOW


def _signed(value: int) -> int:
    """Return the signed number of the same 64 bits."""
    value %= 1 << 64
    return value - (1 << 64) if value >= 1 << 63 else value
