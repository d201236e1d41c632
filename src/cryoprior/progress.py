"""Progress bars on stderr: silent, unless the command line switched them on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_shown = False


def show_progress(wanted: bool) -> None:
    """Let :func:`track` draw bars from now on, or not; the command line calls this, a library never does."""
    global _shown  # noqa: PLW0603 - a terminal is one, too
    _shown = wanted


def track(items: Iterable[Item], description: str, total: float | None = None) -> Iterator[Item]:
    """Yield the items, with a bar of counts and remaining time on stderr where bars are shown."""
    if not _shown:
        yield from items
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
        yield from progress.track(items, total=total, description=description)
