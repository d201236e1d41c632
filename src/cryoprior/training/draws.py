"""What chance decides in a training step: for every image of a batch by itself, or for all of them alike.

A batch is one batch, however many processes share it: image i of it draws from its own stream on whichever process it
lies, and what holds for the whole batch is drawn from one stream that all processes have.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.random import NormalStreams, stream_key


class BatchDraws:
    """The streams of the images of a batch that lie on this process.

    Parameters
    ----------
    seed: the user's seed. stage: the name of the consumer. batch: which batch of the stage it is.
    first: place in the whole batch of the first image on this process.
    """

    def __init__(self, seed: int, stage: str, batch: int, first: int = 0) -> None:
        self.first = first
        self._seed, self._stage = seed, f"{stage}/{batch}"
        self.together = torch.Generator().manual_seed(stream_key(seed, stage, batch))
        self._apart: list[torch.Generator] = []
        self._normal = NormalStreams([])

    def normal_like(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Return standard normal numbers of the shape, type and device of x; each image has its own."""
        keys = self._normal.keys
        places = range(self.first + len(keys), self.first + len(x))
        keys += [stream_key(self._seed, f"{self._stage}/normal", place) for place in places]
        return self._normal.draw_like(x)

    def uniform(self, count: int, *shape: int) -> Float[Tensor, "b ..."]:
        """Return numbers from 0 to 1, (count, \\*shape); of a longer last axis the first are the same."""
        return torch.stack([torch.rand(shape, generator=stream) for stream in self._streams(count)])

    def integers(self, high: int, count: int) -> Int[Tensor, "b"]:
        """Return whole numbers from 0 to high - 1, one an image."""
        return torch.stack([torch.randint(high, (), generator=stream) for stream in self._streams(count)])

    def _streams(self, count: int) -> list[torch.Generator]:
        for place in range(self.first + len(self._apart), self.first + count):
            self._apart.append(torch.Generator().manual_seed(stream_key(self._seed, self._stage, place)))
        return self._apart[:count]
