"""How the program leaves: told to stop, or with nobody to read what it prints."""

from __future__ import annotations

import dataclasses
import errno
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import typer

from cryoprior.cli.failures import GAVE_OUT
from cryoprior.commands import load_command
from cryoprior.interruption import Interrupted

UNREAD = 141
"""As a program leaves whose output is piped into one that reads no more: 128 + SIGPIPE."""


def last_words(stop: Interrupted, command: str | None, words: Sequence[str]) -> str:
    """Return the line for a run that was told to stop: what it leaves, and the command that goes on."""
    again = list(words)
    if stop.left == "finished":
        return f"stopped by {stop.name}: {stop.output} was finished just before"
    if stop.left == "begun":
        fields = {field.name for field in dataclasses.fields(load_command(command).Options)} if command else set()
        again += ["--resume"] if "resume" in fields and "--resume" not in again else []
        return f"stopped by {stop.name}: {stop.output} keeps what is done; go on with: {_spelled(again)}"
    return f"stopped by {stop.name}: nothing is kept; start again with: {_spelled(again)}"


@contextmanager
def telling_unread_output() -> Iterator[None]:
    """Leave with one line and a code where stdout is closed, or its disk is full; nothing is left to be flushed."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:  # closed from the start
                sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            sys.exit(UNREAD)
        with suppress(OSError):
            typer.echo(
                f"error: stdout: what is printed cannot be written ({error.strerror}); make room there", err=True
            )
        sys.exit(GAVE_OUT)


def _spelled(words: Sequence[str]) -> str:
    return shlex.join(["cryoprior", *words])
