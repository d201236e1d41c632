"""The command ``cryoprior``: every command's options become a command line; only the invoked command is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from cryoprior.cli.failures import GAVE_OUT
from cryoprior.cli.journey import journey
from cryoprior.cli.leaving import last_words, telling_unread_output
from cryoprior.cli.parameters import HOW, SHORT_HELP, make_command
from cryoprior.cli.running import BAD_INPUT, INTERRUPTED
from cryoprior.commands import COMMANDS, GROUPS, load_command
from cryoprior.errors import InputError
from cryoprior.interruption import Interrupted, interruptible
from cryoprior.version import __version__

__all__ = ["BAD_INPUT", "GAVE_OUT", "INTERRUPTED", "build_app", "invoked_command", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    0: done; 1: a fault of the program; 2: bad input, or an output that cannot be made; 74: the machine gave out;
    130, 143: stopped by Ctrl-C or SIGTERM; 141: nobody reads what it prints.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = invoked_command(_completed_words() or words)
    try:
        with interruptible(), telling_unread_output():
            if not words and not _completed_words():
                typer.echo(journey(__version__))
                sys.exit(0)
            build_app(command)(args=words, prog_name="cryoprior")
    except InputError as error:  # the command is another package's, which is broken
        typer.echo(f"error: {error.for_command_line()}", err=True)
        sys.exit(BAD_INPUT)
    except Interrupted as stop:
        typer.echo(last_words(stop, command, words), err=True)
        sys.exit(stop.exit_code)


def invoked_command(words: Sequence[str]) -> str | None:
    """Return the command that the words begin with, options apart: of one word or of two, None if there is none."""
    plain = [word for word in words if not word.startswith("-")]
    return next((name for name in (" ".join(plain[:2]), plain[0] if plain else "") if name in COMMANDS), None)


def _completed_words() -> list[str]:
    """Return the words on the line that a shell wants completed, none where no shell asks."""
    if "_CRYOPRIOR_COMPLETE" not in os.environ:
        return []
    return (os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS") or "").split()[1:]


def build_app(invoked: str | None) -> typer.Typer:
    """Return the application; all commands are listed, and the invoked one alone has its options."""
    app = typer.Typer(
        help="Recover single-particle cryo-EM images from compressed measurements with a generative prior.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SHORT_HELP,
    )
    app.callback()(_global_options)
    groups: dict[str, typer.Typer] = {}
    listed = COMMANDS.built_in if invoked in COMMANDS.built_in else COMMANDS  # other packages only where they matter
    for name, known in listed.items():
        group, _, word = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=SHORT_HELP)
            app.add_typer(groups[group], name=group, help=GROUPS[group])
        at = groups.get(group, app)
        if name == invoked:
            module = load_command(name)
            at.command(word, help=known.help, epilog=getattr(module, "EXAMPLE", None), **HOW)(make_command(module))
        else:
            at.command(word, short_help=known.help)(_not_invoked)
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
