"""The images that the benchmarks measure: real particles, and simulated ones whose clean projections are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cryoprior.io import read_particles
from cryoprior.simulation import command as simulate


@dataclass(frozen=True)
class Images:
    """One data set: ``original`` (n, box, box) as recorded, ``clean`` where it is known."""

    name: str
    title: str
    original: Tensor
    clean: Tensor | None = None

    @property
    def box(self) -> int:
        """Return pixels a side."""
        return int(self.original.shape[-1])

    def first(self, n: int | None) -> Images:
        """Return the first n particles, all without n."""
        clean = None if self.clean is None else self.clean[:n]
        return Images(self.name, self.title, self.original[:n], clean)


def real(data: Path, limit: int | None = None) -> list[Images]:
    """Return the real particles: 7 of EMPIAR-10076 at 128 pixels, 64 Astex crops at 64."""
    ribosome = read_particles(data / "real" / "empiar_10076_7.star").resized(128)
    crops = read_particles(data / "real" / "astex_epu_crops.mrcs").resized(64).subset(slice(64))
    found = (
        Images("empiar_10076", "EMPIAR-10076, Fourier-cropped from 320 to 128 pixels", _read(ribosome)),
        Images("astex", "Astex crops, Fourier-cropped from 128 to 64 pixels", _read(crops)),
    )
    return [images.first(limit) for images in found]


@dataclass(frozen=True)
class Recipe:
    """A simulated data set. pixel_size_angstrom, snr: at 64 pixels."""

    name: str
    title: str
    structure: str
    pixel_size_angstrom: float
    keep_chains: tuple[str, ...] = ()
    snr: float = 0.1
    seed: int = 999


RECIPES = (
    Recipe("50s", "unseen views of a structure of the training set: 50S of 4v5d", "4v5d.cif.gz", 5.0, ("B*",)),
    Recipe("3j9i", "a structure that no prior was trained on: 20S proteasome, 3j9i", "3j9i.pdb.gz", 4.0),
)


def simulated(recipe: Recipe, data: Path, work: Path, n: int, box: int = 64) -> Images:
    """Return n simulated particles, made once under ``work``.

    At 128 pixels the pixel is half as wide and the noise spreads over more of them: the same field of view, with
    SNR / 2^1.4. The noise has the spectrum of the EMPIAR-10076 particles, the CTFs are rows of EMPIAR-10028.
    """
    folder, scale = work / "data" / f"{recipe.name}-{box}-{n}", box / 64
    if not (folder / "summary.json").is_file():
        simulate.run(
            simulate.Options(
                structures=(data / "structures" / recipe.structure,),
                output=folder,
                n=n,
                box=box,
                pixel_size=recipe.pixel_size_angstrom / scale,
                snr=recipe.snr / scale**1.4,
                ctf=data / "meta" / "empiar_10028_ctf_sample.csv",
                noise_like=data / "real" / "empiar_10076_7.star",
                keep_chains=recipe.keep_chains,
                seed=recipe.seed,
                overwrite=True,
            )
        )
    original, clean = (_read(read_particles(folder / f"{name}.star")) for name in ("particles", "clean"))
    return Images(recipe.name, recipe.title, original, clean)


def _read(stack: object) -> Tensor:
    return torch.from_numpy(stack.read(slice(None)))  # type: ignore[attr-defined]
