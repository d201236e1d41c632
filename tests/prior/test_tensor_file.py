"""Tensors as the library of the format reads and writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from cryoprior.prior.tensor_file import DTYPES, write_tensors


def draw(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    return (4 * torch.rand(shape, generator=torch.Generator().manual_seed(len(shape)))).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_bytes_are_those_of_the_library(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {"b.weight": draw(dtype, 3, 2, 5), "a.bias": draw(dtype, 7), "c": draw(dtype), "empty": draw(dtype, 0, 4)}
    for record in (None, {"record": '{"step": 3, "π": "ö"}'}):
        write_tensors(tmp_path / "a.safetensors", tensors, record)
        assert (tmp_path / "a.safetensors").read_bytes() == save(tensors, record)


def test_every_type_comes_back(tmp_path: Path) -> None:
    tensors = {str(dtype): draw(dtype, 3, 5) for dtype in DTYPES} | {"turned": draw(torch.float32, 3, 4).T}
    write_tensors(tmp_path / "a.safetensors", tensors, {"record": "text"})
    found = load_file(tmp_path / "a.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"record": "text"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
