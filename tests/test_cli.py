from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

import cryoprior
from cryoprior import cli
from cryoprior.commands import COMMANDS, GROUPS, Command, load_command
from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option


@dataclass(frozen=True)
class Options:
    inputs: tuple[Path, ...] = argument("Structures.", many=True)
    output: Path = option("Folder.", flags=("-o", "--output"))
    box: int = option("Pixels a side.", 64, minimum=8, maximum=512)
    pixel_size: float | None = option("Angstrom a pixel.", None, minimum=0.1)
    estimate: Literal["mean", "sample"] = option("Which.", "mean")
    leave_out: tuple[str, ...] = option("Chains.", (), repeat=True)
    overwrite: bool = option("Replace.", False)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    print("noise that must not reach stdout")
    if options.box == 13:
        raise InputError("x.star: no column rlnImagePixelSize; add it")
    if options.box == 14:
        raise KeyboardInterrupt
    return {"options": options, "nan": float("nan"), "metrics": {"ssim": {"mean": 0.123456}}}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("fake")
    module.Options, module.run = Options, run  # type: ignore[attr-defined]
    monkeypatch.setitem(COMMANDS.built_in, "fake", Command("fake", "A fake."))
    monkeypatch.setattr(cli, "load_command", lambda name: module)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    return int(left.value.code or 0)


@pytest.mark.usefixtures("fake")
def test_words_become_options(capsys: pytest.CaptureFixture[str]) -> None:
    words = "fake a b -o out --box 32 --pixel-size 1.5 --leave-out BG,BS --leave-out BI --estimate sample --overwrite"
    assert call(*words.split(), "--json") == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["options"] == {
        "inputs": ["a", "b"],
        "output": "out",
        "box": 32,
        "pixel_size": 1.5,
        "estimate": "sample",
        "leave_out": ["BG,BS", "BI"],
        "overwrite": True,
    }
    assert found["nan"] is None
    assert "noise" in shown.err


@pytest.mark.usefixtures("fake")
def test_defaults_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fake", "a", "-o", "out") == 0
    shown = capsys.readouterr().out
    assert "metrics.ssim.mean" in shown
    assert "0.1235" in shown
    assert "noise" not in shown


@pytest.mark.usefixtures("fake")
def test_help_shows_ranges_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fake", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Pixels a side. [8 to 512]" in shown
    assert "default: 64" in shown
    assert "[mean|sample]" in shown
    assert "--json" in shown


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--box 13", 2, "error: x.star: no column rlnImagePixelSize; add it\n"),
        ("--box 14", 130, "interrupted\n"),
        ("--box 4", 2, "error: --box 4: expected at least 8\n"),
        ("--estimate median", 2, "error: --estimate 'median': expected one of mean, sample\n"),
        ("--box many", 2, "--box"),
        ("--nope", 2, "--nope"),
    ],
)
def test_bad_input_is_one_line_and_a_code(
    words: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("fake", "a", "-o", "out", *words.split(), "--json") == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert "Traceback" not in shown.err


def test_version_and_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"{cryoprior.__version__}\n"
    assert call("nope") == 2


@pytest.mark.parametrize(("module", "reason"), [("nowhere.at_all", "ModuleNotFoundError"), ("json", "AttributeError")])
def test_a_broken_command_of_another_package_is_named_in_one_line(
    module: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    COMMANDS.register("foreign", Command(module, "Another package's."))
    try:
        assert call("foreign", "x") == 2
        shown = capsys.readouterr().err
        assert shown.startswith(f"error: command 'foreign': {module} cannot be used: {reason}")
        assert shown.count("\n") == 1
        assert call("doctor", "--help") == 0
    finally:
        del COMMANDS._registered["foreign"]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_options_help_and_documented_fields(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import fields

    stage = load_command(command)
    for field in fields(stage.Options):
        assert field.metadata.get("help"), f"{command}: {field.name} has no help"
    assert call(*command.split(), "--help") == 0
    assert "--json" in capsys.readouterr().out


def test_a_command_of_two_words_is_known_and_its_group_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoked_command(["model", "--json", "score", "a.cif"]) == "model score"
    assert cli.invoked_command(["map", "score"]) == "map"
    assert cli.invoked_command(["model"]) is None
    assert {name.split()[0] for name in COMMANDS if " " in name} == set(GROUPS)
    assert call("model", "--help") == 0
    assert "score" in capsys.readouterr().out
    assert call("model", "paint", "a.cif") == 2


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, cryoprior.cli as c\ntry: c.main(['--help'])\nfinally: sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Commands:" in done.stdout
