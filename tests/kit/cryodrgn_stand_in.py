"""A stand-in for cryoDRGN's executable: checks what it is given, and writes files as a training of it does."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

VERSION = os.environ.get("STAND_IN_VERSION", "4.3.1")
FIRST = 1 if int(VERSION[0]) >= 4 else 0


def read(path: Path) -> Any:
    with path.open("rb") as file:
        return pickle.load(file)


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser("cryodrgn train_vae", allow_abbrev=False)
    words.add_argument("particles", type=Path)
    words.add_argument("--outdir", type=Path, required=True)
    words.add_argument("--poses", type=Path, required=True)
    words.add_argument("--ctf", type=Path)
    words.add_argument("--load", type=Path)
    for name in ("zdim", "num-epochs", "batch-size", "enc-layers", "enc-dim", "dec-layers", "dec-dim", "seed"):
        words.add_argument(f"--{name}", type=int, required=True)
    words.add_argument("--lr", type=float, required=True)
    words.add_argument("--uninvert-data", action="store_true")
    words.add_argument("--no-amp", action="store_true")
    if FIRST:
        words.add_argument("--shuffle-seed", type=int)
        words.add_argument("--no-analysis", action="store_true")
    return words


def train(given: argparse.Namespace) -> None:
    with given.particles.open("rb") as file:
        n = int(np.frombuffer(file.read(12), np.int32)[2])
    assert read(given.poses)[0].shape == (n, 3, 3)
    assert given.ctf is None or read(given.ctf).shape == (n, 9)
    given.outdir.mkdir(parents=True, exist_ok=True)
    (given.outdir / "config.yaml").write_text(f"seed: {given.seed}\nversion: {VERSION}\n")
    start = FIRST
    if given.load:
        start = read(given.load)["epoch"] + 1
        assert start < given.num_epochs + FIRST, "the number of epochs to train must be greater"
    stop = int(os.environ.get("STAND_IN_STOP", given.num_epochs + FIRST))
    z = np.random.default_rng(given.seed).normal(size=(n, given.zdim)).astype(np.float32)
    for epoch in range(start, given.num_epochs + FIRST):
        with (given.outdir / f"weights.{epoch}.pkl").open("wb") as file:
            pickle.dump({"epoch": epoch}, file)
        if epoch == stop:  # cut off while it writes
            (given.outdir / f"z.{epoch}.pkl").write_bytes(pickle.dumps(z)[:50])
            print("the queue took the machine away")
            sys.exit(9)
        with (given.outdir / f"z.{epoch}.pkl").open("wb") as file:
            pickle.dump(z, file)
            pickle.dump(-np.ones_like(z), file)
        print(f"# =====> Epoch: {epoch}")


if __name__ == "__main__":
    if sys.argv[1] == "train_vae":
        train(parser().parse_args(sys.argv[2:]))
    else:
        sys.exit("unknown command")
