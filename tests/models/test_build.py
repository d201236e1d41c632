"""model build: what is run, kept and reported, when it is not run again, and what it refuses; a script stands in."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.external.modelangelo import VARIABLE
from cryoprior.io import write_map
from cryoprior.models import build_files
from cryoprior.models.build_command import Options, run
from cryoprior.output.manifest import Manifest
from kit.models import fold, random_sequence, write_model

STAND_IN = """#!{python}
import os, shutil, sys
if "--version" in sys.argv:
    print("ModelAngelo 1.0.12")
    sys.exit(0)
words = sys.argv[2:]
given = dict(zip(words[::2], words[1::2]))
open({count!r}, "a").write(sys.argv[1] + "\\n")
print("building")
if os.environ.get("BREAK"):
    sys.exit("no memory left")
out = given["--output-dir"]
name = os.path.basename(out)
shutil.copy({model!r}, os.path.join(out, name + ".cif"))
if sys.argv[1] == "build":
    shutil.copy({model!r}, os.path.join(out, name + "_raw.cif"))
else:
    os.mkdir(os.path.join(out, "hmm_profiles"))
    open(os.path.join(out, "hmm_profiles", "A.hmm"), "w").write("HMMER3/f\\n")
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an executable in place of ModelAngelo's, named by the variable; it counts its runs in runs.txt."""
    chains = {"A": (random_sequence(30), fold(30)), "B": ("MKV", fold(3, 1) + 80)}
    model = write_model(tmp_path / "made.cif", chains, 75.0)
    path = tmp_path / "bin" / "model_angelo"
    path.parent.mkdir()
    path.write_text(STAND_IN.format(python=sys.executable, count=str(tmp_path / "runs.txt"), model=str(model)))
    path.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(path))
    return path


@pytest.fixture(autouse=True)
def _quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model_traces", "confidence_histogram"):
        monkeypatch.setattr(build_files, name, lambda *_: b"png")


def volume(path: Path, value: float | None = None, shape: tuple[int, ...] = (12, 12, 12), voxel: float = 10.0) -> Path:
    data = np.random.default_rng(0).normal(size=shape) if value is None else np.full(shape, value)
    write_map(path, data.astype(np.float32), voxel)
    return path


def runs(folder: Path) -> list[str]:
    file = folder / "runs.txt"
    return file.read_text().split() if file.is_file() else []


