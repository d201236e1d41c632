"""Progress bars on stderr: silent, unless the command line switched them on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from cryoprior.interruption import check_interrupted

Item = TypeVar("Item")

_shown = False


def show_progress(wanted: bool) -> None:
    """Let :func:`track` draw bars from now on, or not; the command line calls this, a library never does."""
    global _shown  # noqa: PLW0603 - a terminal is one, too
    _shown = wanted


def track(items: Iterable[Item], description: str, total: float | None = None) -> Iterator[Item]:
    """Yield the items, with a bar of counts and remaining time on stderr where bars are shown.

    Raises
    ------
    Interrupted: the run was told to stop; a signal is not lost where a library swallowed what it raised.
    """
    if not _shown:
        for item in items:
            check_interrupted()
            yield item
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for item in progress.track(items, total=total, description=description):
            check_interrupted()
            yield item
