"""What every command that asks a prior about images has in common."""

from __future__ import annotations

from dataclasses import dataclass

from cryoprior.errors import InputError
from cryoprior.executors import parse_executor
from cryoprior.options import COMPUTING, INPUT, OUTPUT, Computing, check_options, option, overwrite_option


@dataclass(frozen=True, kw_only=True)
class Asking(Computing):
    """Prior and solver, which particles, and how the work is cut into shards."""

    prior: str = option(
        "The embedded prior that suits the solver (default), one of the two (operator-aware), or the folder of one.",
        "default",
        group=INPUT,
    )
    contrast: str = option("Sign of the particles; auto looks at them.", "auto", choices=("auto", "bright", "dark"))
    spectrum: str = option(
        "Power spectrum of the images: that of the measurements at hand, or the prior's.",
        "measured",
        choices=("measured", "prior"),
    )
    check: bool = option(
        "Withhold a fifth of the numbers of some particles and ask the prior for them: what it knows, by resolution, "
        "without truth or poses.",
        False,
    )
    check_particles: int = option("Particles of the check at most, evenly spread over the stack.", 256, minimum=2)
    limit: int | None = option("Reconstruct the first particles only.", None, minimum=1)
    seed: int = option("Seed of the random draws; each particle has its own stream.", 0)
    cs: bool = option("Write particles.cs too, for cryoSPARC.", False, group=OUTPUT)
    shard_size: int = option("Particles per stack.", 1000, minimum=1, group=OUTPUT)
    shard: str | None = option(
        "I/N: do every Nth shard from the Ith, counted from 0; the last process merges.", None, group=COMPUTING
    )
    merge: bool = option(
        "Merge shards that are all there, and reconstruct none: where the process that was to merge them died.",
        False,
        group=COMPUTING,
    )
    executor: str = option(
        "Where shards are worked on: local (this process), processes:4, slurm:PROFILE.toml, or dask:ADDRESS.",
        "local",
        group=COMPUTING,
    )
    batch: int = option("Particles at a time; results do not depend on it.", 16, minimum=1, group=COMPUTING)
    dtype: str = option("Precision of the network.", "float32", choices=("float32", "bfloat16"), group=COMPUTING)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        parse_shard(self.shard)
        if parse_executor(self.executor) is not None:
            others = [name for name in ("shard", "merge", "overwrite") if getattr(self, name)]
            if others:
                raise InputError(f"<executor> with <{others[0]}>: the executor does it; leave one of them out")
        if self.shard is not None and self.overwrite:
            raise InputError("<overwrite> with <shard>: processes would delete each other's work; delete the folder")
        if self.merge and (self.shard is not None or self.overwrite):
            other = "overwrite" if self.overwrite else "shard"
            raise InputError(f"<merge> with <{other}>: merging reconstructs nothing; leave one of them out")


def parse_shard(text: str | None) -> tuple[int, int]:
    """Return (I, N) of ``I/N``, (0, 1) for None; InputError unless 0 <= I < N."""
    if text is None:
        return 0, 1
    first, _, step = text.partition("/")
    if not (first.isdecimal() and step.isdecimal() and int(first) < int(step)):
        raise InputError(f"<shard> {text!r}: expected I/N with I from 0 to N - 1, for example 0/4")
    return int(first), int(step)
