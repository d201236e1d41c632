"""Damaged priors: configuration and weights."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.cases import Change, Changes, Right, on
from fuzz.damage.bytes import cuts, doubled_blocks, edit, strangers, turned_bits
from fuzz.damage.payload import Payload, pickled

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
NOT_THERE = object()
Weights = dict[str, np.ndarray]


def prior(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a prior's folder."""
    for name, right in (("config.json", SAME), ("model.safetensors", REFUSE)):
        part = _in(name)
        yield from on(part, cuts(last=right), name)  # of JSON the end of the line
        yield from on(part, strangers(rng), name)
        yield from on(part, turned_bits(rng, extra, right), name)
    yield from on(_in("model.safetensors"), doubled_blocks(rng, extra // 2, REFUSE), "model.safetensors")
    yield from _configurations()
    yield from _weights(folder / "ran")


HUGE = 10**6
WRONG: dict[str, tuple[Any, ...]] = {
    "channels": ([HUGE] * 4, [50000] * 2, [], [-8, 8], ["a"], None, [8.5, 16, 24, 32], [0] * 4, "8", {"a": 1}),
    "layers": (0, HUGE, "2", -1, None, 1.5),
    "objective": ("nonsense", "ddpm", None, 5),
    "format": (99, "1", None),
    "spectra": (NOT_THERE, {}, [1], None),
    "intensity": ([1, 2], None),
    "trained_on": ([1], None, 5),
    "operators": ({"x": 1}, "pixel", [1]),
    "unknown": (1,),
}
WEAK: dict[str, tuple[Any, ...]] = {
    "pixel_size_angstrom": ([-1, -2], ["a", "b"], [8], None),
    "means_only": ("no", None),
    "steps": ("x", -1, None),
    "description": ("<script>alert(1)</script>", 5),
    "validation_loss": ("x", None),
}


def _configurations() -> Changes:
    for right, values in ((REFUSE, WRONG), (SAME, WEAK)):
        for name, wrong in values.items():
            for value in wrong:
                shown = "left out" if value is NOT_THERE else repr(value)
                yield f"config {name} {shown}", right, setting(name, lambda _, value=value: value)
    spectra: dict[str, Callable[[dict[str, Any]], Any]] = {
        "of box -1": lambda s: {"-1": next(iter(s.values()))},
        "of box abc": lambda s: {"abc": next(iter(s.values()))},
        "short": lambda s: _each(s, lambda values: values[:3]),
        "NaN": lambda s: _each(s, lambda values: [math.nan] * len(values)),
        "negative": lambda s: _each(s, lambda values: [-1 - value for value in values]),
        "zero": lambda s: _each(s, lambda values: [0.0] * len(values)),
        "text": lambda s: _each(s, lambda values: ["a"] * len(values)),
    }
    for title, change in spectra.items():
        yield f"config spectra {title}", REFUSE, setting("spectra", change)
    for title, pair in (("zero", [0, 0]), ("NaN", [math.nan] * 2), ("text", ["a", "b"]), ("one number", [1.0])):
        yield f"config intensity {title}", REFUSE, setting("intensity", lambda s, pair=pair: dict.fromkeys(s, pair))
    deep = '{"spectra":' + "[" * 100_000
    yield "config nested 100,000 deep", REFUSE, lambda path: (path / "config.json").write_text(deep)
    digits = b'"layers": 1' + b"0" * 100_000
    yield (
        "config a number of 100,000 digits",
        REFUSE,
        lambda path: edit(lambda data: data.replace(b'"layers": 1', digits, 1))(path / "config.json"),
    )


def _each(spectra: dict[str, Any], change: Callable[[list[float]], list[Any]]) -> dict[str, Any]:
    return {box: {**of_box, "signal": change(of_box["signal"])} for box, of_box in spectra.items()}


def _weights(mark: Path) -> Changes:
    for value in (math.nan, math.inf):
        yield f"weights one {value}", REFUSE, weights(lambda state, value=value: _with_one(state, value))
    yield "weights a tensor less", REFUSE, weights(lambda state: {k: v for k, v in state.items() if k != _first(state)})
    yield "weights a tensor more", REFUSE, weights(lambda state: {**state, "more": np.zeros(3, np.float32)})
    yield "weights another shape", REFUSE, weights(lambda state: {**state, _first(state): state[_first(state)][:1]})
    yield "weights of float64", SAME, weights(lambda state: {k: v.astype(np.float64) for k, v in state.items()})
    yield "weights of int8", REFUSE, weights(lambda state: {k: v.astype(np.int8) for k, v in state.items()})
    yield "weights all zero", REFUSE, weights(lambda state: {k: v * 0 for k, v in state.items()})
    yield "weights of two tensors exchanged", REFUSE, weights(_exchanged)
    file = _in("model.safetensors")
    yield "weights a head of 2**62", REFUSE, lambda path: edit(lambda d: struct.pack("<Q", 2**62) + d[8:])(file(path))
    payload = pickled(Payload("system", mark))
    yield "weights a pickle that runs", REFUSE, lambda path: file(path).write_bytes(payload)
    yield (
        "weights only in a .bin that runs",
        REFUSE,
        lambda path: (
            file(path).unlink(),
            (path / "pytorch_model.bin").write_bytes(payload),
        ),
    )


def _with_one(state: Weights, value: float) -> Weights:
    changed = state[_first(state)].copy()
    changed.flat[0] = value
    return {**state, _first(state): changed}


def _first(state: Weights) -> str:
    return next(name for name, tensor in state.items() if tensor.ndim == 4)


def _exchanged(state: Weights) -> Weights:
    """Return the weights with two different tensors of the same shape exchanged."""
    names = sorted(state)
    one, other = next(
        (a, b)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if state[a].shape == state[b].shape and not np.array_equal(state[a], state[b])
    )
    return {**state, one: state[other], other: state[one]}


def setting(name: str, change: Callable[[Any], Any]) -> Change:
    """Return the change of one field of the configuration; NOT_THERE takes it away."""

    def apply(path: Path) -> None:
        place = path / "config.json"
        fields = json.loads(place.read_text())
        value = change(fields.get(name))
        kept = {key: item for key, item in fields.items() if key != name}
        place.write_text(json.dumps(kept if value is NOT_THERE else {**kept, name: value}))

    return apply


def weights(change: Callable[[Weights], Weights]) -> Change:
    """Return the change of the weights, saved again."""

    def apply(path: Path) -> None:
        from safetensors.numpy import load_file, save_file

        place = path / "model.safetensors"
        save_file({k: np.ascontiguousarray(v) for k, v in change(load_file(place)).items()}, place)

    return apply


def _in(name: str) -> Callable[[Path], Path]:
    return lambda path: path / name
