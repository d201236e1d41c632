"""Scores of images, maps, poses, states and atomic models: arrays in, numbers out; no files."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cryoprior.metrics.agreement import ClusterAgreement, cluster_agreement
from cryoprior.metrics.atomic_model import ChainPair, PairRules, Residues, chain_pairs
from cryoprior.metrics.fsc import FscCurves, Resolution, fsc, fsc_curves, resolution
from cryoprior.metrics.image import correlation, map_to_interval, psnr, relative_residual, ssim, ssim_range2
from cryoprior.metrics.lpips import Lpips
from cryoprior.metrics.model_recovery import Recovery, recovery
from cryoprior.metrics.pose import PoseErrors, pose_errors
from cryoprior.metrics.rings import (
    ShellPowers,
    frc,
    frc_mean,
    pooled_frc,
    power_ratio,
    shell_coefficients,
    shell_powers,
    shell_resolution_angstrom,
)
from cryoprior.metrics.volume import VolumeCorrelation, volume_correlation

ImageMetric = Callable[[Tensor, Tensor], Tensor]

# (x, original), both (b, box, box) -> one number a particle, (b,); evaluate and the law tests go over all of them
IMAGE_METRICS: dict[str, ImageMetric] = {
    "psnr": psnr,
    "ssim": ssim,
    "ssim_range2": ssim_range2,
    "correlation": correlation,
}

__all__ = [
    "IMAGE_METRICS",
    "ChainPair",
    "ClusterAgreement",
    "FscCurves",
    "ImageMetric",
    "Lpips",
    "PairRules",
    "PoseErrors",
    "Recovery",
    "Residues",
    "Resolution",
    "ShellPowers",
    "VolumeCorrelation",
    "chain_pairs",
    "cluster_agreement",
    "correlation",
    "frc",
    "frc_mean",
    "fsc",
    "fsc_curves",
    "map_to_interval",
    "pooled_frc",
    "pose_errors",
    "power_ratio",
    "psnr",
    "recovery",
    "relative_residual",
    "resolution",
    "shell_coefficients",
    "shell_powers",
    "shell_resolution_angstrom",
    "ssim",
    "ssim_range2",
    "volume_correlation",
]
