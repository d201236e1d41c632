"""Where a stage computes."""

from __future__ import annotations

import torch

from cryoprior.errors import InputError


def choose_device(text: str) -> torch.device:
    """Return the device; ``auto`` takes the first accelerator if there is one."""
    if text == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"<device> {text!r}: {str(error).splitlines()[0]}; use auto, cpu or cuda") from error
    return device
