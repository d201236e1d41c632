"""From the fields of a command's options to the parameters and the help of the command line."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Literal

import typer
from typer.core import TyperCommand

from cryoprior.cli.running import Messages, run_command
from cryoprior.options import COMPUTING, INPUT, OUTPUT, WORK, choices_of, flag_of, value_type

MESSAGES = "Messages"
GROUPS = (INPUT, WORK, COMPUTING, OUTPUT, MESSAGES)
SHORT_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


class GroupedCommand(TyperCommand):
    """A command whose help shows its options in groups, and its example as it stands."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line: arguments without braces."""
        return [piece.strip("{}").replace("}...", "...") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group that has options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{group: [] for group in GROUPS}}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_argument = parameter.param_type_name == "argument"
                group = getattr(parameter, "rich_help_panel", None) or MESSAGES
                sections["Arguments" if is_argument else group].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the example, line by line."""
        if self.epilog:
            with formatter.section("Example"):
                for line in textwrap.dedent(self.epilog).strip("\n").splitlines():
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


HOW: dict[str, Any] = {"cls": GroupedCommand, "context_settings": SHORT_HELP}
"""What the invoked command is registered with."""


def make_command(module: ModuleType) -> Callable[..., None]:
    """Return the function that typer turns into the module's command; its signature is made from the options."""
    hints = typing.get_type_hints(module.Options)
    parameters = [_parameter(field, hints[field.name]) for field in dataclasses.fields(module.Options)]
    parameters += _message_parameters()

    def command(**values: Any) -> None:
        messages = Messages(**{field.name: values.pop(field.name) for field in dataclasses.fields(Messages)})
        run_command(module, {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}, messages)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _message_parameters() -> Iterator[inspect.Parameter]:
    texts = {
        "json": "Print the summary as JSON on stdout, and nothing else there.",
        "quiet": "Say nothing but warnings and errors, and draw no progress bars.",
        "verbose": "Say all there is to say, and where in the code the machine failed.",
        "log_json": "Write messages to stderr as JSON, one object a line, without progress bars.",
    }
    for name, text in texts.items():
        info = typer.Option(False, f"--{name.replace('_', '-')}", help=text, rich_help_panel=MESSAGES)
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=bool)


def _parameter(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    meta, inner = field.metadata, value_type(hint)
    annotation: Any = str if typing.get_origin(inner) is Literal else inner
    default = _default(field)
    if meta.get("many") or meta.get("repeat") or typing.get_origin(hint) is tuple:
        annotation, default = list[annotation], list(default) if isinstance(default, tuple) else default
    elif default is None:
        annotation = annotation | None
    shown: dict[str, Any] = {
        "help": _help(field),
        "show_default": default is not False and default not in (..., None, "", []),
    }
    choices = choices_of(field, hint)
    if choices:
        shown["metavar"] = f"[{'|'.join(map(str, choices))}]"
    if meta.get("positional"):
        info = typer.Argument(default, **({"metavar": field.name.upper()} | shown))
    else:
        shown |= {"rich_help_panel": meta.get("group", WORK), "hidden": meta.get("hidden", False)}
        info = typer.Option(default, *_flags(field, is_flag=inner is bool), **shown)
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return ... if field.default_factory is dataclasses.MISSING else field.default_factory()


def _flags(field: dataclasses.Field[Any], *, is_flag: bool) -> tuple[str, ...]:
    long = flag_of(field)
    flags = tuple(field.metadata.get("flags") or ()) or (long,)
    return tuple(f"{f}/--no-{f[2:]}" if is_flag and f == long and field.default is True else f for f in flags)


def _help(field: dataclasses.Field[Any]) -> str:
    low, high = field.metadata.get("minimum"), field.metadata.get("maximum")
    text = str(field.metadata.get("help", ""))
    if low is None and high is None:
        return text
    span = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low} to {high}"
    return f"{text} [{span}]"
