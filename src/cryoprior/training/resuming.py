"""What every training goes on from: weights, their average, the optimiser's moments, and the counts with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from diffusers.training_utils import EMAModel


class ResumableTraining(ABC):
    """A network, its optimiser and its average, and the step they have reached: of images, or of maps.

    A training sets all of these when it is made.
    """

    ema: EMAModel
    optimizer: Any
    device: torch.device
    step: int
    images: int
    seconds: float
    _losses: list[float]
    """Those since the last validation."""

    @property
    @abstractmethod
    def bare_network(self) -> nn.Module:
        """Return the network without the wrapper of several processes."""

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a run goes on from: tensors by name, and the counts that go with them."""
        tensors = {f"network.{k}": v for k, v in self.bare_network.state_dict().items()}
        tensors |= {f"ema.{i}": v for i, v in enumerate(self.ema.shadow_params)}
        for i, slot in enumerate(self.optimizer.state_dict()["state"].values()):
            tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in slot.items()}
        counts: dict[str, Any] = {"step": self.step, "images": self.images, "seconds": self.seconds}
        counts |= {"ema_step": self.ema.optimization_step, "losses": list(self._losses)}
        return {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, counts

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all tensors that :meth:`state` returns after the first step, by name."""
        shapes = {f"network.{name}": tuple(value.shape) for name, value in self.bare_network.state_dict().items()}
        for i, weight in enumerate(self.bare_network.parameters()):
            shapes[f"ema.{i}"] = shapes[f"optimizer.{i}.exp_avg"] = tuple(weight.shape)
            shapes |= {f"optimizer.{i}.exp_avg_sq": tuple(weight.shape), f"optimizer.{i}.step": ()}
        return shapes

    def restore(self, tensors: Mapping[str, Tensor], counts: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        self.bare_network.load_state_dict(_under(tensors, "network."))
        self.ema.shadow_params = [tensors[f"ema.{i}"].to(self.device) for i in range(len(self.ema.shadow_params))]
        self.ema.optimization_step = counts["ema_step"]
        saved = self.optimizer.state_dict()
        places = range(len(saved["param_groups"][0]["params"]))
        moments = any(key.startswith("optimizer.") for key in tensors)
        saved["state"] = {i: _under(tensors, f"optimizer.{i}.") for i in places} if moments else {}
        self.optimizer.load_state_dict(saved)
        self.step, self.images, self.seconds = counts["step"], counts["images"], counts["seconds"]
        self._losses = list(counts.get("losses", []))  # checkpoints were once made at validations alone


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
