"""Training images: stacks in one grey scale, with the spectra of their signal and noise, read lazily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import power_spectrum, radial_average, shell_index
from cryoprior.image.turns import turned
from cryoprior.prior.signal import Spectra
from cryoprior.random import numpy_stream
from cryoprior.training.arrays import ImageSource
from cryoprior.training.draws import BatchDraws

FIXED_VALIDATION = 16
"""Images of the paper's fixed validation subset: a random draw of those held out."""
SAMPLE = 512
"""Images of a stack from which grey scale and spectra are measured."""


@dataclass(frozen=True)
class TrainingStack:
    """One data set: particles, their clean images where they are known, and its split.

    x_prior = (x - offset) / scale has mean 0 and standard deviation 1 over the particles.
    """

    particles: ImageSource
    clean: ImageSource | None
    offset: float
    scale: float
    spectra: Spectra
    train_rows: np.ndarray
    validation_rows: np.ndarray

    @property
    def path(self) -> Path:
        """Return where the particles are."""
        return self.particles.path

    @property
    def digest(self) -> str:
        """Return the digest of the particles."""
        return self.particles.digest()

    @property
    def index(self) -> np.ndarray:
        """Return the number of every row in its file, (n,)."""
        return self.particles.index

    @property
    def pixel_size(self) -> np.ndarray:
        """Return angstrom per pixel of every row, (n,)."""
        return self.particles.pixel_size

    @property
    def measured_by(self) -> None:
        """Return nothing: the particles are whole."""
        return None

    @property
    def has_clean(self) -> bool:
        """Return whether the clean images are known."""
        return self.clean is not None

    def targets(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the clean images in the prior's grey scale, or the particles where nothing clean is known."""
        stack = self.particles if self.clean is None else self.clean
        return (torch.from_numpy(stack.read(rows)) - self.offset) / self.scale


def training_stack(
    particles: ImageSource, clean: ImageSource | None, validation: float, seed: int, *, minimum: int = 1
) -> TrainingStack:
    """Return a data set with its grey scale, spectra and seeded split measured.

    Parameters
    ----------
    particles, clean: the same rows; clean may be None.
    validation: fraction of the particles that is held out.

    Raises
    ------
    InputError: clean and noisy stacks that do not match, constant or non-finite images, too few particles to split.
    """
    if clean is not None and (clean.n, clean.box) != (particles.n, particles.box):
        raise InputError(
            f"{clean.path}: {clean.n} images of {clean.box} pixels beside {particles.n} of {particles.box} in "
            f"{particles.path}; expected the clean image of every particle, row by row"
        )
    train_rows, validation_rows = random_split(particles.path, particles.n, validation, seed, minimum=minimum)
    order = numpy_stream(seed, "split").permutation(particles.n)
    sample = np.sort(order[: min(SAMPLE, particles.n)])
    images = torch.from_numpy(particles.read(sample)).double()
    offset, scale = float(images.mean()), float(images.std())
    if not np.isfinite(scale) or scale == 0:
        raise InputError(
            f"{particles.path}: grey values have deviation {scale}; expected images; `cryoprior validate` it"
        )
    images = (images - offset) / scale
    if clean is None:
        total = radial_average(power_spectrum(images))
        spectra = Spectra(tuple(total.tolist()), (0.0,) * len(total))
    else:
        signal = (torch.from_numpy(clean.read(sample)).double() - offset) / scale
        spectra = Spectra(
            tuple(radial_average(power_spectrum(signal)).tolist()),
            tuple(radial_average(power_spectrum(images - signal)).tolist()),
        )
    return TrainingStack(particles, clean, offset, scale, spectra, train_rows, validation_rows)


def random_split(path: Path, n: int, validation: float, seed: int, *, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those held out, in order; InputError where nothing is left to train on."""
    held_out = max(minimum, round(validation * n))
    if n - held_out < 1:
        raise InputError(f"{path}: {n} particles; expected at least {held_out + 1} to train and validate")
    return split_rows(n, held_out, seed)


def split_rows(n: int, held_out: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of n that are left, and the ``held_out`` rows that are not, each in ascending order."""
    order = numpy_stream(seed, "split").permutation(n)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def drawn_rows(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return ``count`` of the rows (all where there are no more), drawn at random by the seed, in ascending order.

    Of a larger count they are a part. A stack is in the order in which its micrographs were recorded: the first rows of
    it would be the first hour of a session.
    """
    order = numpy_stream(seed, "validation").permutation(len(rows))
    return np.sort(rows[order[:count]])


def dihedral(images: Float[Tensor, "b box box"], draws: BatchDraws) -> Float[Tensor, "b box box"]:
    """Return the images, each turned by a random number of quarter turns and mirrored half the time.

    The mirror of a projection is the projection from the opposite side, so both are images of the same particle.
    """
    turns = draws.integers(8, len(images)).tolist()
    return torch.cat([turned(image[None], turn) for image, turn in zip(images, turns, strict=True)])


class TrainingImages:
    """All data sets of one box, as one list of images in a seeded order for every epoch."""

    def __init__(self, stacks: Sequence[TrainingStack], seed: int) -> None:
        self.stacks, self.seed = list(stacks), seed
        self.box = stacks[0].particles.box
        self.rows = np.concatenate(
            [np.stack([np.full(len(s.train_rows), i), s.train_rows], axis=1) for i, s in enumerate(stacks)]
        )
        shells = shell_index(self.box)
        self.noise = torch.tensor([s.spectra.noise for s in stacks], dtype=torch.float32)[:, shells]
        self.spectra = _mean_spectra(stacks)
        self.signal = torch.tensor(self.spectra.signal, dtype=torch.float32)[shells]
        self._epoch, self._order = -1, np.empty(0, int)

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, start: int, size: int) -> Float[Tensor, "b box box"]:
        """Return the images at places start .. start + size of the endless list of shuffled epochs."""
        places = np.array([self._place(i) for i in range(start, start + size)])
        return self._read(self.rows[places])

    def augmented(self, start: int, size: int, draws: BatchDraws) -> Float[Tensor, "b box box"]:
        """Return a batch whose images are turned and mirrored at random."""
        return dihedral(self.batch(start, size), draws)

    def validation(self, limit: int) -> tuple[Float[Tensor, "b box box"], Float[Tensor, "b box half"]]:
        """Return up to ``limit`` held-out images, drawn evenly from all data sets, and the noise power of each."""
        share = max(1, limit // len(self.stacks))
        drawn = [drawn_rows(s.validation_rows, share, self.seed) for s in self.stacks]
        rows = [(i, row) for i, of_stack in enumerate(drawn) for row in of_stack]
        table = np.array(rows)
        return self._read(table), self.noise[torch.from_numpy(table[:, 0])]

    def _place(self, index: int) -> int:
        epoch, place = divmod(index, len(self.rows))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, numpy_stream(self.seed, "epoch", epoch).permutation(len(self.rows))
        return int(self._order[place])

    def _read(self, table: np.ndarray) -> Float[Tensor, "b box box"]:
        images = torch.empty(len(table), self.box, self.box)
        for stack in np.unique(table[:, 0]):
            here = np.flatnonzero(table[:, 0] == stack)
            images[here] = self.stacks[stack].targets(table[here, 1])
        return images


def _mean_spectra(stacks: Sequence[TrainingStack]) -> Spectra:
    weights = np.array([s.particles.n for s in stacks], dtype=np.float64)
    weights /= weights.sum()
    signal = np.average([s.spectra.signal for s in stacks], axis=0, weights=weights)
    noise = np.average([s.spectra.noise for s in stacks], axis=0, weights=weights)
    floor = 1e-6 * float(signal.max())
    return Spectra(tuple(np.maximum(signal, floor).tolist()), tuple(noise.tolist()))
