"""Pictures of signals beside what anybody can make of the same image: summed, low-passed; and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from cryoprior.image.smoothing import smoothed_views
from cryoprior.report.figures import MontageRow, montage
from cryoprior.report.page import Block, Picture
from cryoprior.report.slider import own_grey, sliders

CAPTION = (
    "Each picture has its own grey scale, from its mean − 3 to its mean + 3 standard deviations: one for all would "
    "show the signal as an even grey. The deviation is black where the signal is surest. What a prior shows beyond the "
    "summed and the low-passed view of the same image is its own knowledge, and may be wrong."
)


@dataclass(frozen=True)
class SignalPictures:
    """The first particles of a stack, (n, box, box) each.

    numbers: the particles'. seen: what was measured, as an image; called ``seen_name``.
    """

    numbers: list[int]
    seen_name: str
    seen: Float[np.ndarray, "n box box"]
    signal: Float[np.ndarray, "n box box"]
    deviation: Float[np.ndarray, "n box box"] | None = None

    def views(self) -> dict[str, Float[np.ndarray, "n box box"]]:
        """Return all pictures by column."""
        plain = {name: view.numpy() for name, view in smoothed_views(torch.from_numpy(self.seen)).items()}
        spread = {} if self.deviation is None else {"deviation": self.deviation}
        return {self.seen_name: self.seen, **plain, "signal": self.signal, **spread}

    def blocks(self) -> list[Block]:
        """Return the sliders, and all pictures side by side."""
        views = self.views()
        wiped = {name: views[name] for name in (self.seen_name, "low-passed", "signal")}
        rows = [
            MontageRow(f"particle {number}", [own_grey(stack[place]) for stack in views.values()], -3.0, 3.0)
            for place, number in enumerate(self.numbers)
        ]
        png = montage(rows, list(views))
        return [
            *sliders("Particle", wiped, self.numbers),
            Picture(png, "Particles, smoothed, their signal and its deviation", CAPTION, 180 * len(views)),
        ]
