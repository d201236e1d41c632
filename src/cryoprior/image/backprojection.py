"""CTF-weighted back-projection: images of known pose summed in Fourier space, and the map that fits them."""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from cryoprior.image.normal_equations import NormalEquations

CACHED_POINTS = 1 << 14
"""Coefficients that a processor spreads at a time: what they take stays in its cache, which halves the time."""


class Backprojector:
    """Sums of transforms and weights over central slices, from which the weighted least-squares map is made.

    An image i of pose R and transfer T (CTF, and what a measurement left of each frequency) adds T F to the numerator
    and T^2 to the weights, each coefficient to the eight voxels around R k on a grid ``padding`` times finer than the
    transform of the box, trilinear; the envelope of that kernel is divided out in real space. The means, at the origin
    in every pose, are summed apart: they lie on the grid, have no envelope, and outweigh all else where T is 1. The map
    is the volume of the box that fits all images best, sum of T^2-weighted squares. Sums are float64; memory depends on
    the box alone.

    Parameters
    ----------
    box: pixels a side of images and map.
    padding: oversampling of the transform of the map, at least 2, as in RELION.
    device: where the sums are held.

    Source: gridding as in RELION (Scheres, J. Struct. Biol. 180 (2012) 519); poses and origins are RELION's.
    """

    def __init__(self, box: int, padding: int = 2, device: torch.device | str = "cpu") -> None:
        self.box, self.padding = box, padding
        self._reach = padding * (box // 2) + 1
        self._side = 2 * self._reach + 2
        size = self._side**2 * (self._reach + 2)
        self._sums = torch.zeros(size, dtype=torch.complex128, device=device)
        self._weights = torch.zeros(size, dtype=torch.float64, device=device)
        self._means = torch.zeros(2, dtype=torch.float64, device=device)

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
        plane, places = _half_disc(self.box, transforms.device)
        cached = transforms.device.type == "cpu"
        together = max(1, CACHED_POINTS // len(places) if cached else len(transforms))
        for first in range(0, len(transforms), together):
            rows = slice(first, first + together)
            self._spread(transforms[rows], weights[rows], rotations[rows], plane, places.to(transforms.device))
        means = torch.stack((transforms[:, 0, 0].real, weights[:, 0, 0].to(transforms.real)))
        self._means += means.to(torch.float64).sum(1)

    def add(self, other: Backprojector) -> None:
        """Add the sums of another set of particles of the same box and padding."""
        self._sums += other._sums.to(self._sums.device)
        self._weights += other._weights.to(self._weights.device)
        self._means += other._means.to(self._means.device)

    def copy(self) -> Backprojector:
        """Return the same sums, held apart."""
        twin = Backprojector.__new__(Backprojector)
        held = {name: getattr(self, name).clone() for name in ("_sums", "_weights", "_means")}
        twin.__dict__.update(self.__dict__, **held)
        return twin

    def volume(self, iterations: int = 1) -> Float[Tensor, "box box box"]:
        """Return the map, z y x, centre at box // 2, in the grey scale of the images, float64.

        Parameters
        ----------
        iterations: steps of conjugate gradients after the division by the weights; see
            :class:`cryoprior.image.normal_equations.NormalEquations`.
        """
        equations = NormalEquations(self._lags(self._weights, self._means[1]), self.box)
        lags = self._lags(self._sums, self._means[0])
        axis = torch.arange(self.box, device=lags.device) - self.box // 2
        return equations.solve(lags[axis[:, None, None], axis[None, :, None], axis], iterations)

    def _spread(
        self,
        transforms: Complex[Tensor, "b box half"],
        weights: Float[Tensor, "b box half"],
        rotations: Float[Tensor, "b 3 3"],
        plane: Float[Tensor, "2 k"],
        places: Int[Tensor, " k"],
    ) -> None:
        """Add the coefficients at these places of the images, whose frequencies are ``plane``, to the eight corners."""
        values = transforms.flatten(1)[:, places]
        slices = self.padding * rotations.to(values.real.dtype)[:, :, :2]
        x, y, z = ((slices[:, axis] @ plane.to(slices)).flatten() for axis in range(3))
        inside = self._inside(slices, x, y, z)
        if inside is not None:
            x, y, z = x * inside, y * inside, z * inside
        sign = torch.where(x < 0, -1.0, 1.0).to(x)  # the mate at -k stands for k: x >= 0 is kept
        kept = torch.complex(values.real.flatten(), values.imag.flatten() * sign)
        index, shares = self._corners(x * sign, y * sign, z * sign)
        shares = shares if inside is None else shares * inside
        self._sums.index_add_(0, index, (shares * kept).to(torch.complex128).flatten())
        added = shares * weights.flatten(1)[:, places].to(shares).flatten()
        self._weights.index_add_(0, index, added.to(torch.float64).flatten())

    def _lags(self, flat: Tensor, mean: Float[Tensor, ""]) -> Float[Tensor, "D D D"]:
        """Return a sum in real space, voxel 0 at the origin, padding * box voxels a side, the envelope divided out."""
        padded, edge = self.padding * self.box, (self.padding * self.box - 1) // 2
        grid = torch.zeros(padded, padded, padded // 2 + 1, dtype=flat.dtype, device=flat.device)
        rows = torch.arange(-edge, edge + 1, device=flat.device)  # the lone Nyquist planes stay 0
        inside = rows + self._reach
        columns = slice(0, edge + 1)
        grid[rows[:, None] % padded, rows[None, :] % padded, columns] = self._hermitian(flat)[inside][
            :, inside, columns
        ]
        lags: Tensor = torch.fft.irfftn(grid, s=(padded, padded, padded))
        envelope = torch.sinc(torch.fft.fftfreq(padded, dtype=torch.float64, device=flat.device)).square()
        lags /= envelope[:, None, None] * envelope[None, :, None]
        return lags.div_(envelope).add_(mean / padded**3)

    def _inside(
        self, slices: Float[Tensor, "b 3 2"], x: Float[Tensor, "k"], y: Float[Tensor, "k"], z: Float[Tensor, "k"]
    ) -> Float[Tensor, "k"] | None:
        """Return 1 for points within Nyquist and 0 beyond; None where slices are only turned and all are within."""
        turned = self.padding**2 * torch.eye(2).to(slices)
        if torch.allclose(slices.mT @ slices, turned.expand(len(slices), 2, 2), atol=1e-4 * self.padding**2):
            return None
        return (x.square() + y.square() + z.square() <= (self.padding * (self.box // 2)) ** 2).to(x)

    def _corners(
        self, x: Float[Tensor, "k"], y: Float[Tensor, "k"], z: Float[Tensor, "k"]
    ) -> tuple[Tensor, Float[Tensor, "8 k"]]:
        """Return the flat indices of the eight voxels around every point, corner by corner, and their shares."""
        low = [a.floor() for a in (x, y, z)]
        far = [a - b for a, b in zip((x, y, z), low, strict=True)]
        columns, side = self._reach + 2, self._side
        start = ((low[2].long() + self._reach) * side + low[1].long() + self._reach) * columns + low[0].long()
        along = [torch.stack((1 - f, f)) for f in far]
        shares = (along[2][:, None, None] * along[1][None, :, None] * along[0][None, None]).reshape(8, -1)
        steps = [(dz * side + dy) * columns + dx for dz in (0, 1) for dy in (0, 1) for dx in (0, 1)]
        offsets = torch.tensor(steps, device=x.device)
        return (start + offsets[:, None]).flatten(), shares

    def _hermitian(self, flat: Tensor) -> Tensor:
        """Return a sum over z, y from -reach to reach and x from 0 to reach, the mates on the plane x = 0 added."""
        inside = 2 * self._reach + 1
        grid = flat.reshape(self._side, self._side, -1)[:inside, :inside, : self._reach + 1].clone()
        plane = grid[:, :, 0]
        grid[:, :, 0] = plane + plane.flip(0, 1).conj()
        return grid


def centred_transforms(
    images: Float[Tensor, "b box box"], origin_pixel: Float[Tensor, "b 2"]
) -> Complex[Tensor, "b box half"]:
    """Return the unnormalised rfft2 of images whose centre, pixel box // 2, is moved to 0 and whose shift is undone.

    Parameters
    ----------
    images: any grey scale.
    origin_pixel: RELION's origin (x, y) in pixels: the particle was shifted by its negative.
    """
    box = images.shape[-1]
    moved = box // 2 - origin_pixel.to(images)
    kx = torch.fft.rfftfreq(box, dtype=images.dtype, device=images.device)
    ky = torch.fft.fftfreq(box, dtype=images.dtype, device=images.device)
    turn_x = torch.exp(2j * torch.pi * moved[:, :1] * kx)
    turn_y = torch.exp(2j * torch.pi * moved[:, 1:] * ky)
    transform: Tensor = torch.fft.rfft2(images)
    return transform * turn_y[:, :, None] * turn_x[:, None, :]


@lru_cache(maxsize=8)
def _half_disc(box: int, device: torch.device) -> tuple[Float[Tensor, "2 k"], Tensor]:
    """Return the frequencies (x, y) within Nyquist of which no two are mates, and their places in the flat rfft2 grid.

    The origin is left out, and of an even box the lone Nyquist row and column, which stand for both signs.
    """
    ky, kx = torch.meshgrid(
        torch.fft.fftfreq(box, 1 / box, dtype=torch.float64), torch.arange(box // 2 + 1).double(), indexing="ij"
    )
    inside = (ky.square() + kx.square() <= (box // 2) ** 2) & ((kx > 0) | (ky > 0))
    if box % 2 == 0:
        inside &= (kx < box // 2) & (ky > -(box // 2))
    places = torch.nonzero(inside.flatten()).flatten()
    plane = torch.stack((kx.flatten()[places], ky.flatten()[places]))
    return plane.to(device), places
