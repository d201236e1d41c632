"""Which particles trained a prior, known by their images: no other file name, order or format hides them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt64
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from cryoprior.errors import InputError
from cryoprior.output.files import write_whole
from cryoprior.prior.stored_weights import REMEDY, whole_digest

PARTICLES = "particles.safetensors"
TENSOR, COMPLETE = "image_digest", "complete"


@dataclass(frozen=True, eq=False, repr=False)
class TrainingParticles:
    """The digests of the images that trained a prior, as :func:`cryoprior.io.digests.digests_of` gives them.

    digests: sorted, each once, (k,); of an image that was resized both the original's and the resized one's.
    complete: whether they are those of all particles that trained it; not so where it goes on from an older prior.
    """

    digests: UInt64[np.ndarray, " k"]
    complete: bool = True

    @staticmethod
    def of(digests: UInt64[np.ndarray, "..."], *, complete: bool = True) -> TrainingParticles:
        """Return the particles that have these digests, in any order and shape."""
        return TrainingParticles(np.unique(digests), complete)

    def __repr__(self) -> str:
        return f"TrainingParticles({len(self.digests)} digests{'' if self.complete else ', incomplete'})"

    def joined(self, other: TrainingParticles | None) -> TrainingParticles:
        """Return these particles and those of another prior; None is a prior that recorded none."""
        if other is None:
            return TrainingParticles(self.digests, complete=False)
        return TrainingParticles(np.union1d(self.digests, other.digests), self.complete and other.complete)

    def among(self, digests: UInt64[np.ndarray, "n k"]) -> Bool[np.ndarray, " n"]:
        """Return for every particle whether any of the digests of its image is known, (n,)."""
        return np.asarray(np.isin(digests, self.digests).any(axis=1))

    def write(self, folder: Path) -> None:
        """Write the digests into the folder of a prior."""
        write_whole(folder / PARTICLES, save({TENSOR: self.digests}, {COMPLETE: str(self.complete).lower()}))

    @staticmethod
    def read(folder: Path, digest: str | None) -> TrainingParticles | None:
        """Return the digests in the folder of a prior; None where its configuration names none.

        Raises
        ------
        InputError: the file is missing, damaged, or not the one that the configuration names.
        """
        path = folder / PARTICLES
        if digest is None:
            return None
        if not path.is_file() or whole_digest(path) != digest:
            fault = "damaged: its digest is not the one in config.json" if path.is_file() else "no such file"
            raise InputError(f"{path}: {fault}; expected the digests of the particles that trained it; {REMEDY}")
        try:
            with safe_open(str(path), framework="np") as file:
                digests, complete = file.get_tensor(TENSOR), (file.metadata() or {}).get(COMPLETE) == "true"
        except SafetensorError as error:
            raise InputError(f"{path}: not the digests of particles ({error}); {REMEDY}") from None
        return TrainingParticles.of(digests, complete=complete)
