"""How a command is run from the command line: what is said where, exit codes, and the last line."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from cryoprior.cli.failures import failure_of, fault_of
from cryoprior.cli.leaving import telling_unread_output
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

    @property
    def level(self) -> int:
        """Return the level from which the program's own messages are shown."""
        return logging.DEBUG if self.verbose else logging.WARNING if self.quiet else logging.INFO


def run_command(module: ModuleType, values: Mapping[str, Any], messages: Messages) -> None:
    """Run a command and print its summary; typer.Exit with a code where it fails."""
    _log_to_stderr(messages.level)
    show_progress(not messages.quiet)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout carries the summary alone
            options = module.Options(**values)
            summary = module.run(options)
    except InputError as error:
        raise _left(f"error: {error.for_command_line()}", BAD_INPUT) from None
    except KeyboardInterrupt:
        raise _left("interrupted", INTERRUPTED) from None
    except Exception as error:
        known = {field.name for field in dataclasses.fields(module.Options)}
        failure = failure_of(error, resumes="resume" in known, batched="batch" in known)
        if failure is None:
            if messages.verbose:
                raise
            failure = fault_of(error)
        logging.getLogger("cryoprior").debug("where it failed", exc_info=error)
        raise _left(f"error: {for_command_line(failure.message)}", failure.exit_code) from None
    finally:
        show_progress(False)
    with telling_unread_output():
        if messages.json:
            typer.echo(to_json(summary))
        else:
            print_table(summary)
    last = what_to_open(getattr(options, "output", None))
    if last:
        typer.echo(last, err=messages.json)


def what_to_open(output: Path | None) -> str:
    """Return the line that says what to look at first in an output folder, an empty text where there is nothing."""
    if output is None or not output.is_dir():
        return ""
    if (output / "zarr.json").is_file():
        return f"look at it: cryoprior describe {output}"
    return next((f"open {path}" for name in WORTH_OPENING for path in sorted(output.glob(name))), "")


def _left(message: str, code: int) -> typer.Exit:
    typer.echo(one_line(message), err=True)
    return typer.Exit(code)


def one_line(message: str) -> str:
    """Return a message on one line that a screen holds: what an input is quoted with may be of any length."""
    words = [f"{word[:LONGEST_WORD]}…" if len(word) > LONGEST_WORD else word for word in message.split()]
    line = " ".join(words)
    half = LONGEST_LINE // 2
    return line if len(line) <= LONGEST_LINE else f"{line[:half]} … {line[-half:]}"


class _ForCommandLine(logging.Formatter):
    """Log lines with the options' flags."""

    def format(self, record: logging.LogRecord) -> str:
        shown = copy.copy(record)
        shown.msg, shown.args = for_command_line(getattr(record, "unspelled", record.getMessage())), ()
        return super().format(shown)


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_ForCommandLine("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("cryoprior").setLevel(level)
