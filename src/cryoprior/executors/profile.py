"""The profile of a SLURM queue: a TOML file that says what each task may use."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError

_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")
LEAST_MINUTES = 2


@dataclass(frozen=True)
class SlurmProfile:
    """What ``slurm:PROFILE.toml`` may say; all of it may be left out.

    partition, account, qos, constraint: as sbatch takes them. time: limit of a task, D-HH:MM:SS or HH:MM:SS or HH:MM.
    cpus, gpus, memory: of a task. width: tasks that run at once. tasks: into how many the shards are divided.
    warning_seconds: how long before its limit a task is told to stop; it is then queued again.
    setup: lines of shell before the command, such as ``module load cuda``.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    time: str = "01:00:00"
    cpus: int = 1
    gpus: int = 0
    memory: str = ""
    width: int = 8
    tasks: int = 0
    warning_seconds: int = 90
    setup: tuple[str, ...] = ()

    @property
    def minutes(self) -> int:
        """Return the time limit."""
        match = _TIME.fullmatch(self.time)
        assert match is not None
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return days * 1440 + hours * 60 + minutes + (seconds > 0)


def read_profile(path: Path) -> SlurmProfile:
    """Return the profile in a file.

    Raises
    ------
    InputError: no such file, no TOML, a key that is not known, a value of another kind or out of its range.
    """
    try:
        said = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: no such profile of a queue; expected a TOML file; see docs/cluster.md") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no TOML ({error}); expected lines such as time = '06:00:00'") from error
    kinds = {field.name: field.default for field in fields(SlurmProfile)}
    unknown = sorted(set(said) - set(kinds))
    if unknown:
        raise InputError(f"{path}: {', '.join(unknown)}: not known; expected some of {', '.join(kinds)}")
    return SlurmProfile(**{name: _checked(path, name, value, kinds[name]) for name, value in said.items()})


def _checked(path: Path, name: str, value: Any, like: Any) -> Any:
    if isinstance(like, tuple):
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise InputError(f"{path}: {name} = {value!r}; expected a list of lines, such as ['module load cuda']")
        return tuple(value)
    if type(value) is not type(like):
        kind = "a whole number" if isinstance(like, int) else "a text in quotes"
        raise InputError(f"{path}: {name} = {value!r}; expected {kind}")
    least = {"gpus": 0, "tasks": 0, "warning_seconds": 0}.get(name, 1)
    if isinstance(value, int) and value < least:
        raise InputError(f"{path}: {name} = {value}; expected at least {least}")
    if name == "time":
        match = _TIME.fullmatch(value)
        if match is None or SlurmProfile(time=value).minutes < LEAST_MINUTES:
            raise InputError(f"{path}: time = {value!r}; expected HH:MM:SS of two minutes or more, such as '06:00:00'")
    return value
