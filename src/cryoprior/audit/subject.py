"""What is audited: half maps without a prior, with the mask, the truth and the full map where there are any."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.image.symmetry import point_group
from cryoprior.maps.anisotropy import missing_views
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.prior_maps import referee_mask
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings
from cryoprior.prior import MapPrior
from cryoprior.prior.volume.asking import ask_map_prior
from cryoprior.referee.deviation import Drawing
from cryoprior.referee.judging import judge_prior
from cryoprior.referee.randomising import RandomisedPair
from cryoprior.referee.result import Audit

Volume = Float[Tensor, "d d d"]


@dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """Two half maps without a prior, (d, d, d), and what is known beside them.

    mask: generous and soft, for all maps. full: the map of all particles, where it is more than the mean of the halves.
    missing_views: whether the views of the particles leave directions out.
    """

    halves: tuple[Volume, Volume]
    voxel_size_angstrom: float
    mask: Volume | None = None
    truth: Volume | None = None
    symmetry: str = "C1"
    full: Volume | None = None
    device: str = "cpu"
    missing_views: bool = False

    @classmethod
    def of_particles(
        cls, source: Source, settings: MapSettings, mask: Volume | None = None, truth: Volume | None = None
    ) -> Subject:
        """Return the half maps of particles; where no mask is given, one that the map shows, wide and soft."""
        maps = solve_maps(source, settings)
        judgement = judge_maps(maps)
        within = referee_mask(judgement.mask) if mask is None else mask
        left_out = missing_views(maps, judgement, source.geometry.euler_deg, settings.symmetry)
        halves = (maps.half_1, maps.half_2)
        size, device = maps.voxel_size_angstrom, settings.device
        return cls(halves, size, within, truth, settings.symmetry, maps.full, device, left_out)

    def asked(
        self,
        prior: MapPrior,
        halves: tuple[Volume, Volume] | None = None,
        told: Float[Tensor, " shells"] | None = None,
    ) -> tuple[Volume, Volume]:
        """Return what a map prior makes of half maps, its own where none are given; ``told`` as for ask_map_prior."""
        first, second = ask_map_prior(*(halves or self.halves), self.voxel_size_angstrom, prior, told=told)
        return first, second

    def judged(self, priors: tuple[Volume, Volume], randomised: RandomisedPair | None = None) -> Audit:
        """Return what the half maps say of the maps that a prior made of them."""
        place = choose_device(self.device)
        f1, f2, d1, d2 = (volume.float().to(place) for volume in (*self.halves, *priors))
        beside = (self.mask, self.truth, self.full)
        mask, truth, full = (None if volume is None else volume.float().to(place) for volume in beside)
        order = len(point_group(self.symmetry))
        audit = judge_prior((f1, f2), (d1, d2), self.voxel_size_angstrom, mask, truth, order, full, randomised)
        return dataclasses.replace(audit, missing_views=self.missing_views)

    def drawing(self, prior: MapPrior, count: int, seed: int = 0) -> Drawing:
        """Return the draws that are to be made of the map of all particles, 2 or more."""
        full = (self.halves[0] + self.halves[1]) / 2 if self.full is None else self.full
        return Drawing(prior, full, self.halves, self.mask, count, seed)

    def __repr__(self) -> str:
        return f"Subject({len(self.halves[0])} voxels of {self.voxel_size_angstrom:.3f} A a side)"
