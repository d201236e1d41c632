from __future__ import annotations

import dataclasses
import json
import logging
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

import cryoprior
from cryoprior import cli
from cryoprior.cli.journey import STEPS
from cryoprior.commands import COMMANDS, GROUPS, Command, load_command
from cryoprior.errors import InputError
from cryoprior.options import COMPUTING, INPUT, argument, check_options, option, output_option, overwrite_option
from cryoprior.progress import track


@dataclass(frozen=True)
class Options:
    inputs: tuple[Path, ...] = argument("Structures.", many=True)
    output: Path = output_option("Folder.")
    box: int = option("Pixels a side.", 64, minimum=8, maximum=512)
    pixel_size: float | None = option("Angstrom a pixel.", None, minimum=0.1, group=INPUT)
    estimate: Literal["mean", "sample"] = option("Which.", "mean")
    leave_out: tuple[str, ...] = option("Chains.", (), repeat=True)
    threads: int = option("Threads.", 0, group=COMPUTING)
    old: bool = option("An older spelling.", False, hidden=True)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    print("noise that must not reach stdout")
    if options.box == 13:
        raise InputError("x.star: no column rlnImagePixelSize; add it")
    if options.box == 14:
        raise KeyboardInterrupt
    if options.box == 15:
        raise OSError(28, "No space left on device")
    if options.box == 16:
        raise ZeroDivisionError("a fault of the program")
    if options.box == 17:
        raise InputError(f"no stack {'a' * 5000}\nin it; pass <datadir>")
    if options.box == 18:
        for _ in range(2):
            logging.getLogger("cryoprior").warning("no <pixel_size>; 1 taken")
    logging.getLogger("cryoprior").info("<box> is taken")
    logging.getLogger("cryoprior").debug("a detail")
    list(track(range(2), "counting"))
    if options.overwrite:
        options.output.mkdir(exist_ok=True)
        (options.output / "report.html").write_text("")
    return {"options": options, "nan": float("nan"), "metrics": {"ssim": {"mean": 0.123456}}}


@pytest.fixture
def fake_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("fake")
    module.Options, module.run = Options, run  # type: ignore[attr-defined]
    module.EXAMPLE = "cryoprior fake a.star \\\n    -o out/"  # type: ignore[attr-defined]
    monkeypatch.setitem(COMMANDS.built_in, "fake", Command("fake", "A fake."))
    monkeypatch.setattr(cli, "load_command", lambda name: module)
    return module


@pytest.fixture
def fake(fake_module: ModuleType) -> None:
    """The command is there."""


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    return int(left.value.code or 0)


