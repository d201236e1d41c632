from __future__ import annotations

import pytest
import torch

from cryoprior.devices import best_device, choose_device
from cryoprior.errors import InputError


@pytest.mark.parametrize(
    ("cuda", "mps", "float64", "best"),
    [(True, True, True, "cuda"), (False, True, True, "mps"), (False, True, False, "cpu"), (False, False, False, "cpu")],
)
def test_auto_takes_cuda_then_apples_if_it_has_float64_then_the_processor(
    cuda: bool, mps: bool, float64: bool, best: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def empty(*size: int, dtype: torch.dtype, device: str) -> None:
        if device == "mps" and not float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "empty", empty)
    assert best_device() == choose_device("auto").type == best


@pytest.mark.parametrize("text", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=rf"device '{text}': .*; use auto, cpu or cuda"):
        choose_device(text)