@pytest.mark.usefixtures("program")
def test_a_model_is_built_kept_and_reported(tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = run(Options(map=volume(tmp_path / "m.mrc"), output=out))
    assert (summary["residues"], summary["chains"], summary["chains_20"], summary["longest_chain"]) == (33, 2, 1, 30)
    assert summary["mean_confidence"] == pytest.approx(75)
    assert (summary["version"], summary["with_sequence"], summary["bundle"]) == ("1.0.12", False, "nucleotides_no_seq")
    assert "build_no_seq" in summary["command"]
    assert ".partial" not in summary["command"]
    assert Path(summary["command"].split("--config-path ")[1].split()[0]).is_file()
    names = {"model.cif", "modelangelo.log", "summary.json", "report.html", "provenance.json", ".cryoprior.json"}
    assert {p.name for p in out.iterdir()} == names | {
        "modelangelo",
        "hmm_profiles",
        "residues.csv",
        "chains.csv",
        "traces.png",
        "confidence.png",
    }
    assert (out / "model.cif").read_text() == (tmp_path / "made.cif").read_text()
    assert (out / "hmm_profiles" / "A.hmm").is_file()
    assert Manifest.read(out).foreign(out) is None  # type: ignore[union-attr]
    assert "building" in (out / "modelangelo.log").read_text()
    assert len(pd.read_csv(out / "residues.csv")) == 33
    assert (out / "report.html").read_text().count("<img ") == 2
    assert json.loads((out / "summary.json").read_text()) == json.loads(json.dumps(summary))


@pytest.mark.usefixtures("program")
def test_a_finished_build_is_not_run_again_and_another_one_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, map = tmp_path / "out", volume(tmp_path / "m.mrc")
    first = run(Options(map=map, output=out))
    with caplog.at_level(logging.INFO, "cryoprior"):
        again = run(Options(map=map, output=out))
    assert again == json.loads(json.dumps(first))
    assert "not run again" in caplog.text
    assert runs(tmp_path) == ["build_no_seq"]
    with pytest.raises(InputError, match="in use by a run with other rounds; pass another output, or overwrite"):
        run(Options(map=map, output=out, rounds=1))
    other = volume(tmp_path / "other.mrc", shape=(14, 14, 14))
    with pytest.raises(InputError, match="in use by a run with other map"):
        run(Options(map=other, output=out))
    assert (out / "model.cif").is_file()
    (tmp_path / "s.fasta").write_text(">a\nMKVLAA\n")
    summary = run(Options(map=map, output=out, sequence=(tmp_path / "s.fasta",), overwrite=True))
    assert summary["with_sequence"]
    assert (out / "model_raw.cif").is_file()
    assert not (out / "hmm_profiles").exists()
    assert runs(tmp_path) == ["build_no_seq", "build"]
    (out / "model.cif").unlink()
    run(Options(map=map, output=out, sequence=(tmp_path / "s.fasta",)))
    assert len(runs(tmp_path)) == 3


@pytest.mark.usefixtures("program")
def test_a_built_model_outlives_a_page_that_was_cut_off(tmp_path: Path) -> None:
    out, map = tmp_path / "out", volume(tmp_path / "m.mrc")
    first = run(Options(map=map, output=out))
    for name in ("summary.json", "report.html"):
        (out / name).unlink()
    assert run(Options(map=map, output=out)) == json.loads(json.dumps(first))
    assert (out / "report.html").is_file()
    assert runs(tmp_path) == ["build_no_seq"]


@pytest.mark.usefixtures("program")
def test_a_failed_build_leaves_its_log_and_no_model_and_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, map = tmp_path / "out", volume(tmp_path / "m.mrc")
    monkeypatch.setenv("BREAK", "1")
    with pytest.raises(InputError, match=r"(?s)model_angelo failed \(1\); its log is .*no memory left"):
        run(Options(map=map, output=out))
    assert sorted(p.name for p in out.iterdir()) == [".cryoprior.json", "modelangelo.log"]
    monkeypatch.delenv("BREAK")
    assert run(Options(map=map, output=out))["chains"] == 2


def test_without_modelangelo_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    map = volume(tmp_path / "m.mrc")
    with pytest.raises(InputError, match=r"no model_angelo on the PATH; install it from its source repository 3dem/"):
        run(Options(map=map, output=tmp_path / "out"))
    with pytest.raises(InputError, match=r"no .*nothing on the PATH; install it"):
        run(Options(map=map, output=tmp_path / "out", executable=tmp_path / "nothing"))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("program")
def test_maps_that_cannot_be_built_into_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = volume(tmp_path / "good.mrc"), volume(tmp_path / "nan.mrc", np.nan)
    cases = {
        volume(tmp_path / "flat.mrc", 3.0): "every value is 3; expected a map with density",
        volume(tmp_path / "slab.mrc", shape=(8, 12, 12)): "8 x 12 x 12 voxels; expected a cube",
        volume(tmp_path / "nosize.mrc", voxel=0.0): "gives no voxel size",
        bad: "1728 values are NaN or infinite",
        tmp_path / "absent.mrc": "no such file",
        Path(__file__): "MRC mode",
    }
    for path, message in cases.items():
        with pytest.raises(InputError, match=message):
            run(Options(map=path, output=tmp_path / "out"))
    masks = {
        volume(tmp_path / "small.mrc", shape=(10, 10, 10)): "10 x 10 x 10 voxels; expected 12 a side",
        good: "expected a mask, 0 to 1",
    }
    for path, message in masks.items():
        with pytest.raises(InputError, match=message):
            run(Options(map=good, mask=path, output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert not runs(tmp_path)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        run(Options(map=volume(tmp_path / "tiny.mrc", voxel=2.0), output=tmp_path / "out"))
    assert "24 angstrom a side" in caplog.text


def test_options_that_contradict_and_a_used_output_are_refused(tmp_path: Path) -> None:
    map = volume(tmp_path / "m.mrc")
    with pytest.raises(InputError, match="rna or dna without sequence"):
        Options(map=map, output=tmp_path / "out", rna=(tmp_path / "r.fasta",))
    with pytest.raises(InputError, match="bundle and bundle_path"):
        Options(map=map, output=tmp_path / "out", bundle="original", bundle_path=tmp_path)
    with pytest.raises(InputError, match=r"threshold 1\.5"):
        Options(map=map, output=tmp_path / "out", threshold=1.5)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    used = {tmp_path / "thesis": "this program did not mark as its own", map: "a file; expected a folder"}
    for output, message in used.items():
        with pytest.raises(InputError, match=message):
            run(Options(map=map, output=output, overwrite=True))
    with pytest.raises(InputError, match="in use by something else; pass another output"):
        run(Options(map=map, output=tmp_path / "thesis"))
    (tmp_path / "s.fasta").write_text("no fasta")
    with pytest.raises(InputError, match="no FASTA record"):
        run(Options(map=map, output=tmp_path / "out", sequence=(tmp_path / "s.fasta",)))
