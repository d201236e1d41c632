"""Reconstruction: images from their measurements, with any solver and any prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.reconstruction.choice import choose_solver, open_prior
    from cryoprior.reconstruction.reconstructing import Reconstruction, reconstruct
    from cryoprior.reconstruction.reconstructor import Reconstructor, fit_prior, make_reconstructor

__all__ = [
    "Reconstruction",
    "Reconstructor",
    "choose_solver",
    "fit_prior",
    "make_reconstructor",
    "open_prior",
    "reconstruct",
]

__getattr__ = lazy_names(
    __name__,
    {
        "choice": ("choose_solver", "open_prior"),
        "reconstructing": ("Reconstruction", "reconstruct"),
        "reconstructor": ("Reconstructor", "fit_prior", "make_reconstructor"),
    },
)
