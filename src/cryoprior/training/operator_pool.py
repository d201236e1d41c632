"""The operators that a training run meets, the same ones for the same seed."""

from __future__ import annotations

import math
from collections import OrderedDict

from cryoprior.operators import Operator
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.random import numpy_stream

POOL = 512
"""Different operators that a training run meets; each brings its own random masks."""
HELD_BYTES = 2**30
"""Bytes of singular systems that are held ready."""


class OperatorPool:
    """The operators of a training run, number i always the same, with the singular systems of the last ones held."""

    def __init__(self, family: OperatorFamily, box: int, seed: int) -> None:
        self.family, self.box, self.seed = family, box, seed
        self._held: OrderedDict[int, Operator] = OrderedDict()

    def __getitem__(self, number: int) -> tuple[Operator, float]:
        """Return operator ``number`` and its sigma, in the prior's grey scale."""
        rng = numpy_stream(self.seed, f"operators/train/{self.box}", number)
        operator = self._held.pop(number, None) or self.family.draw(rng, self.box)
        sigma = self._sigma(operator, number)
        self._held[number] = operator
        while len(self._held) > 1 and sum(o.held_bytes for o in self._held.values()) > HELD_BYTES:
            self._held.popitem(last=False)
        return operator, sigma

    def _sigma(self, operator: Operator, number: int) -> float:
        """Return 0, or a noise of 3 to 100 % of an image's deviation in a typical coordinate."""
        rng = numpy_stream(self.seed, "operators/sigma", number)
        if rng.random() >= self.family.noisy:
            return 0.0
        s = operator.values(0)
        return float(s[s > 0].median()) * float(math.exp(rng.uniform(math.log(0.03), 0.0)))
