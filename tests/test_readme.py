"""What the README shows works as it stands: its Python, its walk from particles to a report, every option it spells."""

from __future__ import annotations

import dataclasses
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior import cli
from cryoprior.commands import load_command
from cryoprior.demo.particles import simulate_particles
from cryoprior.io import write_stack, write_star
from cryoprior.options import flag_of
from cryoprior.prior import checkpoint

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
N = 8


@pytest.fixture
def _default_prior(tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an untrained prior in the place of the embedded ones."""
    package = tmp_path / "package"
    (package / "assets").mkdir(parents=True)
    for name in ("default", "operator_aware"):
        (package / "assets" / name).symlink_to(tiny_prior)
    monkeypatch.setattr(checkpoint, "files", lambda _: package)


@pytest.fixture
def _particles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go to a folder with particles.star: bright discs in white noise."""
    rng = np.random.default_rng(0)
    axis = np.arange(64) - 32
    disc = np.hypot(*np.meshgrid(axis, axis)) < 12
    write_stack(tmp_path / "p.mrcs", (rng.normal(size=(N, 64, 64)) + 0.7 * disc).astype(np.float32), 5.0)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
    table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = rng.uniform(0, 180, (N, 3))
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [5.0], "rlnImageSize": [64]})
    write_star(tmp_path / "particles.star", table, optics)
    monkeypatch.chdir(tmp_path)


def commands(text: str) -> list[str]:
    """Return what the text shows of the command line: indented lines, and spans in back quotes, of ``cryoprior``."""
    lines = re.findall(r"^ {4}(cryoprior [^\n]*)$", text, re.MULTILINE)
    spans = re.findall(r"`(cryoprior [^`]*)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [" ".join(command.split()) for command in (*lines, *spans)]


def flags(command: str) -> set[str]:
    """Return every spelling that a command's line takes."""
    fields = dataclasses.fields(load_command(command).Options)
    return {"--json", "--help"}.union(*({flag_of(f), *(f.metadata.get("flags") or ())} for f in fields))


def test_the_python_example_runs_on_the_demos_particles_and_prints_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    simulate_particles(Path("demo"), n=32, seed=0)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})  # the project's own text
    printed = [f"{float(number):.2f}" for number in re.findall(r"tensor\(([-.\d]+)\)", capsys.readouterr().out)]
    assert re.findall(r"It prints ([\d.]+) for ours and ([\d.]+) for least squares", README) == [tuple(printed)]
    assert printed[0] > printed[1]


def test_it_fits_on_a_hundred_lines() -> None:
    assert len(README.splitlines()) <= 100


@pytest.mark.usefixtures("_default_prior", "_particles")
def test_the_walk_from_particles_to_a_report_runs(tmp_path: Path) -> None:
    walk = re.findall(r"^ {4}(cryoprior [^\n]*)$", README, re.MULTILINE)
    assert [line.split()[1] for line in walk] == [
        "validate",
        "measure",
        "describe",
        "reconstruct",
        "evaluate",
        "denoise",
        "map",
    ]
    for line in walk:
        words = shlex.split(line)[1:]
        fast = ["--steps", "2"] if words[0] == "reconstruct" else []
        with pytest.raises(SystemExit) as left:
            cli.main([*words, *fast])
        assert left.value.code in (0, None), line
    assert "Scores beside their floors" in (tmp_path / "report" / "report.html").read_text()
    assert "prior-free, from the measurements" in (tmp_path / "map" / "report.html").read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_that_is_spelled_exists(path: Path) -> None:
    for line in commands(path.read_text(encoding="utf-8")):
        words = shlex.split(line)[1:]
        name = cli.invoked_command(words)
        if name is None:
            assert set(words) <= {"--help", "--version", "--install-completion"}, line
            continue
        spelled = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert spelled <= flags(name), line


def test_commands_are_found_in_the_readme() -> None:
    assert len(commands(README)) >= 8


def test_every_file_that_the_documents_link_to_exists() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
    assert (ROOT / "docs" / "demo.png").stat().st_size <= 250_000


@pytest.mark.usefixtures("_default_prior")
def test_the_example_compares_operators(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "examples" / "compare_operators.py"
    example = runpy.run_path(str(path))
    globals_ = example["main"].__globals__
    monkeypatch.setitem(globals_, "PARTICLES", range(2))
    monkeypatch.setitem(globals_["SOLVERS"], "exact", "exact:steps=2")
    monkeypatch.setattr(sys, "argv", [str(path)])
    example["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(example["OPERATORS"])
    assert all(-1 <= float(score) <= 1 for line in lines[2:] for score in line.split()[-3:])


@pytest.mark.usefixtures("_default_prior", "_particles")
def test_the_floors_are_those_of_the_particles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axis = np.arange(64) - 32
    disc = np.hypot(*np.meshgrid(axis, axis)) < 12
    write_stack(tmp_path / "c.mrcs", np.repeat(disc[None], N, 0).astype(np.float32), 5.0)
    text = (tmp_path / "particles.star").read_text()
    (tmp_path / "clean.star").write_text(text.replace("@p.mrcs", "@c.mrcs"))
    runpy.run_path(str(ROOT / "examples" / "floors.py"))["main"](str(tmp_path))
    lines = capsys.readouterr().out.splitlines()[2:]
    rows = {line[:30].strip(): tuple(map(float, line[30:].split())) for line in lines}
    assert len(rows) == 9
    correlation = {name: scores[0] for name, scores in rows.items()}
    assert correlation["one blob, no data"] > 0.8  # the disc, whatever was measured
    assert correlation["mean image of least squares"] > correlation["least squares"]
    for name in ("posterior mean", "least squares", "full noisy image"):
        low = rows[f"{name}, low-passed"]
        assert low[0] > rows[name][0]  # the disc is low
