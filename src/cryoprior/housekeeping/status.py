"""``cryoprior status``: how far a run is that fills its folder shard by shard, seen from another terminal."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options

EXAMPLE = "cryoprior status recon/"
JOBS = "jobs"
LATEST = 20
"""Shards by which the pace of the run is judged: the last ones."""


@dataclass(frozen=True)
class Options:
    """The folder that is looked at."""

    output: Path = argument("The output of `reconstruct` or `denoise`, begun or finished.")

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return what is done of a run, at what pace, and what its tasks said last; nothing is changed.

    Raises
    ------
    InputError: the folder is not there, this program did not make it, or it is not filled shard by shard.
    """
    from cryoprior.io import finished_shards
    from cryoprior.output.manifest import Manifest

    folder = options.output
    begun = folder.with_name(f".{folder.name}.next")  # with <overwrite>, beside the old result
    known = Manifest.read(begun) or Manifest.read(folder)
    if known is None:
        raise InputError(f"{folder}: no run of this program; expected the output of reconstruct or denoise")
    if not {"n", "shard_size"} <= set(known.identity):
        raise InputError(f"{folder}: {known.command} does not work by shards; expected reconstruct or denoise")
    place = begun if Manifest.read(begun) is not None else folder
    n, size = int(known.identity["n"]), int(known.identity["shard_size"])
    done = finished_shards(place)
    pace, latest = _pace(place, done)
    left = n - sum(map(len, done))
    return {
        "command": known.command,
        "finished": known.finished,
        "shards": f"{len(done)} of {-(-n // size)}",
        "particles": f"{n - left} of {n}",
        "particles_per_second": pace,
        "last_shard_seconds_ago": latest,
        "time_left": "0:00:00" if not left else _clock(left / pace) if pace else "not known yet",
        **_said(place / JOBS),
    }


def _pace(folder: Path, done: list[range]) -> tuple[float | None, float | None]:
    """Return particles a second over the last shards, and how long ago the last one was written."""
    from cryoprior.io.shards import shard_path

    ended = sorted((shard_path(folder, rows).stat().st_mtime, len(rows)) for rows in done)[-LATEST:]
    if not ended:
        return None, None
    seconds = ended[-1][0] - ended[0][0]
    pace = sum(count for _, count in ended[1:]) / seconds if seconds > 0 else None
    return pace, max(0.0, time.time() - ended[-1][0])


def _said(jobs: Path) -> dict[str, str]:
    """Return the last line of each task's log."""
    from cryoprior.executors.tasks import last_line

    return {path.stem: line for path in sorted(jobs.glob("task-*.log")) if (line := last_line(path))}


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
