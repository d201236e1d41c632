"""Training: a prior from particles, or from measurements of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.training.engine import train
    from cryoprior.training.loop import Progress
    from cryoprior.training.maps.engine import train_map
    from cryoprior.training.presets import PRESETS, Preset
    from cryoprior.training.trained import TrainedPrior

__all__ = ["PRESETS", "Preset", "Progress", "TrainedPrior", "train", "train_map"]

__getattr__ = lazy_names(
    __name__,
    {
        "engine": ("train",),
        "loop": ("Progress",),
        "maps.engine": ("train_map",),
        "presets": ("PRESETS", "Preset"),
        "trained": ("TrainedPrior",),
    },
)
