"""From options to words of the command line and back: what a task is started with is what the user asked for."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import typer
from typer.testing import CliRunner

from cryoprior.cli.parameters import HOW, make_command
from cryoprior.executors.words import command_words
from cryoprior.maps import command as map_command
from cryoprior.reconstruction import command, denoise_command


def parsed(module: ModuleType, words: tuple[str, ...]) -> object:
    """Return the options that the command line makes of words."""
    seen: list[object] = []

    def run(options: object) -> dict[str, object]:
        seen.append(options)
        return {}

    stand_in = ModuleType(module.__name__)
    stand_in.__dict__.update(vars(module) | {"run": run})
    app = typer.Typer()
    app.command(**HOW)(make_command(stand_in))
    result = CliRunner().invoke(app, list(words))
    assert seen, result.output
    return seen[0]


def test_words_give_the_same_options_again(tmp_path: Path) -> None:
    y = tmp_path / "-y with a space.zarr"
    given = command.Options(
        measurements=y, output=tmp_path / "out", solver="exact:steps=3", cs=True, limit=7, batch=3, prior="default"
    )
    assert parsed(command, command_words("reconstruct", given)[1:]) == given
    other = command_words("reconstruct", given, shard="1/4", executor="local")
    assert parsed(command, other[1:]).shard == "1/4"  # type: ignore[attr-defined]
    denoise = denoise_command.Options(particles=tmp_path / "p.star", output=tmp_path / "d", pixel_size=1.25, seed=-3)
    assert parsed(denoise_command, command_words("denoise", denoise)[1:]) == denoise


def test_flags_that_are_on_by_default_and_values_that_repeat_are_kept(tmp_path: Path) -> None:
    given = map_command.Options(particles=tmp_path / "p.star", output=tmp_path / "m", passes=0)
    assert parsed(map_command, command_words("map", given)[1:]) == given
