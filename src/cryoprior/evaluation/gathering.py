"""All 2D scores of a reconstruction beside its floors, gathered batch by batch: memory is bounded by the batch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.metrics import METRICS
from cryoprior.metrics.image import correlation, relative_residual
from cryoprior.metrics.lpips import Lpips
from cryoprior.metrics.rings import ShellPowers, frc_mean, shell_powers

FLOORS = ("constant", "spectrum_noise", "least_squares")
SCEPTICS = ("low_passed", "mean_image", "gaussian", "wiener_signal")
"""Floors that a sceptic would choose against the clean image: smoothing, no data at all, and a spectrum with a mean."""


@dataclass(frozen=True)
class Images:
    """A batch to be judged, all (b, box, box) in one grey scale; ``floors`` by the names in FLOORS and SCEPTICS.

    y, predicted: what was measured and A x, (b, m); None where no measurements are known.
    """

    original: Float[Tensor, "b box box"]
    reconstruction: Float[Tensor, "b box box"]
    floors: dict[str, Float[Tensor, "b box box"]]
    clean: Float[Tensor, "b box box"] | None = None
    y: Float[Tensor, "b m"] | None = None
    predicted: Float[Tensor, "b m"] | None = None


class Scores:
    """Scores per particle and shell sums over particles.

    ``by_particle[image][metric]`` is a list with one number per particle; the images are ``reconstruction``,
    ``original`` and those in FLOORS and SCEPTICS. ``shells[image, against]`` holds sums over particles, against
    ``original`` and
    ``clean``.
    """

    def __init__(self, lpips: Lpips | None = None) -> None:
        self._lpips = lpips
        self.by_particle: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.shells: dict[tuple[str, str], ShellPowers] = {}

    @torch.no_grad()
    def add(self, images: Images) -> None:
        """Score a batch."""
        judged = {"reconstruction": images.reconstruction, **images.floors}
        sceptics = {name: judged.pop(name) for name in SCEPTICS if name in judged}
        metrics = [metric for metric in METRICS.values() if metric.floors and not metric.needs_weights]
        for name, x in judged.items():
            for metric in metrics:
                self._record(name, metric.name, metric.function(x, images.original))
        if images.y is not None and images.predicted is not None:
            self._record("reconstruction", "residual", relative_residual(images.predicted, images.y))
        if self._lpips is not None:
            self._add_lpips(self._lpips, judged, images.original)
        resolved: dict[str, Tensor] = {
            name: judged[name] for name in ("reconstruction", "least_squares") if name in judged
        }
        for name, x in resolved.items():
            self._add_shells(name, "original", x, images.original)
        if images.clean is not None:
            for name, x in [*resolved.items(), *sceptics.items(), ("original", images.original)]:
                self._record(name, "clean_correlation", correlation(x, images.clean))
                self._add_shells(name, "clean", x, images.clean)

    @property
    def n(self) -> int:
        """Return how many particles were scored."""
        return len(next(iter(self.by_particle["reconstruction"].values()), []))

    def column(self, image: str, metric: str) -> Float[np.ndarray, " n"] | None:
        """Return one number per particle, (n,), None where this was not scored."""
        values = self.by_particle.get(image, {}).get(metric)
        return None if values is None else np.asarray(values)

    def _add_lpips(self, lpips: Lpips, judged: dict[str, Tensor], original: Tensor) -> None:
        reference = lpips.grey_features(original, original)
        for name, x in judged.items():
            self._record(name, "lpips", lpips.distance(lpips.grey_features(x, original), reference))

    def _add_shells(self, name: str, against: str, x: Tensor, reference: Tensor) -> None:
        powers = shell_powers(x, reference)
        metric = "frc" if against == "original" else "clean_frc"
        self._record(name, metric, frc_mean(powers.frc, x.shape[-1]))
        pooled, key = powers.pooled().cpu(), (name, against)
        self.shells[key] = self.shells[key] + pooled if key in self.shells else pooled

    def _record(self, image: str, metric: str, values: Tensor) -> None:
        self.by_particle[image][metric].extend(values.double().cpu().tolist())
