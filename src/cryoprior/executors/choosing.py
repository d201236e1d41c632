"""Executors by name, and the text that chooses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.executors.contract import Executor
from cryoprior.executors.dask import Dask
from cryoprior.executors.processes import Processes
from cryoprior.executors.profile import read_profile
from cryoprior.executors.slurm import Slurm

LOCAL = "local"
FORMS = "local, processes:4, slurm:PROFILE.toml or dask:ADDRESS"


def _processes(text: str) -> Processes:
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"<executor> processes:{text}: expected a number of processes, such as processes:4")
    return Processes(int(text))


def _slurm(text: str) -> Slurm:
    return Slurm(read_profile(Path(text)))


EXECUTORS: dict[str, Callable[[str], Executor]] = {"processes": _processes, "slurm": _slurm, "dask": Dask}
"""How each is made of what stands behind its colon; ``local`` is this process."""


def parse_executor(text: str) -> Executor | None:
    """Return the executor that a text names, None for ``local``: this process does the work.

    Raises
    ------
    InputError: no such executor, or a profile that cannot be read.
    """
    if text == LOCAL:
        return None
    name, colon, rest = text.partition(":")
    if name not in EXECUTORS or not colon or not rest:
        raise InputError(f"<executor> {text!r}: expected {FORMS}")
    return EXECUTORS[name](rest)
