"""Embeddings of latents in few dimensions: UMAP as in the paper, principal components, or the latents themselves."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.output.record import installed_version

ORIGINAL, RECONSTRUCTED, OTHER = "original", "reconstructed", "other"
"""The names of latents; ``other`` is another training of the original particles."""
EMBEDDINGS = ("umap", "pca", "none")
UMAP_MISSING = (
    "umap-learn is not installed; the embedding of the paper needs it; pip install 'cryoprior[heterogeneity]', or "
    "pass <embedding=pca>"
)


@dataclass(frozen=True)
class EmbeddingSettings:
    """How latents are embedded: ``umap``, ``pca`` (two components) or ``none``.

    neighbours, min_dist: UMAP's; 15 and 0.1 are its defaults, cryoDRGN's, and what the paper used.
    """

    method: str = "umap"
    neighbours: int = 15
    min_dist: float = 0.1


def embed(latents: Float[np.ndarray, "n z"], settings: EmbeddingSettings, state: int) -> Float[np.ndarray, "n e"]:
    """Return the embedding of every particle, float64.

    Parameters
    ----------
    state: seeds UMAP, which then works on one thread and gives the same numbers again; the others draw nothing.

    Raises
    ------
    InputError: UMAP is not installed, or there are not more particles than neighbours.
    """
    if settings.method == "none":
        centred: np.ndarray = latents - latents.mean(0)
        return centred
    return principal_components(latents) if settings.method == "pca" else _umap(latents, settings, state)


def check_embedding(settings: EmbeddingSettings) -> None:
    """Raise InputError for UMAP where it is not installed; nothing is imported."""
    if settings.method == "umap" and installed_version("umap-learn") is None:
        raise InputError(UMAP_MISSING)


def principal_components(values: Float[np.ndarray, "n z"], components: int = 2) -> Float[np.ndarray, "n e"]:
    """Return the coordinates along the first principal axes, (n, 2), or (n, 1) for a single dimension.

    The sign of each axis makes its component of largest magnitude positive, so that equal data have equal signs.
    """
    centred = values - values.mean(0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :components]
    largest = np.take_along_axis(axes, abs(axes).argmax(0)[None], 0)
    coordinates: np.ndarray = centred @ (axes * np.sign(largest))
    return coordinates


def _umap(latents: Float[np.ndarray, "n z"], settings: EmbeddingSettings, state: int) -> Float[np.ndarray, "n 2"]:
    if len(latents) <= settings.neighbours:
        raise InputError(
            f"latents of {len(latents)} particles; UMAP with {settings.neighbours} neighbours needs more; pass fewer "
            "with <neighbours>, or <embedding=pca>"
        )
    try:
        with warnings.catch_warnings():  # of a tensorflow that is not needed, and of graphs in several pieces
            warnings.simplefilter("ignore")
            from umap import UMAP

            umap = UMAP(
                n_neighbors=settings.neighbours,
                min_dist=settings.min_dist,
                n_components=2,
                random_state=state,
                n_jobs=1,
            )
            return np.asarray(umap.fit_transform(latents.astype(np.float32)), np.float64)
    except ImportError as error:
        raise InputError(f"{UMAP_MISSING} ({error})") from error
