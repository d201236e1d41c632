"""Weights in safetensors: their names, shapes, digest and values are checked before a network takes them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from cryoprior.errors import InputError

DTYPES = ("F32", "F16", "BF16", "F64")
REMEDY = "copy the prior again"

log = logging.getLogger("cryoprior")


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], digest: str | None) -> dict[str, Tensor]:
    """Return the weights of a network by name, float32 where they are floating-point numbers.

    Parameters
    ----------
    path: a safetensors file.
    shapes: those of the network, by name; nothing is read where the file has others.
    digest: the sha256 of the file, None where it was not recorded.

    Raises
    ------
    InputError: no safetensors file, other names, shapes or types, another digest, values that are not finite.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            found = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # it is no dictionary
            stored = {name: tuple(part.get_shape()) for name, part in found.items()}
            types = {name: part.get_dtype() for name, part in found.items()}
        _check_shapes(path, stored, types, shapes)
        if digest is None:
            log.debug("%s: written by an older version, without a digest", path)
        elif whole_digest(path) != digest:
            raise InputError(f"{path}: damaged: its digest is not the one in config.json; {REMEDY}")
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(str(path)).items()}
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: the weights do not fit config.json ({reason}); {REMEDY}") from None
    check_finite(path, state, REMEDY)
    return state


def check_finite(path: Path, state: Mapping[str, Tensor], remedy: str) -> None:
    """Raise InputError for a tensor that holds NaN or infinity."""
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: {name} holds values that are not finite; expected numbers; {remedy}")


def whole_digest(path: Path) -> str:
    """Return the sha256 of all of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_shapes(
    path: Path,
    stored: Mapping[str, tuple[int, ...]],
    types: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    for name in sorted({*stored, *shapes}):
        if stored.get(name) != shapes.get(name):
            sides = (_sides(stored.get(name)), _sides(shapes.get(name)))
            raise InputError(
                f"{path}: the weights do not fit config.json ({name}: {sides[0]}, the network has {sides[1]}); {REMEDY}"
            )
        if types[name] not in DTYPES and shapes[name]:
            raise InputError(
                f"{path}: the weights do not fit config.json ({name} is {types[name]}; expected one of "
                f"{', '.join(DTYPES)}); {REMEDY}"
            )


def _sides(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else " x ".join(map(str, shape)) or "a number"
