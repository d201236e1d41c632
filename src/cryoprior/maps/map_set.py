"""Half maps and the map of all particles."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryoprior.image.density import is_dark
from cryoprior.referee.deviation import PriorDeviation
from cryoprior.referee.result import Audit


@dataclass(frozen=True, eq=False, repr=False)
class MapSet:
    """Two half maps and the map of all particles, (d, d, d) float32, z y x, in the grey scale of the images.

    unregularised: the half maps of division alone, to deposit and to check others by; None where there are none.
    steps, residual: of conjugate gradients for the map of all particles; see :mod:`cryoprior.image.regularised`.
    converged: whether the residuals of all three maps fell as low as was asked.
    audit: what a map prior made of the half maps, and what they say of it; None where none was asked.
    deviation: what its draws for the map of all particles have in common and where they differ; None without draws.
    """

    half_1: Float[Tensor, "d d d"]
    half_2: Float[Tensor, "d d d"]
    full: Float[Tensor, "d d d"]
    n_half_1: int
    n_half_2: int
    voxel_size_angstrom: float
    unregularised: tuple[Float[Tensor, "d d d"], Float[Tensor, "d d d"]] | None = None
    steps: int = 0
    residual: float = 0.0
    converged: bool = True
    audit: Audit | None = None
    deviation: PriorDeviation | None = None

    @property
    def box(self) -> int:
        """Voxels a side."""
        return int(self.full.shape[0])

    @property
    def n(self) -> int:
        """Particles in all."""
        return self.n_half_1 + self.n_half_2

    @property
    def dark(self) -> bool:
        """Whether the particle is darker than the solvent."""
        return is_dark(self.full, self.voxel_size_angstrom)

    def __repr__(self) -> str:
        particles = f"{self.n_half_1} + {self.n_half_2} particles"
        return f"MapSet({particles}, {self.box} voxels of {self.voxel_size_angstrom:.3f} A a side)"
