"""From a command's options back to the words of its command line."""

from __future__ import annotations

import dataclasses
from typing import Any

from cryoprior.options import flag_of


def command_words(command: str, options: Any, **changed: Any) -> tuple[str, ...]:
    """Return the words that give a command these options; fields that have their default are left out.

    command: its name. changed: fields with another value than in ``options``.
    """
    words, last = [command], []
    for field in dataclasses.fields(options):
        value = changed.get(field.name, getattr(options, field.name))
        if field.metadata.get("positional"):
            last += [str(item) for item in (value if isinstance(value, tuple) else (value,)) if item is not None]
        elif value != field.default and value is not None:
            words += _words(flag_of(field), value)
    return (*words, "--", *last)


def _words(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"{flag}={item}" for item in values]
