"""The command ``cryoprior``: every stage's options become a command line; only the invoked stage is imported."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import logging
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal

import typer

from cryoprior.commands import COMMANDS, GROUPS, load_command
from cryoprior.errors import InputError, for_command_line
from cryoprior.options import choices_of, flag_of, value_type
from cryoprior.output.record import to_json
from cryoprior.version import __version__

BAD_INPUT = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0, 2 for bad input, 130 when interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app = build_app(invoked_command(words))
    except InputError as error:  # the command is another package's, which is broken
        typer.echo(f"error: {error.for_command_line()}", err=True)
        sys.exit(BAD_INPUT)
    app(args=words, prog_name="cryoprior")


def invoked_command(words: Sequence[str]) -> str | None:
    """Return the command that the words begin with, options apart: of one word or of two, None if there is none."""
    plain = [word for word in words if not word.startswith("-")]
    return next((name for name in (" ".join(plain[:2]), plain[0] if plain else "") if name in COMMANDS), None)


def build_app(invoked: str | None) -> typer.Typer:
    """Return the application; all commands are listed, and the invoked one alone has its options."""
    app = typer.Typer(
        help="Recover single-particle cryo-EM images from compressed measurements with a generative prior.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_global_options)
    groups: dict[str, typer.Typer] = {}
    listed = COMMANDS.built_in if invoked in COMMANDS.built_in else COMMANDS  # other packages only where they matter
    for name, known in listed.items():
        group, _, word = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
            app.add_typer(groups[group], name=group, help=GROUPS[group])
        at = groups.get(group, app)
        at.command(word, help=known.help)(_command(load_command(name)) if name == invoked else _not_invoked)
    return app


def _not_invoked() -> None:
    raise AssertionError("a command that was not invoked has no options")


def _show_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit
    return wanted


def _global_options(
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_show_version, is_eager=True),
) -> None:
    pass


def _command(stage: ModuleType) -> Callable[..., None]:
    """Return the function that typer turns into the stage's command; its signature is made from the options."""
    fields = dataclasses.fields(stage.Options)
    hints = typing.get_type_hints(stage.Options)

    def command(**values: Any) -> None:
        as_json = values.pop("json")
        _run(stage, {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}, as_json)

    parameters = [_parameter(field, hints[field.name]) for field in fields]
    as_json = typer.Option(False, "--json", help="Print the summary as JSON on stdout, and nothing else there.")
    parameters.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=as_json, annotation=bool))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    meta, inner = field.metadata, value_type(hint)
    choices = choices_of(field, hint)
    annotation: Any = str if typing.get_origin(inner) is Literal else inner
    is_many = bool(meta.get("many") or meta.get("repeat")) or typing.get_origin(hint) is tuple
    default: Any = ... if field.default is dataclasses.MISSING else field.default
    if default is ... and field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if is_many:
        annotation, default = list[annotation], list(default) if isinstance(default, tuple) else default
    elif default is None:
        annotation = annotation | None
    shown: dict[str, Any] = {"help": _help(field), "show_default": default not in (..., None, "", [])}
    if choices:
        shown["metavar"] = f"[{'|'.join(map(str, choices))}]"
    if meta.get("positional"):
        if is_many:
            shown.setdefault("metavar", field.name.upper())
        info = typer.Argument(default, **shown)
    else:
        info = typer.Option(default, *_flags(field, is_flag=inner is bool), **shown)
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def _flags(field: dataclasses.Field[Any], *, is_flag: bool) -> tuple[str, ...]:
    flags = tuple(field.metadata.get("flags") or ()) or (flag_of(field),)
    long = flag_of(field)
    return tuple(f"{f}/--no-{f[2:]}" if is_flag and f == long else f for f in flags)


def _help(field: dataclasses.Field[Any]) -> str:
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    text = str(field.metadata.get("help", ""))
    if low is None and high is None:
        return text
    span = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low} to {high}"
    return f"{text} [{span}]"


def _run(stage: ModuleType, values: Mapping[str, Any], as_json: bool) -> None:
    _log_to_stderr()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout carries the summary alone
            summary = stage.run(stage.Options(**values))
    except InputError as error:
        typer.echo(f"error: {error.for_command_line()}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(to_json(summary))
    else:
        _print_table(summary)


class _Messages(logging.Formatter):
    """Log lines with the options' flags."""

    def format(self, record: logging.LogRecord) -> str:
        return for_command_line(super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Messages("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("cryoprior").setLevel(logging.INFO)


def _print_table(summary: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    for key, value in _flatten(summary):
        table.add_row(Text(key), Text(value))
    Console().print(table)


def _flatten(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            rows += _flatten(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _text(item)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    return str(value)


if __name__ == "__main__":
    main()
