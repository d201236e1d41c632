"""Where a command computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.errors import InputError

if TYPE_CHECKING:
    import torch


def choose_device(text: str) -> torch.device:
    """Return the device that a text names; ``auto`` takes CUDA, then Apple's MPS, then the processor.

    Raises
    ------
    InputError: a device that torch does not know, or that is not there.
    """
    import torch

    if text == "auto":
        return torch.device(best_device())
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"<device> {text!r}: {reason}; use auto, cpu, cuda or mps") from error
    return device


def best_device() -> str:
    """Return the name of the device that ``auto`` takes."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def limit_threads(threads: int | None) -> None:
    """Let torch use as many processor threads; None leaves all to it."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
