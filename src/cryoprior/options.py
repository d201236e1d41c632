"""How a command declares its options: one frozen dataclass whose fields carry help, unit and range.

The command line and its help are made from these fields, so an option is written once. Options that several commands
share stand in groups, :class:`ParticleFiles` and :class:`Computing`, which a command's ``Options`` inherit.
"""

from __future__ import annotations

import dataclasses
import math
import stat
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union

from cryoprior.errors import FLAGS, InputError

REQUIRED: Any = dataclasses.MISSING
INPUT, WORK, COMPUTING, OUTPUT = "Input", "What to do", "Computing", "Output"
"""The groups in which ``--help`` shows options."""
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def argument(help: str, default: Any = REQUIRED, *, many: bool = False) -> Any:
    """Return a dataclass field that is a positional argument; ``many`` takes one or more values (a tuple)."""
    metadata = {"help": help, "positional": True, "many": many}
    return dataclasses.field(default=default, metadata=metadata)


def option(
    help: str,
    default: Any = REQUIRED,
    *,
    group: str = WORK,
    flags: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Iterable[str] = (),
    repeat: bool = False,
    hidden: bool = False,
) -> Any:
    """Return a dataclass field that is a named option.

    ``flags`` defaults to ``--field-name``; ``-o`` and its like are named there. ``repeat`` collects a tuple of values.
    ``minimum``, ``maximum`` and ``choices`` are checked by :func:`check_options`; a ``Literal`` type names choices too.
    ``hidden`` leaves it out of ``--help``: an older spelling that still works.
    """
    metadata = {
        "help": help,
        "group": group,
        "flags": flags,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
        "repeat": repeat,
        "hidden": hidden,
    }
    return dataclasses.field(default=default, metadata=metadata)


def output_option(help: str, default: Any = REQUIRED) -> Any:
    """Return the field of the folder that is written, ``-o``."""
    return option(help, default, group=OUTPUT, flags=(FLAGS["output"], "--output"))


def overwrite_option(help: str = "Replace what an earlier run wrote there.") -> Any:
    """Return the field that lets an output in use be replaced."""
    return option(help, False, group=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class ParticleFiles:
    """What a caller may say about a particle file that does not say it itself."""

    pixel_size: float | None = option(
        "Pixel size in angstrom, where the file gives none or a wrong one.", None, group=INPUT
    )
    poses: Path | None = option("The poses.pkl of cryoDRGN, beside a bare stack.", None, group=INPUT)
    ctf: Path | None = option("The ctf.pkl of cryoDRGN, beside a bare stack.", None, group=INPUT)
    ind: Path | None = option("Pickle with the indices of the particles to keep.", None, group=INPUT)
    datadir: Path | None = option("Folder in which to look for the image stacks.", None, group=INPUT)
    passthrough: Path | None = option(
        "The passthrough file of cryoSPARC's job, beside a .cs file without images (default: the one beside it).",
        None,
        group=INPUT,
    )

    @property
    def companions(self) -> dict[str, Any]:
        """Return what :func:`cryoprior.read_particles` takes beside the path."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(ParticleFiles)}

    @property
    def companion_files(self) -> list[Path]:
        """Return the files that are read beside the particles."""
        return [path for path in (self.poses, self.ctf, self.ind, self.passthrough) if path is not None]


@dataclass(frozen=True, kw_only=True)
class Computing:
    """Where a command computes."""

    device: str = option(
        "Where to compute: auto, cpu, cuda, cuda:1 or mps; auto takes an accelerator if there is one.",
        "auto",
        group=COMPUTING,
    )
    threads: int | None = option("Processor threads (default: all).", None, group=COMPUTING, minimum=1)


def check_options(options: Any) -> None:
    """Raise InputError for the first field that cannot be used; call it in ``__post_init__``.

    A value is out of its range, or not among its choices; a path leads to what is neither file nor folder.
    """
    hints = typing.get_type_hints(type(options))
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        choices = choices_of(field, hints[field.name])
        for item in value if isinstance(value, tuple) else (value,):
            if item is not None:
                _check(_marked(field), item, choices, field.metadata)


def flag_of(field: dataclasses.Field[Any]) -> str:
    """Return the name by which a user knows the field: its longest flag, or the positional's name."""
    if field.metadata.get("positional"):
        return field.name.upper()
    return max(field.metadata.get("flags") or (), key=len, default="") or f"--{field.name.replace('_', '-')}"


def value_type(hint: Any) -> Any:
    """Return the type of one value: ``Optional``, ``tuple[...]`` and ``list[...]`` are taken off."""
    origin = typing.get_origin(hint)
    if origin in (Union, UnionType):
        return value_type(next(a for a in typing.get_args(hint) if a is not type(None)))
    return value_type(typing.get_args(hint)[0]) if origin in (tuple, list) else hint


def choices_of(field: dataclasses.Field[Any], hint: Any) -> tuple[str, ...]:
    """Return the field's allowed values, from its metadata or its ``Literal`` type; empty where any will do."""
    inner = value_type(hint)
    named = typing.get_args(inner) if typing.get_origin(inner) is Literal else ()
    return tuple(field.metadata.get("choices") or named)


def _marked(field: dataclasses.Field[Any]) -> str:
    """Return the field's name as messages mark it."""
    return f"<{field.name.upper() if field.metadata.get('positional') else field.name}>"


def _check_path(path: Path, meta: Any) -> None:
    """Raise InputError for a pipe, a socket or a device, which cannot be read twice, or not at all, and may hang."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):  # what is not there is said by who reads it
        return
    if kind in _SPECIAL and meta.get("group") != OUTPUT:
        raise InputError(f"{path}: {_SPECIAL[kind]}; expected a file or a folder; save what it gives to a file first")


def _check(name: str, value: Any, choices: tuple[str, ...], meta: Any) -> None:
    low, high = meta.get("minimum"), meta.get("maximum")
    if isinstance(value, Path):
        _check_path(value, meta)
    if choices and value not in choices:
        raise InputError(f"{name} {value!r}: expected one of {', '.join(map(str, choices))}")
    if low is not None and not value >= low:
        raise InputError(f"{name} {value}: expected at least {low}")
    if high is not None and not value <= high:
        raise InputError(f"{name} {value}: expected at most {high}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} {value}: expected a finite number")