@pytest.mark.usefixtures("fake")
def test_words_become_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = "fake a b -o out --box 32 --pixel-size 1.5 --leave-out BG,BS --leave-out BI --estimate sample --overwrite"
    assert call(*words.split(), "--json") == 0
    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert summary["options"] == {
        "inputs": ["a", "b"],
        "output": "out",
        "box": 32,
        "pixel_size": 1.5,
        "estimate": "sample",
        "leave_out": ["BG,BS", "BI"],
        "threads": 0,
        "old": False,
        "overwrite": True,
    }
    assert summary["nan"] is None
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
def test_help_shows_options_in_groups_and_ends_with_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fake", "-h") == 0
    shown = capsys.readouterr().out
    groups = ["Arguments:", "Input:", "What to do:", "Computing:", "Output:", "Messages:", "Example:"]
    places = [shown.index(f"\n{group}\n") for group in groups]
    assert places == sorted(places)
    assert places[1] < shown.index("--pixel-size") < places[2] < shown.index("--estimate") < places[3]
    assert places[3] < shown.index("--threads") < shown.index("default: 0") < places[4] < shown.index("--overwrite")
    assert shown.endswith("  cryoprior fake a.star \\\n      -o out/\n")
    assert "fake [OPTIONS] INPUTS..." in shown
    assert "--old" not in shown
    assert "--no-" not in shown


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("more", "said"), [((), 2), (("--quiet",), 0), (("--verbose",), 3)])
def test_quiet_and_verbose_decide_what_is_said(
    more: tuple[str, ...], said: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    assert call("fake", "a", "-o", "out", "--json", *more) == 0
    shown = capsys.readouterr().err
    assert [line in shown for line in ("counting", "INFO: --box is taken", "DEBUG: a detail")] == [
        i < said for i in range(3)
    ]
    assert list(track([1], "in the library")) == [1]
    assert "in the library" not in capsys.readouterr().err


@pytest.mark.usefixtures("fake")
def test_the_last_line_says_what_to_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fake", "a", "-o", str(tmp_path / "out"), "--overwrite")
    last = f"open {tmp_path / 'out' / 'report.html'}\n"
    assert call(*words) == 0
    assert capsys.readouterr().out.endswith(last)
    assert call(*words, "--json") == 0
    shown = capsys.readouterr()
    assert shown.err.endswith(last)
    json.loads(shown.out)


@pytest.mark.usefixtures("fake")
def test_the_end_says_warnings_once_more_and_the_next_command(
    tmp_path: Path, fake_module: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_module.NEXT = "cryoprior evaluate {output}/report.html -o report/"  # type: ignore[attr-defined]
    out = tmp_path / "an out"
    words = ("fake", "a", "-o", str(out), "--box", "18")
    assert call(*words) == 0
    assert "next:" not in capsys.readouterr().out, "nothing lies there"
    assert call(*words, "--overwrite") == 0
    said = ["warning: no --pixel-size; 1 taken", f"open {out}/report.html"]
    said.append(f"next: cryoprior evaluate '{out}/report.html' -o report/")
    assert capsys.readouterr().out.splitlines()[-3:] == said
    assert call(*words[:-2], "--overwrite") == 0
    assert "warning:" not in capsys.readouterr().out, "those of another run"


@pytest.mark.usefixtures("fake")
def test_a_program_can_read_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    words = ("fake", "a", "-o", str(tmp_path / "out"), "--overwrite", "--json", "--log-json")
    assert call(*words, "--box", "18") == 0
    shown = capsys.readouterr()
    json.loads(shown.out)
    lines = [json.loads(line) for line in shown.err.splitlines() if line != "noise that must not reach stdout"]
    assert [line["level"] for line in lines] == ["WARNING", "WARNING", "INFO", "INFO", "INFO"]
    assert lines[0]["message"] == "no --pixel-size; 1 taken"
    assert call(*words, "--box", "13") == 2
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert last["message"] == "x.star: no column rlnImagePixelSize; add it"
    assert last["exit_code"] == 2


def test_the_program_alone_shows_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 0
    shown = capsys.readouterr().out
    assert all(f"{what}\n      {command}\n" in shown for what, command in STEPS)


@pytest.mark.parametrize("step", [command for _, command in STEPS])
def test_every_step_of_the_way_is_a_command_with_these_options(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = cli.invoked_command(step.split()[1:])
    assert name in COMMANDS
    assert call(*name.split(), "--help") == 0
    assert flags_known(step.split(), capsys.readouterr().out)


def flags_known(words: list[str], shown: str) -> bool:
    return {word for word in words if word.startswith("-")} <= set(re.findall(r"(?<!\S)--?[a-z][a-z0-9-]*", shown))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_what_is_named_as_the_next_command_is_one(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = getattr(load_command(command), "NEXT", "").split()
    if words:
        name = cli.invoked_command(words[1:])
        assert name in COMMANDS
        assert call(*name.split(), "--help") == 0
        assert flags_known(words, capsys.readouterr().out)


@pytest.mark.usefixtures("fake")
def test_a_machine_that_fails_is_one_line_unless_more_is_asked(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    line = "error: the disk is full; make room, or pass another -o; then run the command again\n"
    assert call("fake", "a", "-o", "out", "--box", "15") == 74
    assert capsys.readouterr().err.endswith(line)
    assert call("fake", "a", "-o", "out", "--box", "15", "--verbose") == 74
    assert capsys.readouterr().err.endswith(line)
    assert 'raise OSError(28, "No space left on device")' in caplog.text


@pytest.mark.usefixtures("fake")
def test_a_fault_of_the_program_is_one_line_that_says_where_unless_all_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("fake", "a", "-o", "out", "--box", "16") == 1
    said = capsys.readouterr().err
    assert "error: this program is at fault (ZeroDivisionError: a fault of the program, cli/running.py line " in said
    assert "--verbose" in said
    assert "Traceback" not in said
    with pytest.raises(ZeroDivisionError):
        cli.main(["fake", "a", "-o", "out", "--box", "16", "--verbose"])


@pytest.mark.usefixtures("fake")
def test_a_message_is_one_line_however_long_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fake", "a", "-o", "out", "--box", "17") == 2
    said = capsys.readouterr().err
    line = next(line for line in said.splitlines() if line.startswith("error: "))
    assert line.startswith("error: no stack aaa")
    assert line.endswith("pass --datadir")
    assert len(line) < 500


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
    assert call("mapp", "a.star") == 2
    assert "Did you mean 'map'?" in capsys.readouterr().err


@pytest.mark.usefixtures("fake")
def test_an_unknown_option_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fake", "a", "-o", "out", "--over-write") == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("line", "completed"), [("cryoprior fak", "fake"), ("cryoprior fake --pix", "--pixel-size")])
def test_a_shell_can_complete_commands_and_options(
    line: str, completed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_CRYOPRIOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert call() == 0
    assert capsys.readouterr().out.split() == [completed]


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
def test_every_command_has_one_style_of_help_and_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = load_command(command)
    for field in dataclasses.fields(module.Options):
        text = field.metadata["help"]
        first = text.split()[0]
        assert first[0].isupper() or not first.isalpha() or not first.islower(), f"{field.name}: {text!r}"
        assert text.endswith("."), f"{field.name}: {text!r}"
    assert call(*command.split(), "--help") == 0
    shown = capsys.readouterr().out
    assert module.EXAMPLE.startswith(f"cryoprior {command}")
    assert shown.endswith(f"{textwrap.indent(module.EXAMPLE, '  ')}\n")
    spelled = {word for word in module.EXAMPLE.split() if re.match("--?[a-z]", word)}
    assert spelled <= set(re.findall("(?<!\\S)--?[a-z][a-z0-9-]*", shown))


def test_help_and_list_import_nothing_heavy() -> None:
    code = """
import sys, time
from cryoprior import cli
from cryoprior.cli.journey import STEPS
from cryoprior.commands import COMMANDS
for words in (["--help"], *([*name.split(), "--help"] for name in COMMANDS), ["list", "--json"]):
    try:
        cli.main(words)
    except SystemExit as left:
        assert not left.code, words
    heavy = [m for m in ("torch", "diffusers", "pandas", "scipy", "matplotlib") if m in sys.modules]
    assert not heavy, f"{words} imports {heavy}"
print(time.process_time())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 3, "seconds of processor time, of all commands together"


def test_a_command_of_two_words_is_known_and_its_group_lists_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.invoked_command(["model", "--json", "score", "a.cif"]) == "model score"
    assert cli.invoked_command(["map", "score"]) == "map"
    assert cli.invoked_command(["model"]) is None
    assert {name.split()[0] for name in COMMANDS if " " in name} == set(GROUPS)
    assert call("model", "--help") == 0
    assert "score" in capsys.readouterr().out
    assert call("model", "paint", "a.cif") == 2
