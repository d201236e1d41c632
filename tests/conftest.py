"""What all tests share: shapes are checked at run time, nothing goes to the network, and where the real data lie."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from kit import signatures

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# CRYOPRIOR_TYPECHECK=0 turns it off
if os.environ.get("CRYOPRIOR_TYPECHECK", "1") != "0":
    signatures.install()

pytest_plugins = ["kit.dense", "kit.oracle"]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real particles and structures, or skip with the reason."""
    folder = Path(os.environ.get("CRYOPRIOR_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist; set CRYOPRIOR_SHARED_DATA")
    return folder


@pytest.fixture(autouse=True)
def _signatures_checked() -> None:
    signatures.renew()


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test opened a connection to {address}; tests are offline")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture
def cryodrgn_stand_in(tmp_path: Path) -> Path:
    """Return an executable that takes cryoDRGN's place: it checks what it is given, and its latents are draws."""
    path = tmp_path / "cryodrgn"
    path.write_text(f"#!{sys.executable}\n" + (ROOT / "tests" / "kit" / "cryodrgn_stand_in.py").read_text())
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def tiny_prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a prior for boxes of 32 and 64 that nothing has trained: the best linear estimate."""
    import dataclasses

    import numpy as np
    import torch

    from cryoprior.image.spectrum import shell_index
    from cryoprior.prior.checkpoint import build_network, save_prior
    from cryoprior.prior.config import PriorConfig
    from cryoprior.prior.operator_family import OperatorFamily
    from cryoprior.prior.signal import Spectra

    def spectra(box: int) -> Spectra:
        shell = np.arange(int(shell_index(box).max()) + 1) / (box / 2)
        return Spectra(
            tuple((0.6 / (1 + (8 * shell) ** 2)).tolist()), tuple((1.2 - 0.4 * np.minimum(shell, 1)).tolist())
        )

    folder = tmp_path_factory.mktemp("tiny-prior")
    curves, operators = {32: spectra(32), 64: spectra(64)}, dataclasses.asdict(OperatorFamily())
    config = PriorConfig("signal", (8, 32), 1, curves, {}, (5.0, 5.0), operators=operators)
    torch.manual_seed(0)
    save_prior(folder, build_network(config), config)
    return folder
