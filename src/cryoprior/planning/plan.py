"""The plan: every candidate with its bytes and the resolution to expect, the Pareto front, one recommendation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cryoprior.planning.candidates import Candidate
from cryoprior.planning.cost import Rates
from cryoprior.planning.expecting import Expected, effective_particles, expected_resolution
from cryoprior.planning.keeping import Examples, kept_by
from cryoprior.planning.map_prior_worth import map_prior_worth
from cryoprior.planning.spectrum import SnrSpectrum
from cryoprior.progress import track


@dataclass(frozen=True)
class Planned:
    """A candidate with what it takes and what can be expected of it."""

    candidate: Candidate
    bytes_per_particle: float
    expected: Expected
    with_prior: Expected | None
    effective_particles: float
    hours_to_move: float
    hours_to_map: float
    hours_to_reconstruct: float


@dataclass(frozen=True)
class Plan:
    """All candidates of n particles, whole images first.

    tolerance: how much coarser than whole images a recommended one may be, as a share. target: angstrom that are to be
        reached, in place of it.
    """

    n: int
    spectrum: SnrSpectrum
    rows: Sequence[Planned]
    rates: Rates
    tolerance: float = 0.05
    target: float | None = None

    @property
    def front(self) -> list[Planned]:
        """Return the candidates that no other beats in both bytes and resolution, the smallest first."""
        kept: list[Planned] = []
        for row in sorted(self.rows, key=lambda row: (row.bytes_per_particle, row.expected.angstrom)):
            if math.isfinite(row.expected.angstrom) and (
                not kept or row.expected.angstrom < kept[-1].expected.angstrom - 1e-9
            ):
                kept.append(row)
        return kept

    @property
    def limit(self) -> float:
        """Return the coarsest resolution that is good enough, angstrom."""
        return self.target or self.rows[0].expected.angstrom * (1 + self.tolerance)

    @property
    def chosen(self) -> Planned:
        """Return the candidate of fewest bytes that is good enough; the finest where none is."""
        enough = [row for row in self.rows if row.expected.angstrom <= self.limit]
        if not enough:
            return min(self.rows, key=lambda row: (row.expected.angstrom, row.bytes_per_particle))
        return min(enough, key=lambda row: (row.bytes_per_particle, row.expected.angstrom))


def make_plan(
    spectrum: SnrSpectrum,
    n: int,
    ways: Sequence[Candidate],
    examples: Examples,
    rates: Rates,
    *,
    prior: bool = True,
    tolerance: float = 0.05,
    target: float | None = None,
    seed: int = 0,
) -> Plan:
    """Return the plan of n particles.

    Parameters
    ----------
    ways: candidates, whole images first. examples: images on which they are tried.
    prior: whether the embedded map prior can be asked for such maps.
    """
    rows = []
    for way in track(ways, "candidates"):
        kept = kept_by(way, examples, seed)
        worth = kept.worth.double().numpy()
        rows.append(
            Planned(
                way,
                kept.bytes_per_particle,
                expected_resolution(spectrum, n, worth, seed=seed),
                expected_resolution(spectrum, n, worth, map_prior_worth(way), seed) if prior else None,
                effective_particles(spectrum, n, worth),
                rates.hours_to_move(n * kept.bytes_per_particle),
                rates.hours_to_map(way, n, spectrum.box),
                rates.hours_to_reconstruct(n, spectrum.box),
            )
        )
    return Plan(n, spectrum, rows, rates, tolerance, target)
