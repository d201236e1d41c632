"""The standard tests of a map prior: random phases, noise in place of particles, the other hand, another prior.

Whether a prior can be believed is asked of what is false: of maps that hold no signal, and of priors that should not
fit. In the first the prior is told the signal to noise of the real maps, as if there were something to find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cryoprior.audit.noise_test import NoiseTest, noise_alone
from cryoprior.audit.stand_ins import RandomPhases
from cryoprior.audit.subject import Subject
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings
from cryoprior.metrics.fsc import CORRECT_AFTER, RANDOMISE_BELOW, fsc
from cryoprior.prior import MapPrior
from cryoprior.prior.volume.asking import signal_to_noise
from cryoprior.referee.randomising import RandomisedPair, randomised_halves, randomised_pair
from cryoprior.referee.result import Audit


@dataclass(frozen=True, eq=False)
class StandardTests:
    """What was found by tests that a prior should fail; None where one was not made."""

    other_hand: Audit | None = None
    wrong_prior: Audit | None = None
    noise: NoiseTest | None = None

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        found = {"other_hand": self.other_hand, "wrong_prior": self.wrong_prior}
        tests: dict[str, Any] = {name: _worth(audit) for name, audit in found.items() if audit is not None}
        return tests if self.noise is None else {**tests, "noise": self.noise.summary()}


def _worth(audit: Audit) -> dict[str, Any]:
    return {
        "worth_particles": audit.worth.ratio,
        "worth_particles_error": audit.worth.error,
        "prior_worth_particles": audit.prior_worth.ratio,
        "prior_worth_particles_error": audit.prior_worth.error,
        "supported": audit.verdicts.count("supported"),
        "gate_closed": not bool(audit.weights.opening.any()),
    }


def other_hand(subject: Subject, prior: MapPrior) -> Audit:
    """Return the audit of a prior that is given every half map in the other hand, its maps turned back."""
    mirrored = (subject.halves[0].flip(0), subject.halves[1].flip(0))
    first, second = subject.asked(prior, mirrored)
    return subject.judged((first.flip(0), second.flip(0)))


def random_phases(
    subject: Subject, prior: MapPrior, seed: int, particles: tuple[Source, MapSettings] | None = None
) -> RandomisedPair | None:
    """Return what a prior makes of half maps whose phases are random beyond the first shell with an FSC below 0.8.

    Of particles the phases of every image are random beyond it, before they are measured and summed; without them those
    of the half maps. None where no such shell leaves room for a judgement.
    """
    curve = fsc(*subject.halves)
    below = torch.nonzero(curve[1:] < RANDOMISE_BELOW).flatten()
    start = max(2, int(below[0]) + 1) if len(below) else len(curve)
    if start > len(curve) - 2 - CORRECT_AFTER:
        return None
    if particles is None:
        halves = randomised_halves(*subject.halves, start, seed)
    else:
        source, settings = particles
        maps = solve_maps(RandomPhases(source, seed, start), settings, "random phases")
        halves = (maps.half_1, maps.half_2)
    made = subject.asked(prior, halves, told=signal_to_noise(*subject.halves))
    return randomised_pair(*made, start, subject.mask)


def audit_map_prior(
    subject: Subject,
    prior: MapPrior,
    wrong: MapPrior | None = None,
    particles: tuple[Source, MapSettings] | None = None,
    *,
    tests: bool = True,
    seed: int = 0,
) -> tuple[Audit, StandardTests]:
    """Return the audit of a map prior that is asked for each half map, and what the standard tests found.

    Parameters
    ----------
    wrong: another map prior, one that should not fit. particles: what the half maps were made of, and how.
    tests: without them the prior is asked, and ``wrong`` where given, and nothing else.
    seed: of random phases and noise.
    """
    pair = random_phases(subject, prior, seed, particles) if tests else None
    audit = subject.judged(subject.asked(prior), pair)
    hand = other_hand(subject, prior) if tests else None
    other = None if wrong is None else subject.judged(subject.asked(wrong))
    noise = noise_alone(subject, prior, audit, seed, *particles) if tests and particles is not None else None
    return audit, StandardTests(hand, other, noise)
