"""Scores of images, maps, poses, states and atomic models: arrays in, numbers out; no files.

A new score of images is one file and one line of METRICS.
"""

from __future__ import annotations

from cryoprior.metrics.agreement import ClusterAgreement, cluster_agreement
from cryoprior.metrics.atomic_model import ChainPair, PairRules, Residues, chain_pairs
from cryoprior.metrics.directional_fsc import DirectionalFsc, directional_fsc
from cryoprior.metrics.fsc import FscCurves, Resolution, fsc, fsc_curves, resolution
from cryoprior.metrics.gate import Gate, gate, gated_map, verdicts
from cryoprior.metrics.image import correlation, map_to_interval, psnr, relative_residual, ssim, ssim_range2
from cryoprior.metrics.lpips import Lpips, lpips_without_weights
from cryoprior.metrics.metric import Metric, fault_of_metric
from cryoprior.metrics.model_recovery import Recovery, recovery
from cryoprior.metrics.pose import PoseErrors, pose_errors
from cryoprior.metrics.referee import Referee, referee
from cryoprior.metrics.rings import (
    ShellPowers,
    frc,
    frc_mean,
    mean_frc,
    pooled_frc,
    power_ratio,
    shell_coefficients,
    shell_powers,
    shell_resolution_angstrom,
)
from cryoprior.metrics.volume import VolumeCorrelation, volume_correlation
from cryoprior.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric",
    {
        metric.name: metric
        for metric in (
            Metric("ssim", "SSIM", True, 3, ssim),
            Metric("psnr", "PSNR (dB)", True, 2, psnr),
            Metric("lpips", "LPIPS", False, 3, lpips_without_weights, needs_weights=True),
            Metric("correlation", "Correlation", True, 3, correlation),
            Metric("ssim_range2", "SSIM on [−1, 1]", True, 3, ssim_range2),
            Metric("frc", "FRC", True, 3, mean_frc, floors=False),
            Metric("residual", "Relative residual", False, 3, relative_residual, "measurements", floors=False),
        )
    },
    fault_of_metric,
)
"""The scores of reconstructed images: evaluation, benchmarks and reports read names, titles and digits here alone."""

__all__ = [
    "METRICS",
    "ChainPair",
    "ClusterAgreement",
    "DirectionalFsc",
    "FscCurves",
    "Gate",
    "Lpips",
    "Metric",
    "PairRules",
    "PoseErrors",
    "Recovery",
    "Referee",
    "Residues",
    "Resolution",
    "ShellPowers",
    "VolumeCorrelation",
    "chain_pairs",
    "cluster_agreement",
    "correlation",
    "directional_fsc",
    "frc",
    "frc_mean",
    "fsc",
    "fsc_curves",
    "gate",
    "gated_map",
    "map_to_interval",
    "mean_frc",
    "pooled_frc",
    "pose_errors",
    "power_ratio",
    "psnr",
    "recovery",
    "referee",
    "relative_residual",
    "resolution",
    "shell_coefficients",
    "shell_powers",
    "shell_resolution_angstrom",
    "ssim",
    "ssim_range2",
    "verdicts",
    "volume_correlation",
]
