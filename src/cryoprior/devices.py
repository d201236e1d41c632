"""Where a command computes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cryoprior.errors import InputError

if TYPE_CHECKING:
    import torch


def choose_device(text: str) -> torch.device:
    """Return the device that a text names; ``auto`` takes the best that is there, see :func:`best_device`.

    Raises
    ------
    InputError: a device that torch does not know, that is not there, or that has no float64, which long sums need.
    """
    import torch

    if text == "auto":
        return torch.device(best_device())
    try:
        torch.empty(0, dtype=torch.float64, device=text)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"<device> {text!r}: {reason}; use auto, cpu or cuda") from error
    return torch.device(text)


def best_device() -> str:
    """Return CUDA if it is there, then Apple's MPS if it has float64 by now, then the processor."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        with suppress(InputError):
            return choose_device("mps").type
    return "cpu"


def turn_about(place: int, asked: str) -> str:
    """Return the device of the process at a place among several: with several accelerators one after another.

    asked: what the user named; a device with a number, or the processor, is what all of them take.
    """
    import torch

    if asked not in ("auto", "cuda") or torch.cuda.device_count() < 2:
        return asked
    return f"cuda:{place % torch.cuda.device_count()}"


def limit_threads(threads: int | None) -> None:
    """Let torch use this many processor threads; None leaves the number to torch."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
