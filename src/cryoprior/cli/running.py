"""How a command is run from the command line: what is said where, exit codes, and the last line."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from cryoprior.cli.failures import failure_of, fault_of
from cryoprior.cli.leaving import telling_unread_output
from cryoprior.cli.log import log_to_stderr, say_as_json
from cryoprior.cli.table import print_table
from cryoprior.errors import InputError, for_command_line
from cryoprior.output.record import to_json
from cryoprior.progress import show_progress

BAD_INPUT, INTERRUPTED = 2, 130
WORTH_OPENING = ("report.html", "model.cif", "particles.star", "denoised-*.png", "means-*.png", "fsc.png", "table.md")
"""What to open first in an output folder: the first of these that it holds."""
LONGEST_WORD, LONGEST_LINE = 300, 2000
"""Characters of what is quoted in a message."""


@dataclass(frozen=True)
class Messages:
    """How much is said, and how."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    log_json: bool = False

    @property
    def level(self) -> int:
        """Return the level from which the program's own messages are shown."""
        return logging.DEBUG if self.verbose else logging.WARNING if self.quiet else logging.INFO


def run_command(module: ModuleType, values: Mapping[str, Any], messages: Messages) -> None:
    """Run a command and print its summary; typer.Exit with a code where it fails."""
    warnings = log_to_stderr(messages.level, as_json=messages.log_json)
    show_progress(not (messages.quiet or messages.log_json))
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout carries the summary alone
            options = module.Options(**values)
            summary = module.run(options)
    except InputError as error:
        raise _left(error.for_command_line(), BAD_INPUT, messages) from None
    except KeyboardInterrupt:
        raise _left("interrupted", INTERRUPTED, messages) from None
    except Exception as error:
        known = {field.name for field in dataclasses.fields(module.Options)}
        failure = failure_of(error, resumes="resume" in known, batched="batch" in known)
        if failure is None:
            if messages.verbose:
                raise
            failure = fault_of(error)
        logging.getLogger("cryoprior").debug("where it failed", exc_info=error)
        raise _left(for_command_line(failure.message), failure.exit_code, messages) from None
    finally:
        show_progress(False)
    with telling_unread_output():
        if messages.json:
            typer.echo(to_json(summary))
        else:
            print_table(summary)
    output = getattr(options, "output", None)
    for line in (*warnings.once_more(), what_to_open(output), what_is_next(module, options)):
        if line and messages.log_json:
            say_as_json("INFO", line)
        elif line:
            typer.echo(line, err=messages.json)


def what_to_open(output: Path | None) -> str:
    """Return the line that says what to look at first in an output folder, an empty text where there is nothing."""
    if output is None or not output.is_dir():
        return ""
    if (output / "zarr.json").is_file():
        return f"look at it: cryoprior describe {output}"
    return next((f"open {path}" for name in WORTH_OPENING for path in sorted(output.glob(name))), "")


def what_is_next(module: ModuleType, options: Any) -> str:
    """Return the line with the command that users run next, an empty text where there is none.

    NEXT of a command's module is that command line; ``{output}`` in it is the output of the run. What lies there must
    exist.
    """
    output = getattr(options, "output", None)
    words = [word.replace("{output}", str(output)) for word in getattr(module, "NEXT", "").split()]
    made = (Path(word) for word in words if output is not None and word.startswith(str(output)))
    return f"next: {shlex.join(words)}" if words and all(path.exists() for path in made) else ""


def _left(message: str, code: int, messages: Messages) -> typer.Exit:
    if messages.log_json:
        say_as_json("ERROR", one_line(message), exit_code=code)
    else:
        typer.echo(one_line(message if code == INTERRUPTED else f"error: {message}"), err=True)
    return typer.Exit(code)


def one_line(message: str) -> str:
    """Return a message on one line that a screen holds: what an input is quoted with may be of any length."""
    words = [f"{word[:LONGEST_WORD]}…" if len(word) > LONGEST_WORD else word for word in message.split()]
    line = " ".join(words)
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}"
