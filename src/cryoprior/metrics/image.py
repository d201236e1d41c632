"""Scores of an image against a reference image, one number per particle."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d

Interval = tuple[float, float]
UNIT: Interval = (0.0, 1.0)
SYMMETRIC: Interval = (-1.0, 1.0)


def map_to_interval(
    x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"], interval: Interval = UNIT
) -> Float[Tensor, "b box box"]:
    """Return x in the grey scale that maps the original's minimum and maximum to the interval, not clipped.

    Raises
    ------
    ValueError: an original is constant or not finite, so it has no scale.
    """
    low, high = original.amin((-2, -1), keepdim=True), original.amax((-2, -1), keepdim=True)
    if not bool((high > low).all()) or not bool(torch.isfinite(high - low).all()):
        raise ValueError("an original is constant or not finite, so it has no minimum and maximum to map")
    start, end = interval
    return start + (x - low) * ((end - start) / (high - low))


def psnr(
    x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"], interval: Interval = UNIT
) -> Float[Tensor, " b"]:
    """Return the peak signal-to-noise ratio in decibels, (b,).

    Both images are mapped by the original's minimum and maximum, so the peak is the original's range, and the result
    is the same for every interval. Equal images score 138.5, the ratio at float32 rounding, in place of infinity.
    """
    peak = interval[1] - interval[0]
    difference = map_to_interval(x, original, interval) - map_to_interval(original, original, interval)
    error = difference.square().mean((-2, -1)).clamp_min((peak * 2.0**-23) ** 2)
    return 10 * torch.log10(peak**2 / error)


def ssim(
    x: Float[Tensor, "b box box"],
    original: Float[Tensor, "b box box"],
    interval: Interval = UNIT,
    window: int = 7,
) -> Float[Tensor, " b"]:
    """Return the structural similarity, uniform window, sample covariance, mean over whole windows, (b,).

    Both images are mapped by the original's minimum and maximum to the interval, whose length is the data range. The
    interval matters: [0, 1] and [-1, 1] give different values.

    Source: Wang, Bovik, Sheikh and Simoncelli 2004, with the defaults of skimage.metrics.structural_similarity.
    """
    if x.shape[-1] < window:
        raise ValueError(f"images of {x.shape[-1]} pixels are smaller than the window of {window}")
    data_range = interval[1] - interval[0]
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    u = map_to_interval(x, original, interval)[:, None]
    v = map_to_interval(original, original, interval)[:, None]

    def local_mean(image: Tensor) -> Tensor:
        return avg_pool2d(image, window, stride=1)

    mean_u, mean_v = local_mean(u), local_mean(v)
    sample = window**2 / (window**2 - 1)
    var_u = sample * (local_mean(u * u) - mean_u**2)
    var_v = sample * (local_mean(v * v) - mean_v**2)
    cov = sample * (local_mean(u * v) - mean_u * mean_v)
    luminance = (2 * mean_u * mean_v + c1) / (mean_u**2 + mean_v**2 + c1)
    structure = (2 * cov + c2) / (var_u + var_v + c2)
    return (luminance * structure).mean((-3, -2, -1))


def ssim_range2(x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"]) -> Float[Tensor, " b"]:
    """Return the structural similarity of images mapped to [-1, 1], data range 2, (b,)."""
    return ssim(x, original, SYMMETRIC)


def correlation(x: Float[Tensor, "b box box"], reference: Float[Tensor, "b box box"]) -> Float[Tensor, " b"]:
    """Return the correlation of both images, means removed, in [-1, 1]; 0 where one is constant, (b,)."""
    a = x - x.mean((-2, -1), keepdim=True)
    b = reference - reference.mean((-2, -1), keepdim=True)
    product = (a * b).sum((-2, -1))
    norm = (a.square().sum((-2, -1)) * b.square().sum((-2, -1))).sqrt()
    return torch.where(norm > 0, product / norm.clamp_min(torch.finfo(norm.dtype).tiny), torch.zeros_like(norm))


def relative_residual(predicted: Float[Tensor, "b m"], y: Float[Tensor, "b m"]) -> Float[Tensor, " b"]:
    """Return ||Ax - y|| / ||y||, given predicted = Ax, (b,); 0 for y = 0 and Ax = 0, infinite for y = 0 otherwise."""
    error, size = (predicted - y).norm(dim=-1), y.norm(dim=-1)
    return torch.where((size == 0) & (error == 0), torch.zeros_like(error), error / size)
