"""Priors: denoisers that know what particle images look like, how they are loaded, asked, fitted and stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.prior.checkpoint import Prior, load_prior, prior_folder, save_prior
    from cryoprior.prior.config import PriorConfig, read_config
    from cryoprior.prior.denoiser import Denoiser, MeteredDenoiser
    from cryoprior.prior.drawing import draw
    from cryoprior.prior.function import as_prior
    from cryoprior.prior.gaussian import GaussianPrior
    from cryoprior.prior.volume.checkpoint import load_map_prior
    from cryoprior.prior.volume.map_prior import MapPrior

__all__ = [
    "Denoiser",
    "GaussianPrior",
    "MapPrior",
    "MeteredDenoiser",
    "Prior",
    "PriorConfig",
    "as_prior",
    "draw",
    "load_map_prior",
    "load_prior",
    "prior_folder",
    "read_config",
    "save_prior",
]

__getattr__ = lazy_names(
    __name__,
    {
        "checkpoint": ("Prior", "load_prior", "prior_folder", "save_prior"),
        "config": ("PriorConfig", "read_config"),
        "denoiser": ("Denoiser", "MeteredDenoiser"),
        "drawing": ("draw",),
        "function": ("as_prior",),
        "gaussian": ("GaussianPrior",),
        "volume.checkpoint": ("load_map_prior",),
        "volume.map_prior": ("MapPrior",),
    },
)
