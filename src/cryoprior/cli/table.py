"""The summary of a command as a table of two columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import typer


def print_table(summary: Mapping[str, Any]) -> None:
    """Print names and values on stdout; nested ones have dotted names.

    Raises
    ------
    OSError: nobody reads stdout, or its disk is full.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for name, value in _flatten(summary):
        table.add_row(Text(name), Text(value))
    console = Console()
    with console.capture() as shown:
        console.print(table)
    typer.echo(shown.get(), nl=False)


def _flatten(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in summary.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(item, Mapping) for item in value):
            return f"{len(value)} entries; --json shows them"
        return ", ".join(map(_text, value))
    return str(value)
