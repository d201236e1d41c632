"""Commands as steps of a longer run: a step that is finished with the same options is not run again."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from cryoprior.commands import load_command
from cryoprior.errors import InputError
from cryoprior.output.record import to_json
from cryoprior.output.stored_json import read_json

WITHOUT_EFFECT = {"output", "batch", "threads", "device", "overwrite", "executor", "shard", "shard_size"}
"""Options that change how fast a result comes, not what it is."""
AGAIN = "delete the folder, and run the benchmark again"

log = logging.getLogger("cryoprior")


def run_step(command: str, output: Path, **values: Any) -> dict[str, Any]:
    """Return the summary of a command whose result lies in ``output``, run now unless it is there already.

    Raises
    ------
    InputError: the folder holds a result of other options; what the command itself refuses.
    """
    stage = load_command(command)
    options = stage.Options(output=output, **values)
    if (output / "summary.json").is_file():
        _check_same(command, output, options)
        return read_json(output / "summary.json", "a summary", AGAIN)
    log.info("%s: %s", command, output)
    made: dict[str, Any] = stage.run(options)
    return made


def slug(name: str) -> str:
    """Return a name as part of a path: lower case, letters, digits, points and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def _check_same(command: str, output: Path, options: Any) -> None:
    keys = {"command": str, "options": dict}
    recorded = read_json(output / "provenance.json", "how a result was made", AGAIN, keys)
    asked = json.loads(to_json(options))
    before = recorded["options"]
    changed = [k for k, v in asked.items() if k not in WITHOUT_EFFECT and before.get(k) != v]
    if recorded["command"] != command or changed:
        what = f"other {', '.join(changed)}" if changed else f"{recorded['command']}"
        raise InputError(
            f"{output}: holds a result of {command} with {what}; pass another <output>, or delete this folder"
        )
