"""The test of noise: what a prior makes of noise in place of the particles, with their poses and CTF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.audit.stand_ins import NoiseAlone
from cryoprior.audit.subject import Subject
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings
from cryoprior.metrics.fsc import fsc
from cryoprior.metrics.referee import Curve
from cryoprior.prior import MapPrior
from cryoprior.prior.volume.asking import signal_to_noise
from cryoprior.referee.result import Audit

Volume = Float[Tensor, "d d d"]
APPEARS = 0.1
"""Mean FSC above which maps of noise have something in common."""


@dataclass(frozen=True, eq=False, repr=False)
class NoiseTest:
    """What a prior makes of noise in place of the particles; curves by shell, (shells,).

    led: the mean of what it made of both half maps, told the signal to noise of the real ones; unled: told what the
        noise itself says. halves: FSC of the two noise half maps. led_halves, unled_halves: of the two that the prior
        made. led_with_map: FSC of ``led`` with what it made of the particles.
    """

    led: Volume
    unled: Volume
    halves: Curve
    led_halves: Curve
    unled_halves: Curve
    led_with_map: Curve
    power_share: float
    judged: Bool[Tensor, " shells"]

    def mean(self, curve: Curve) -> float:
        """Return the mean of a curve over the shells in which the real half maps agree."""
        return float(curve[self.judged].mean()) if bool(self.judged.any()) else float(curve[1:].mean())

    @property
    def appears(self) -> bool:
        """Return whether the prior finds the same in both halves of noise, or the real map in it."""
        return max(self.mean(self.led_halves), self.mean(self.led_with_map)) > APPEARS

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        return {
            "fsc_half_maps": self.mean(self.halves),
            "fsc_prior_halves": self.mean(self.led_halves),
            "fsc_with_map": self.mean(self.led_with_map),
            "fsc_prior_halves_told_itself": self.mean(self.unled_halves),
            "power_share_told_itself": self.power_share,
            "appears": self.appears,
        }

    def __repr__(self) -> str:
        return f"NoiseTest(FSC {self.mean(self.led_halves):.2f} of halves, {self.mean(self.led_with_map):.2f} with map)"


def noise_alone(
    subject: Subject, prior: MapPrior, audit: Audit, seed: int, source: Source, settings: MapSettings
) -> NoiseTest:
    """Return what a prior makes of noise in place of the particles, with their poses and CTF.

    Nothing is masked: a mask would be something that all maps share.
    """
    maps = solve_maps(NoiseAlone(source, seed), settings, "noise")
    halves = (maps.half_1, maps.half_2)
    led = subject.asked(prior, halves, told=signal_to_noise(*subject.halves))
    unled = subject.asked(prior, halves)
    real = audit.maps.prior
    judged = audit.found.known.clone()
    judged[0] = False
    power = [float(volume.double().square().sum()) for volume in ((unled[0] + unled[1]) / 2, real)]
    return NoiseTest(
        led=(led[0] + led[1]) / 2,
        unled=(unled[0] + unled[1]) / 2,
        halves=fsc(*halves),
        led_halves=fsc(*led),
        unled_halves=fsc(*unled),
        led_with_map=fsc((led[0] + led[1]) / 2, real),
        power_share=power[0] / max(power[1], 1e-300),
        judged=judged,
    )
