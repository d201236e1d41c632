"""Damaged measurements: chunks, their metadata, the header, the star file beside them."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.cases import Change, Changes, Right, on
from fuzz.damage.bytes import cuts, doubled_blocks, edit, edit_text, strangers, turned_bits
from fuzz.good import N

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
ARRAYS = ("y", "particle_index")
HALF_ARRAYS = ("scale", "baseline_level", "baseline_weight", "baseline_group")
PACKED_ARRAYS = ("level", "number_kind", "kind_mean", "kind_deviation")
NOT_THERE = object()


def measurements(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of float32 measurements."""
    yield from _all(rng, extra, ARRAYS, "<f4")


def half(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of float16 measurements."""
    yield from _all(rng, extra // 2, ARRAYS + HALF_ARRAYS, "<f2")


def packed(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of measurements of a few bits: codes, their tables, and how many bits they have."""
    for name in ARRAYS + PACKED_ARRAYS:
        yield from _chunks(rng, name)
        yield from _metadata(name, "|u1")
    for value in (*(0, 33, 9, -1, 2, 4, 10**12), *(None, "3", 3.5, True, [3], math.nan), NOT_THERE):
        yield f"header bits = {value!r}", REFUSE, attribute("bits", value)
    for name, value in (("version", 2), ("dtype", "float32"), ("dtype", "uint8"), ("m", 383)):
        yield f"packed: header {name} = {value!r}", REFUSE, attribute(name, value)
    yield from on(_first_chunk("y"), turned_bits(rng, extra // 2, REFUSE), "y chunk")
    yield from on(_first_chunk("level"), turned_bits(rng, extra // 4, REFUSE), "levels")


def _all(rng: random.Random, extra: int, arrays: tuple[str, ...], kind: str) -> Changes:
    for name in arrays:
        yield from _chunks(rng, name)
        yield from _metadata(name, kind)
    root, star = _in("zarr.json"), _in("particles.star")
    yield from on(root, cuts(), "group")
    yield from on(root, strangers(rng), "group")
    yield from on(root, turned_bits(rng, extra // 2, SAME), "group")
    yield from on(_in("y/zarr.json"), turned_bits(rng, extra // 2, SAME), "y metadata")
    yield from on(_first_chunk("y"), turned_bits(rng, extra, REFUSE), "y chunk")
    yield from on(_first_chunk("y"), doubled_blocks(rng, extra // 4, REFUSE), "y chunk")
    yield "group nested 100,000 deep", REFUSE, lambda path: root(path).write_text("[" * 100_000)
    for key, value in (("zarr_format", 2), ("node_type", "array"), ("attributes", [1])):
        yield f"group {key} {value}", REFUSE, node("", lambda meta, key=key, value=value: {**meta, key: value})
    yield from _header()
    yield from on(star, cuts(last=SAME), "star")
    yield from on(star, strangers(rng), "star")
    yield from on(star, turned_bits(rng, extra // 2, REFUSE), "star")
    yield from _contents(kind)


def _chunks(rng: random.Random, name: str) -> Changes:
    chunk = _first_chunk(name)
    noise = rng.randbytes(1 << 16)
    yield f"{name}: a chunk is gone", REFUSE, lambda path: chunk(path).unlink()
    yield f"{name}: all chunks are gone", REFUSE, lambda path: shutil.rmtree(path / name / "c")
    changes: dict[str, Callable[[bytes], bytes]] = {
        "empty": lambda data: b"",
        "cut in half": lambda data: data[: len(data) // 2],
        "cut by four bytes": lambda data: data[:-4],
        "64 bytes longer": lambda data: data + bytes(64),
        "all zero": lambda data: bytes(len(data)),
        "noise": lambda data: noise[: len(data)],
        "all 0xff": lambda data: b"\xff" * len(data),
        "reversed": lambda data: data[::-1],
    }
    for title, change in changes.items():
        # an array that is all zero or the same backwards has not changed
        right = REFUSE if name in ("y", "particle_index") or title[0] in "e6" or "cut" in title else SAME
        yield f"{name}: a chunk {title}", right, on_chunk(chunk, edit(change))
    yield f"{name}: a chunk is a folder", REFUSE, lambda path: _in_place(chunk(path), Path.mkdir)
    yield (
        f"{name}: a chunk is a device",
        REFUSE,
        lambda path: _in_place(chunk(path), lambda p: p.symlink_to("/dev/zero")),
    )
    yield f"{name}: a chunk is a pipe", REFUSE, lambda path: _in_place(chunk(path), os.mkfifo)


def _metadata(name: str, kind: str) -> Changes:
    place = _in(f"{name}/zarr.json")
    yield f"{name}: no metadata", REFUSE, lambda path: place(path).unlink()
    yield f"{name}: metadata cut", REFUSE, lambda path: place(path).write_text(place(path).read_text()[:100])
    shapes: dict[str, Callable[[list[int]], list[int]]] = {
        "doubled": lambda shape: [2 * side for side in shape],
        "of 1e12": lambda shape: [10**12 for _ in shape],
        "halved": lambda shape: [max(1, side // 2) for side in shape],
        "negative": lambda shape: [-side for side in shape],
        "of a dimension more": lambda shape: [1, *shape],
    }
    for title, change in shapes.items():
        yield (
            f"{name}: shape {title}",
            REFUSE,
            node(name, lambda meta, change=change: {**meta, "shape": change(meta["shape"])}),
        )
    for side in (0, 1):
        yield (
            f"{name}: chunks of {side}",
            REFUSE if side == 0 else SAME,
            node(name, lambda meta, side=side: {**meta, "chunk_grid": _grid([side for _ in meta["shape"]])}),
        )
    for other in (
        "float64",
        "int32",
        "complex64",
        "string",
        "bool",
        "float16" if kind == "<f4" else "float32",
        "other",
    ):
        yield f"{name}: type {other}", SAME, node(name, lambda meta, other=other: {**meta, "data_type": other})
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    codecs: dict[str, Any] = {
        "big-endian": [{"name": "bytes", "configuration": {"endian": "big"}}],
        "gzip": [little, {"name": "gzip", "configuration": {"level": 5}}],
        "an unknown codec": [{"name": "evil"}],
        "no codec": [],
    }
    for title, value in codecs.items():
        yield f"{name}: {title}", REFUSE, node(name, lambda meta, value=value: {**meta, "codecs": value})
    keys = {"name": "v2", "configuration": {"separator": "/"}}
    yield f"{name}: keys of version 2", REFUSE, node(name, lambda meta: {**meta, "chunk_key_encoding": keys})
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    yield f"{name}: a group", REFUSE, node(name, lambda meta: group)


def _grid(shape: list[int]) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": shape}}


PIXEL = "pixel:box=32,seed=0,sets=2,block=8,masks=24,rows=hadamard,keep_ones=true"
WRONG: dict[str, tuple[Any, ...]] = {
    "n": (-1, None, 10**12, N - 1, [N], True),
    "m": ("384", 0, 383, None, 10**12),
    "box": (0, -32, "32", None, 64, 10**6, 32.5),
    "dtype": ("complex", None, "int8"),
    "operator": (
        *("", "nonsense", 5, None, "identity:box=32", "pixel:box=32,block=0,masks=24"),
        *(PIXEL.replace("seed=0", "seed=1"), PIXEL.replace("sets=2", "sets=1000000000")),
        *(PIXEL.replace("box=32", "box=100000"), "fourier:box=32,pattern=uniform,compression=1e-9"),
        "pixel:box=32,block=8,masks=100000000,rows=bernoulli",
    ),
    "digest": ("0" * 64, None, 5),
    "sigma": (-1.0, "x", None, math.nan, math.inf, [0.1]),
    "rounding": (None, "x", -1.0, math.nan, math.inf),
    "format": ("x", None),
    "version": (99, "1", None, -1),
}
WEAK: dict[str, tuple[Any, ...]] = {
    "n": (float(N), str(N)),
    "seed": (None, "x"),
    "source": (None, 5),
    "particles_digest": (None,),
    "resize": ("x", {}, {"original_box": "a", "box": 1, "method": "zoom"}),
    "intensity": ("x",),
}


def _header() -> Changes:
    for right, values in ((REFUSE, WRONG), (SAME, WEAK)):
        for name, wrong in values.items():
            for value in wrong:
                yield f"header {name} = {value!r}", right, attribute(name, value)
    for name in ("n", "m", "box", "operator", "digest", "sigma", "rounding", "seed", "source", "intensity", "format"):
        yield f"header without {name}", REFUSE, attribute(name, NOT_THERE)
    yield "sigma of 1e308", OPEN, attribute("sigma", 1e308)


def _contents(kind: str) -> Changes:
    index, y = _first_chunk("particle_index"), _first_chunk("y")
    order = np.arange(N, dtype="<i8")
    for title, values in (("repeated", order * 0), ("negative", -order - 1), ("huge", order + 2**62)):
        yield f"particle_index {title}", REFUSE, on_chunk(index, edit(lambda data, values=values: values.tobytes()))
    yield (
        "y all NaN",
        REFUSE,
        on_chunk(y, edit(lambda data: np.full(len(data) // int(kind[-1]), np.nan, kind).tobytes())),
    )
    star = _in("particles.star")
    yield (
        "star without optics",
        REFUSE,
        on_chunk(star, edit_text(lambda t: "data_particles" + t.split("data_particles")[1])),
    )
    yield (
        "star with an angle of text",
        REFUSE,
        on_chunk(star, edit_text(lambda t: re.sub(r"@(\S+) 1 +\S+", r"@\1 1 abc", t, count=1))),
    )
    yield "star rows reversed", REFUSE, on_chunk(star, edit_text(_reversed))


def _reversed(text: str) -> str:
    lines = text.splitlines()
    rows = [line for line in lines if "@" in line]
    return "\n".join([*(line for line in lines if "@" not in line), *rows[::-1]]) + "\n"


def node(where: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    """Return the change of the metadata of a group or an array."""

    def apply(path: Path) -> None:
        place = path / where / "zarr.json"
        place.write_text(json.dumps(change(json.loads(place.read_text()))))

    return apply


def attribute(name: str, value: Any) -> Change:
    """Return the change of one attribute of the group; NOT_THERE takes it away."""

    def change(meta: dict[str, Any]) -> dict[str, Any]:
        kept = {key: item for key, item in meta["attributes"].items() if key != name}
        return {**meta, "attributes": kept if value is NOT_THERE else {**kept, name: value}}

    return node("", change)


def on_chunk(place: Callable[[Path], Path], change: Change) -> Change:
    """Return the change of a file in the folder."""
    return lambda path: change(place(path))


def _in(name: str) -> Callable[[Path], Path]:
    return lambda path: path / name


def _first_chunk(name: str) -> Callable[[Path], Path]:
    return lambda path: next(p for p in sorted((path / name / "c").rglob("*")) if p.is_file())


def _in_place(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)
