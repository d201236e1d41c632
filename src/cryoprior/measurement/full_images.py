"""Images as recorded, in the form of measurements: every pixel is a number, and nothing was left out."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64, UInt64

from cryoprior.io import Measurements, ParticleStack, check_images
from cryoprior.io.digests import BATCH, read_with_digests
from cryoprior.io.identity import Particles
from cryoprior.io.particles import ALL, Indices
from cryoprior.io.rows import row_batches
from cryoprior.operators import Identity, Operator, format_operator


class FullImages:
    """The images of a stack, seen by the operator ``identity``; the names are those of :class:`Measurements`.

    sigma: of noise that a measurement would have added, 0: all noise of a recorded image is the image's own.
    """

    def __init__(self, stack: ParticleStack) -> None:
        self.stack, self.n, self.box, self.path = stack, stack.n, stack.box, stack.path
        self.operator: Operator = Identity(box=stack.box)
        self.m, self.operator_spec, self.digest = (
            self.operator.m,
            format_operator(self.operator),
            self.operator.digest(),
        )
        self.sigma, self.seed, self.particle_index = 0.0, 0, stack.index
        self.source, self.particles_digest = str(stack.path.resolve()), stack.digest()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, key: int | Indices) -> FullImages:
        """Return the images of the particles that an index, a slice, a list or a mask chooses; none is read."""
        return FullImages(self.stack[key])

    @property
    def particles(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the tables of particles and of optics groups."""
        return self.stack.table, self.stack.optics

    @property
    def pixel_size(self) -> Float64[np.ndarray, " n"]:
        """Return the pixel size of every particle in angstrom, (n,)."""
        return self.stack.pixel_size

    @property
    def bytes_per_particle(self) -> float:
        """Return the bytes of an image in single precision."""
        return 4.0 * self.m

    @property
    def identified(self) -> Particles:
        """Return what names the particles."""
        return self.stack.identified

    def y(self, indices: Indices = ALL) -> Float32[np.ndarray, "b m"]:
        """Return the pixels row by row, (b, m); InputError for an image that is constant or not finite."""
        rows = np.arange(self.n)[indices]
        images = np.asarray(self.stack.read(rows), np.float32)
        check_images(images, self.stack, rows)
        return images.reshape(len(rows), -1)

    @cached_property
    def image_digests(self) -> UInt64[np.ndarray, "n k"]:
        """Return the digests of the images, (n, k), as measurements of them would hold them; every image is read."""
        return np.concatenate([read_with_digests(self.stack, rows)[1] for rows in row_batches(self.n, BATCH)])


Measured = Measurements | FullImages
"""What a reconstruction is made of."""
