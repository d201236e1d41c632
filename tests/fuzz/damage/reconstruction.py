"""Damaged reconstructions: the star file, the shards, the summary."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from fuzz.cases import Changes, Right, on
from fuzz.damage.bytes import cuts, edit, strangers, turned_bits

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
SUMMARIES = (
    *("[]", "5", "null", '"x"', "{}", '{"measurements": 5}', '{"measurements": "/etc"}', '{"measurements": ["a"]}'),
    *('{"measurements": {"a": 1}, "n": "x"}', "[" * 100_000, '{"measurements": "\\u0000"}', '{"n": NaN}'),
    *('{"trained_on_overlap": "<script>"}', '{"solver": "<script>alert(1)</script>"}', '{"seconds": "x"}'),
)


def reconstruction(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a folder that reconstruct wrote."""
    star, summary = _in("particles.star"), _in("summary.json")
    yield from on(star, cuts(last=SAME), "star")
    yield from on(star, strangers(rng), "star")
    yield from on(star, turned_bits(rng, extra), "star")
    yield from on(_shard, cuts(), "shard")
    yield from on(_shard, strangers(rng), "shard")
    yield from on(summary, cuts(OPEN), "summary")
    yield from on(summary, strangers(rng, OPEN), "summary")
    yield from on(summary, turned_bits(rng, extra), "summary")
    for text in SUMMARIES:
        yield f"summary {text[:50]}", OPEN, lambda path, text=text: summary(path).write_text(text)
    yield (
        "summary of another solver",
        OPEN,
        lambda path: summary(path).write_text(
            json.dumps({**json.loads(summary(path).read_text()), "solver": "<script>alert(1)</script>"})
        ),
    )
    yield "a shard is gone", REFUSE, lambda path: _shard(path).unlink()
    yield (
        "a shard of a folder more",
        OPEN,
        lambda path: shutil.copy(_shard(path), path / "shards/000000500-000000505.mrcs"),
    )
    yield "two shards exchanged", OPEN, _exchange
    yield (
        "a shard of NaN",
        REFUSE,
        lambda path: edit(lambda data: data[:1024] + b"\xff" * (len(data) - 1024))(_shard(path)),
    )


def _shard(path: Path) -> Path:
    return min((path / "shards").glob("*.mrcs"))


def _exchange(path: Path) -> None:
    one, other = sorted((path / "shards").glob("*.mrcs"))[:2]
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def _in(name: str):
    return lambda path: path / name
