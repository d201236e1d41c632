"""Tensors in a safetensors file, written byte after byte.

The library's own writer makes a file of a name of its own beside the one that it is told to write, which a killed
process leaves there for ever; and its errors do not name the file.

Source: the format, https://github.com/huggingface/safetensors#format: the length of the header (8 bytes, little-
endian), the header as JSON with type, shape and place of every tensor, the tensors one after another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cryoprior.output.files import whole_file

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
ALIGNMENT = 8
BUFFER_BYTES = 1 << 20
"""A network has hundreds of small tensors."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, str] | None = None) -> None:
    """Write tensors by name, and texts that go with them, to a safetensors file, whole or not at all.

    Raises
    ------
    OSError: the disk is full, or fails; the file is absent, or as it was.
    """
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # the widest first: all lie aligned
    with whole_file(path) as partial, partial.open("wb", BUFFER_BYTES) as file:
        header = json.dumps(_header(tensors, names, record), separators=(",", ":"), ensure_ascii=False).encode()
        header += b" " * (-len(header) % ALIGNMENT)
        file.write(len(header).to_bytes(8, "little") + header)
        for name in names:
            content = tensors[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            file.write(content.numpy().data)


def _header(tensors: Mapping[str, Tensor], names: list[str], record: Mapping[str, str] | None) -> dict[str, Any]:
    header: dict[str, Any] = {} if record is None else {"__metadata__": dict(record)}
    place = 0
    for name in names:
        end = place + tensors[name].element_size() * tensors[name].numel()
        shape = list(tensors[name].shape)
        header[name] = {"dtype": DTYPES[tensors[name].dtype], "shape": shape, "data_offsets": [place, end]}
        place = end
    return header
