"""Central slices of a volume, read from the grid on which images are back-projected: the adjoint of back-projection."""

from __future__ import annotations

from jaxtyping import Complex, Float
from torch import Tensor

from cryoprior.image.device_spreading import gather_on_device
from cryoprior.image.fourier_grid import FourierGrid
from cryoprior.image.gathering import gather


class VolumeSlices:
    """The transform of a volume on the fine grid, from which the transforms of its projections are read.

    Where :class:`cryoprior.image.Backprojector` adds a coefficient to eight voxels, it is read from them here with the
    same shares: <F, slices of v> = padded**3 <target of F, v>, the first product over both mates of every frequency.

    Parameters
    ----------
    volume: z y x, centre at d // 2; its type is that of the slices.
    """

    def __init__(self, volume: Float[Tensor, "d d d"], padding: int = 2) -> None:
        self.grid = FourierGrid(len(volume), padding)
        self._values = self.grid.from_real(volume)
        self._mean = volume.sum()

    def read(self, rotations: Float[Tensor, "b 3 3"]) -> Complex[Tensor, "b box half"]:
        """Return the unnormalised rfft2 of the projections, their centre at the origin, 0 beyond Nyquist.

        rotations: as :meth:`cryoprior.image.Backprojector.insert` takes them.
        """
        box, slices = self.grid.box, self.grid.slices(rotations)
        found = self._values.new_zeros(len(rotations), box, box // 2 + 1)
        if found.device.type == "cpu":
            gather(self._values, self.grid, found, slices)
        else:
            gather_on_device(self._values, self.grid, found, slices)
        edge = (box - 1) // 2
        found[:, box - edge :, 0] = found[:, 1 : edge + 1, 0].flip(1).conj()
        found[:, 0, 0] = self._mean
        return found
