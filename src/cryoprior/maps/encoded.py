"""Maps of whole particles as an encoding stores them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from cryoprior.io.rows import spread_rows
from cryoprior.maps.arrays import read_images
from cryoprior.maps.source import Views
from cryoprior.maps.sources import FullParticles
from cryoprior.storage import Encoding, stored_images

WEIGHED = 256
"""Particles whose file is weighed."""


@dataclass(frozen=True)
class EncodedParticles(FullParticles):
    """Full particles as they come back from the files of an encoding."""

    encoding: Encoding

    def views(self, rows: np.ndarray) -> Views:
        return torch.from_numpy(stored_images(read_images(self.stack, rows).numpy(), self.encoding).images), None

    @cached_property
    def bytes_per_particle(self) -> float:
        """Return the bytes on disk by particle, of a file of at most 256 of them."""
        sample = read_images(self.stack, spread_rows(self.n, WEIGHED))
        return stored_images(sample.numpy(), self.encoding).bytes_per_particle
