from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.output import record
from cryoprior.output.record import file_digest, to_json, write_provenance, write_summary


@dataclass(frozen=True)
class Options:
    particles: Path
    pixel_size: float | None = None


def test_the_record_names_inputs_by_digest(tmp_path: Path) -> None:
    (tmp_path / "in.star").write_text("data_")
    path = write_provenance(tmp_path, "measure", Options(tmp_path / "in.star"), [tmp_path / "in.star"], 3)
    written = json.loads(path.read_text())
    assert written["command"] == "measure"
    assert written["seed"] == 3
    assert written["options"] == {"particles": str(tmp_path / "in.star"), "pixel_size": None}
    assert written["inputs"][0]["digest"] == file_digest(tmp_path / "in.star")
    assert written["versions"]["cryoprior"] == cryoprior.__version__
    assert written["versions"]["torch"] == torch.__version__


def test_a_folder_has_a_digest_that_follows_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "y.zarr"
    folder.mkdir()
    digests = []
    for text in ("{}", "[]"):
        (folder / "zarr.json").write_text(text)
        written = json.loads(write_provenance(tmp_path, "x", {}, [folder]).read_text())
        digests.append(written["inputs"][0]["digest"])
    assert digests[0] != digests[1]


def test_large_files_are_sampled_to_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "WHOLE_FILE_LIMIT", 0)
    monkeypatch.setattr(record, "BLOCK", 10)
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
