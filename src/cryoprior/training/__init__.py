"""Training: a prior from particles, or from measurements of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryoprior.training.engine import train
    from cryoprior.training.loop import Progress
    from cryoprior.training.presets import PRESETS, Preset
    from cryoprior.training.trained import TrainedPrior

_PLACES = {"PRESETS": "presets", "Preset": "presets", "Progress": "loop", "TrainedPrior": "trained", "train": "engine"}

__all__ = ["PRESETS", "Preset", "Progress", "TrainedPrior", "train"]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
