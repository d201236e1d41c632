"""What a command says on stderr while it runs: lines for a person, or JSON for a program that watches it."""

from __future__ import annotations

import copy
import json
import logging
import sys
from datetime import UTC, datetime

import typer

from cryoprior.errors import for_command_line


class Warnings(logging.Handler):
    """Keeps the warnings of a run, to say them once more at its end, where they are seen."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []
        self.setFormatter(ForCommandLine("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line that was not there."""
        line = " ".join(self.format(record).split())
        if line not in self._lines:
            self._lines.append(line)

    def once_more(self) -> list[str]:
        """Return the lines for the end of the run."""
        return [f"warning: {line}" for line in self._lines]


class ForCommandLine(logging.Formatter):
    """Log lines with the options' flags."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; its message names options as flags."""
        shown = copy.copy(record)
        shown.msg, shown.args = for_command_line(getattr(record, "unspelled", record.getMessage())), ()
        return super().format(shown)


class _AsJson(ForCommandLine):
    def format(self, record: logging.LogRecord) -> str:
        return _json_line(record.levelname, super().format(record), logger=record.name)


def log_to_stderr(level: int, *, as_json: bool = False) -> Warnings:
    """Let loggers write to stderr from a level on, others than ours from warnings on; return what keeps warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson("%(message)s") if as_json else ForCommandLine("%(levelname)s: %(message)s"))
    warnings = Warnings()
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logger = logging.getLogger("cryoprior")
    logger.setLevel(level)
    for old in [kept for kept in logger.handlers if isinstance(kept, Warnings)]:
        logger.removeHandler(old)
    logger.addHandler(warnings)
    return warnings


def say_as_json(level: str, message: str, **more: object) -> None:
    """Write one line of JSON to stderr: time (UTC), level, message and what else is known."""
    typer.echo(_json_line(level, message, **more), err=True)


def _json_line(level: str, message: str, **more: object) -> str:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "level": level, "message": message, **more})
