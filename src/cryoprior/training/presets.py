"""Training presets: our small network, and the paper's two configurations to the letter."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError

if TYPE_CHECKING:
    from cryoprior.prior.network import NetworkConfig


@dataclass(frozen=True, repr=False)
class Preset:
    """Everything about a training run that is not data: network, objective, optimiser, schedule, averaging."""

    objective: str
    """``signal`` (ours) or ``ddpm`` (the paper)."""
    channels: tuple[int, ...]
    layers: int
    box: int | None
    """The box it is meant for; None takes any that the network's factor divides."""
    learning_rate: float
    batch: int
    steps: int | None
    epochs: int | None
    warmup: int
    betas: tuple[float, float]
    weight_decay: float
    ema_decay: float
    ema_power: float
    accumulation: int
    precision: str
    """``no`` or ``bf16``."""
    clip: float = 1.0
    validation_images: int = 256

    def __repr__(self) -> str:
        length = f"{self.epochs} epochs" if self.steps is None else f"{self.steps} steps"
        channels = " ".join(map(str, self.channels))
        return f"Preset({self.objective}, channels {channels}, {length} of {self.batch} images, {self.learning_rate:g})"

    def network(self) -> NetworkConfig:
        """Return the shape of our own network."""
        from cryoprior.prior.network import NetworkConfig  # it loads torch, which the command line can do without

        return NetworkConfig(channels=self.channels, layers=self.layers)


_PAPER = {
    "objective": "ddpm",
    "channels": (128, 128, 256, 256, 512, 512),
    "layers": 2,
    "steps": None,
    "epochs": 100,
    "warmup": 500,
    "betas": (0.95, 0.999),
    "weight_decay": 1e-6,
    "ema_decay": 0.9999,
    "ema_power": 0.75,
    "accumulation": 2,
    "precision": "bf16",
    "validation_images": 16,
}

PRESETS: dict[str, Preset] = {
    "small": Preset(
        objective="signal",
        channels=(32, 64, 128, 192),
        layers=1,
        box=None,
        learning_rate=6e-4,
        batch=16,
        steps=4000,
        epochs=None,
        warmup=200,
        betas=(0.9, 0.99),
        weight_decay=1e-4,
        ema_decay=0.999,
        ema_power=0.75,
        accumulation=1,
        precision="no",
    ),
    "paper-128": Preset(box=128, learning_rate=2e-4, batch=128, **_PAPER),  # type: ignore[arg-type]
    "paper-256": Preset(box=256, learning_rate=2e-5, batch=16, **_PAPER),  # type: ignore[arg-type]
}


def training_preset(name: str, width: float = 1.0, **changes: Any) -> Preset:
    """Return a preset by its name, with other channels and with the fields of ``changes`` that are not None.

    Parameters
    ----------
    width: factor on the channels, which stay multiples of 8.

    Raises
    ------
    InputError: no such preset.
    """
    if name not in PRESETS:
        raise InputError(f"<preset> {name!r}: expected one of {', '.join(PRESETS)}")
    preset = PRESETS[name]
    channels = tuple(max(8, round(c * width / 8) * 8) for c in preset.channels)
    given = {field: value for field, value in changes.items() if value is not None}
    return dataclasses.replace(preset, channels=channels, **given)
