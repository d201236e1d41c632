from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.output import record as provenance
from cryoprior.output.folder import claim_output
from cryoprior.output.record import file_digest, to_json, write_provenance, write_summary


def test_the_output_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with claim_output(target) as partial:
        (partial / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert [p.name for p in target.parent.iterdir()] == ["out"]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half way"), claim_output(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_use_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "a").write_text("old")
    with (
        pytest.raises(InputError, match=r"out: the output is in use; pass another output, or overwrite"),
        claim_output(target),
    ):
        pass
    with pytest.raises(RuntimeError), claim_output(target, overwrite=True):
        raise RuntimeError
    assert (target / "a").read_text() == "old"
    with claim_output(target, overwrite=True) as partial:
        (partial / "b").write_text("new")
    assert [p.name for p in target.iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    with claim_output(tmp_path) as partial:
        (partial / "a").write_text("1")
    assert (tmp_path / "a").exists()


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    with claim_output(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
        with pytest.raises(InputError, match="another run is writing it"), claim_output(tmp_path / "out"):
            pass
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".out.partial" / "shards").mkdir(parents=True)
    with claim_output(tmp_path / "out") as partial:
        assert list(partial.iterdir()) == []


@dataclass(frozen=True)
class Options:
    particles: Path
    pixel_size: float | None = None


def test_the_record_names_inputs_by_digest(tmp_path: Path) -> None:
    (tmp_path / "in.star").write_text("data_")
    path = write_provenance(tmp_path, "measure", Options(tmp_path / "in.star"), [tmp_path / "in.star"], 3)
    record = json.loads(path.read_text())
    assert record["command"] == "measure"
    assert record["seed"] == 3
    assert record["options"] == {"particles": str(tmp_path / "in.star"), "pixel_size": None}
    assert record["inputs"][0]["digest"] == file_digest(tmp_path / "in.star")
    assert record["versions"]["cryoprior"] == cryoprior.__version__
    assert record["versions"]["torch"] == torch.__version__


def test_a_folder_has_a_digest_that_follows_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "y.zarr"
    folder.mkdir()
    digests = []
    for text in ("{}", "[]"):
        (folder / "zarr.json").write_text(text)
        record = json.loads(write_provenance(tmp_path, "x", {}, [folder]).read_text())
        digests.append(record["inputs"][0]["digest"])
    assert digests[0] != digests[1]


def test_large_files_are_sampled_to_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "WHOLE_FILE_LIMIT", 0)
    monkeypatch.setattr(provenance, "BLOCK", 10)
    path = tmp_path / "stack.mrcs"
    digests = set()
    for at in (None, 0, 999):
        data = bytearray(1000)
        if at is not None:
            data[at] = 1
        path.write_bytes(data)
        digests.add(file_digest(path))
    assert len(digests) == 3
    assert all(d.startswith("sha256-sampled:") for d in digests)


def test_a_summary_is_plain_json(tmp_path: Path) -> None:
    summary = {
        "x": np.float32(0.5),
        "y": torch.tensor([1, 2]),
        "nan": float("nan"),
        "p": Path("a"),
        "t": (1,),
    }
    found = json.loads(write_summary(tmp_path, summary).read_text())
    assert found == {"x": 0.5, "y": [1, 2], "nan": None, "p": "a", "t": [1]}
    assert json.loads(to_json({"ok": np.bool_(True)})) == {"ok": True}
