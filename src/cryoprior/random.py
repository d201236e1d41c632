"""Random streams: one for every (seed, stage, particle), whatever the batch, the order or the process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def stream_key(seed: int, stage: str, particle: int) -> int:
    """Return the 63-bit key of the stream (seed, stage, particle)."""
    text = f"{seed}|{stage}|{particle}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def numpy_stream(seed: int, stage: str, particle: int = 0) -> np.random.Generator:
    """Return the numpy generator of the stream (seed, stage, particle)."""
    return np.random.Generator(np.random.Philox(stream_key(seed, stage, particle)))


class ParticleNoise:
    """Standard normal draws for a batch, each particle from its own stream.

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
        keys = [stream_key(seed, stage, p) for p in self.particles]
        self._generators = [torch.Generator().manual_seed(key) for key in keys]

    def __len__(self) -> int:
        return len(self._generators)

    def normal_like(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Return standard normal noise of the shape, dtype and device of x, (b, ...)."""
        if len(x) != len(self):
            raise ValueError(f"noise for {len(self)} particles was asked for a batch of {len(x)}")
        draws = [torch.randn(x.shape[1:], generator=g, dtype=torch.float32) for g in self._generators]
        return torch.stack(draws).to(device=x.device, dtype=x.dtype)

    def fork(self, name: str) -> ParticleNoise:
        """Return independent streams for the same particles, for example one for each sample."""
        return ParticleNoise(self.seed, f"{self.stage}/{name}", self.particles)
