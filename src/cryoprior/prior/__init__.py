"""Priors: denoisers that know what particle images look like, how they are trained and how they are stored."""

from __future__ import annotations

from cryoprior.prior.checkpoint import Prior, PriorConfig, load_prior, prior_folder, read_config, save_prior
from cryoprior.prior.denoiser import Denoiser, MeteredDenoiser
from cryoprior.prior.gaussian import GaussianPrior

__all__ = [
    "Denoiser",
    "GaussianPrior",
    "MeteredDenoiser",
    "Prior",
    "PriorConfig",
    "load_prior",
    "prior_folder",
    "read_config",
    "save_prior",
]
