"""Learned perceptual image patch similarity (LPIPS), AlexNet, version 0.1: five feature maps, five 1x1 heads.

Grey images are repeated to three channels. The weights come from :mod:`cryoprior.external.lpips_weights`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from cryoprior.errors import InputError
from cryoprior.metrics.image import SYMMETRIC, map_to_interval

SMALLEST_BOX = 32
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
# stride, padding and whether a 3x3 pool of stride 2 comes first, for each convolution of AlexNet
_LAYERS = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))


class Lpips:
    """Distances between images in the feature space of AlexNet, 0 for equal images.

    Parameters
    ----------
    weights: ``conv{i}.weight``, ``conv{i}.bias`` and ``head{i}.weight`` for i = 0 .. 4.

    Source: Zhang, Isola, Efros, Shechtman and Wang 2018, equation 1.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._weights = dict(weights)

    def features(self, image: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the five feature maps of images in [-1, 1], each pixel's vector of length 1."""
        if min(image.shape[-2:]) < SMALLEST_BOX:
            raise ValueError(f"LPIPS needs at least {SMALLEST_BOX} pixels a side, found {tuple(image.shape[-2:])}")
        x = (image - image.new_tensor(_SHIFT)[:, None, None]) / image.new_tensor(_SCALE)[:, None, None]
        maps = []
        for i, (stride, padding, pool) in enumerate(_LAYERS):
            x = max_pool2d(x, 3, 2) if pool else x
            weight, bias = (self._weights[f"conv{i}.{part}"].to(x) for part in ("weight", "bias"))
            x = relu(conv2d(x, weight, bias, stride, padding))
            maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return maps

    def distance(self, a: list[Float[Tensor, "b _ _ _"]], b: list[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, " b"]:
        """Return the distance between two sets of feature maps, (b,)."""
        total = torch.zeros(len(a[0]), dtype=a[0].dtype, device=a[0].device)
        for i, (u, v) in enumerate(zip(a, b, strict=True)):
            head = self._weights[f"head{i}.weight"].to(u)
            total = total + conv2d((u - v).square(), head).mean((1, 2, 3))
        return total

    def grey_features(
        self, x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"]
    ) -> list[Float[Tensor, "b _ _ _"]]:
        """Return the feature maps of grey images, mapped to [-1, 1] by the original's range and repeated to colour."""
        return self.features(map_to_interval(x, original, SYMMETRIC)[:, None].expand(-1, 3, -1, -1))

    @torch.no_grad()
    def __call__(self, x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"]) -> Float[Tensor, " b"]:
        """Return the distance of x to the original, both mapped to [-1, 1] by the original's range, (b,)."""
        return self.distance(self.grey_features(x, original), self.grey_features(original, original))


def lpips_without_weights(x: Float[Tensor, "b box box"], original: Float[Tensor, "b box box"]) -> Float[Tensor, " b"]:
    """Return the learned perceptual distance of x to the original, (b,): only :class:`Lpips` with its weights can.

    Raises
    ------
    InputError: always.
    """
    raise InputError("lpips: no weights; it is computed by cryoprior.metrics.Lpips(weights), or by evaluate")
