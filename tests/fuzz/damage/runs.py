"""Folders that an interrupted run left, damaged; the same command goes on in them."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.cases import Change, Changes, Right
from fuzz.damage.bytes import cuts, strangers, turned_bits
from fuzz.damage.payload import Payload
from fuzz.readers import WORDS, resumed

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
UNFINISHED = {"recon": ("summary.json", "provenance.json", "particles.star"), "prior": (), "bench": ()}


def run(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of unfinished runs: a reconstruction, a training, a benchmark."""
    good = folder / "good"
    parts: dict[str, Callable[[Path], list[Path]]] = {
        "recon shard": lambda path: sorted((path / "shards").glob("*.mrcs")),
        "recon record": lambda path: sorted((path / "records").glob("*.json")),
        "recon mark": lambda path: [path / ".cryoprior.json"],
        "prior checkpoint": lambda path: sorted(path.glob("checkpoint*")),
        "prior split": lambda path: [path / "split.json"],
        "prior mark": lambda path: [path / ".cryoprior.json"],
        "bench unit": lambda path: sorted((path / "units").rglob("*.npz")),
    }
    for name, files in parts.items():
        what = name.split()[0]
        for title, _, change in [*cuts(), *strangers(rng), *turned_bits(rng, max(2, extra // 4))]:
            yield f"{name} {title}", OPEN, _left(good, what, lambda path, c=change, f=files: c(f(path)[0]))
    units = parts["bench unit"]
    objects = io.BytesIO()
    payload = np.array([Payload("system", folder / "ran")], dtype=object)
    np.savez(objects, x=payload, residual=np.zeros(1), record=np.array("{}"))
    yield (
        "bench unit of objects that run",
        REFUSE,
        _left(good, "bench", lambda path: units(path)[0].write_bytes(objects.getvalue())),
    )
    for title, change_of in {"NaN": lambda x: x * np.nan, "another shape": lambda x: x[:1]}.items():
        yield f"bench unit of {title}", REFUSE, _left(good, "bench", lambda path, c=change_of: _unit(units(path)[0], c))
    record = '{"seconds": "x", "evaluations": null}'
    yield (
        "recon record of text",
        OPEN,
        _left(good, "recon", lambda path: parts["recon record"](path)[1].write_text(record)),
    )
    yield "checkpoint of NaN", REFUSE, _left(good, "prior", _poisoned)


def _left(good: Path, what: str, change: Change) -> Change:
    """Return the change that puts the copy of a good folder, unfinished, in place of the given one, and damages it."""

    def apply(path: Path) -> None:
        shutil.rmtree(path)
        shutil.copytree(good / what, path)
        for name in UNFINISHED[what]:
            (path / name).unlink()
        if what == "recon":
            _unfinish(path / ".cryoprior.json")
        (path / WORDS).write_text(json.dumps(resumed(good, what, path)))
        change(path)

    return apply


def _unfinish(mark: Path) -> None:
    fields = json.loads(mark.read_text())
    mark.write_text(json.dumps({**fields, "finished": False}))


def _unit(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    stored = dict(np.load(path))
    stored["x"] = change(stored["x"])
    with path.open("wb") as file:
        np.savez(file, **stored)


def _poisoned(folder: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    place = folder / "checkpoint.safetensors"
    with safe_open(place, "np") as file:
        metadata = file.metadata()
    state = load_file(place)
    save_file(
        {k: np.asarray(v * np.nan, v.dtype) if v.dtype.kind == "f" else v for k, v in state.items()}, place, metadata
    )
