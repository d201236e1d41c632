from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from cryoprior.housekeeping import doctor


def test_missing_parts_are_named_with_their_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "installed_version", lambda name: None)
    monkeypatch.setenv("CRYOPRIOR_CACHE", str(tmp_path))
    report = doctor.run(doctor.Options())
    assert "apt-get install relion" in report["programs"]["relion"]
    assert "not found" in report["lpips_weights"]


def test_what_is_here_is_shown() -> None:
    report = doctor.run(doctor.Options())
    assert report["packages"]["torch"] == torch.__version__
    assert report["device"]["threads"] >= 1
    assert report["memory_gib"] > 0
