"""CTF-weighted back-projection: images of known pose summed in Fourier space."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from cryoprior.image.device_spreading import spread_on_device
from cryoprior.image.fourier_grid import FourierGrid
from cryoprior.image.normal_equations import NormalEquations
from cryoprior.image.spreading import spread

TOGETHER = 2_000_000
"""Coefficients that are added to the grid at a time; about 70 bytes each."""
SEEN = 1e-6
"""A shell whose weight is below this part of the largest was not measured."""


class Backprojector:
    """Sums of transforms and weights over central slices: both sides of the equations of the map that fits them.

    An image i of pose R and transfer T (CTF, and what a measurement left of each frequency) adds T F to the numerator
    and T^2 to the weights, each coefficient to the eight voxels around R k on a grid ``padding`` times finer than the
    transform of the box, trilinear; the envelope of that kernel is divided out in real space. The means, at the origin
    in every pose, are summed apart: they lie on the grid, have no envelope, and outweigh all else where T is 1. Sums
    are float64; memory depends on the box alone. Images wait until there are enough to be added together.

    Parameters
    ----------
    box: pixels a side of images and map.
    padding: oversampling of the transform of the map, at least 2, as in RELION.
    device: where the sums are held.

    Source: gridding as in RELION (Scheres, J. Struct. Biol. 180 (2012) 519); poses and origins are RELION's.
    """

    def __init__(self, box: int, padding: int = 2, device: torch.device | str = "cpu") -> None:
        self.grid = FourierGrid(box, padding)
        self._added = torch.zeros(*self.grid.shape, 3, dtype=torch.float64, device=device)
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []
        self._means = torch.zeros(2, dtype=torch.float64, device=device)

    @property
    def box(self) -> int:
        """Pixels a side."""
        return self.grid.box

    def insert(
        self,
        transforms: Complex[Tensor, "b box half"],
        weights: Float[Tensor, "b box half"],
        rotations: Float[Tensor, "b 3 3"],
    ) -> None:
        """Add a batch: numerators and weights on the rfft2 grid, the centre of the images at the origin.

        Parameters
        ----------
        transforms: T F, unnormalised transforms as :func:`centred_transforms` gives them, times the transfer T.
        weights: T^2.
        rotations: those of the particles, or what :func:`cryoprior.image.projection.slice_matrices` makes of them; for
            a symmetry mate S pass S R. What a magnification moves beyond Nyquist is left out.
        """
        slices = self.grid.slices(rotations)
        if self._added.device.type == "cpu":
            if self._waiting and self._waiting[0][0].dtype != transforms.dtype:
                self._add_waiting()
            self._waiting.append((transforms, weights, slices))
            if sum(len(each) for each, _, _ in self._waiting) * self.grid.coefficients >= TOGETHER:
                self._add_waiting()
        else:
            spread_on_device(self._added, self.grid, transforms, weights, slices)
        means = torch.stack((transforms[:, 0, 0].real, weights[:, 0, 0].to(transforms.real)))
        self._means += means.to(torch.float64).sum(1)

    @property
    def _sums(self) -> Float[Tensor, "x y z 3"]:
        """Real part, imaginary part and weight of every voxel."""
        self._add_waiting()
        return self._added

    def _add_waiting(self) -> None:
        if self._waiting:
            spread(self._added, self.grid, *(torch.cat(parts) for parts in zip(*self._waiting, strict=True)))
            self._waiting.clear()

    def add(self, other: Backprojector) -> None:
        """Add the sums of another set of particles of the same box and padding."""
        self._added = self._sums + other._sums.to(self._added.device)
        self._means += other._means.to(self._means.device)

    def copy(self) -> Backprojector:
        """Return the same sums, held apart."""
        twin = Backprojector.__new__(Backprojector)
        twin.grid, twin._added, twin._means = self.grid, self._sums.clone(), self._means.clone()
        twin._waiting = []
        return twin

    def target(self) -> Float[Tensor, "box box box"]:
        """Return sum_i P_i' T_i x_i, z y x, centre at box // 2, float64."""
        numerators = torch.complex(self._sums[..., 0], self._sums[..., 1])
        return self.grid.to_real(numerators, self.box) + self._means[0] / self.grid.padded**3

    def equations(self) -> NormalEquations:
        """Return sum_i P_i' T_i^2 P_i, by which the map that fits all images best is found."""
        padded = self.grid.padded
        lags = self.grid.to_real(self._sums[..., 2], padded) + self._means[1] / padded**3
        return NormalEquations(torch.fft.ifftshift(lags), self.box, self._seen())

    def _seen(self) -> Bool[Tensor, " shells"]:
        """Return in which shells there is a weight."""
        x, y, z = (torch.arange(n, device=self._added.device) for n in self.grid.shape)
        y, z = y - self.grid.reach, z - self.grid.reach
        in_plane, weight = y[:, None] ** 2 + z**2, self._means.new_zeros(self.box + 2)
        for plane in x.tolist():
            shell = ((in_plane + plane**2).sqrt() / self.grid.padding).round().long().clamp_max(self.box + 1)
            weight.index_add_(0, shell.flatten(), self._sums[plane, :, :, 2].flatten())
        mean = weight / torch.arange(1, self.box + 3, device=weight.device).square()
        mean[0] = self._means[1]
        found: Tensor = mean > SEEN * mean.max()
        return found[: self.box // 2 + 1]


def centred_transforms(
    images: Float[Tensor, "b box box"], origin_pixel: Float[Tensor, "b 2"]
) -> Complex[Tensor, "b box half"]:
    """Return the unnormalised rfft2 of images whose centre, pixel box // 2, is moved to 0 and whose shift is undone.

    Parameters
    ----------
    images: any grey scale.
    origin_pixel: RELION's origin (x, y) in pixels: the particle was shifted by its negative.
    """
    transform: Tensor = torch.fft.rfft2(images)
    return transform * centring(images, origin_pixel)


def centring(like: Float[Tensor, "b box box"], origin_pixel: Float[Tensor, "b 2"]) -> Complex[Tensor, "b box half"]:
    """Return the phases that move the centre of images to the origin and undo their shifts; see above."""
    box = like.shape[-1]
    moved = box // 2 - origin_pixel.to(like)
    kx = torch.fft.rfftfreq(box, dtype=like.dtype, device=like.device)
    ky = torch.fft.fftfreq(box, dtype=like.dtype, device=like.device)
    turn_x = torch.exp(2j * torch.pi * moved[:, :1] * kx)
    turn_y = torch.exp(2j * torch.pi * moved[:, 1:] * ky)
    return turn_y[:, :, None] * turn_x[:, None, :]
