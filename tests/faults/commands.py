"""The commands that faults are injected into, on inputs small enough that each takes a fraction of a second."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Run = Callable[[Sequence[str]], None]
"""Runs a command that must succeed."""

BOX, N, PIXEL = 16, 12, 8.0
OPERATOR = "pixel:block=8,masks=24,rows=hadamard,sets=2"
OTHERWISE = {"measure": ("--sigma", "0.5"), "convert": ("--limit", "5"), "reconstruct first shard": ()}
"""With what words earlier results are made that differ from the later ones; another seed for the rest."""
PLAN = """table = "images"
title = "faults"
star = "{good}/sim/particles.star"
clean = "{good}/sim/clean.star"
particles = 4
lpips = "off"
seeds = [0]
sigma = 0.0
[[pixel]]
block = 8
compressions = [2.5]
rows = ["hadamard"]
[[methods]]
name = "least squares"
solver = "least-squares"
ours = true
[[methods]]
name = "dct"
solver = "dct:iterations=3"
"""


@dataclass(frozen=True)
class Case:
    """A command line that writes ``out``, and how a further run goes on.

    words: without the output. begin: a folder to start from, copied to the output; None to start from nothing.
    then: a further command that the result needs, with its words and ``out``: the last shard, which merges.
    """

    name: str
    words: tuple[str, ...]
    begin: Path | None = None
    then: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """Return the command's name."""
        return self.words[0] if self.words[0] != "model" else " ".join(self.words[:2])

    def line(self, out: Path, *more: str) -> list[str]:
        """Return the command line."""
        return [*self.words, "-o", str(out), *more]

    def then_line(self, out: Path) -> list[str]:
        """Return the further command line."""
        return [*self.then, "-o", str(out)]


def cases(good: Path) -> list[Case]:
    """Return all cases; what they read lies in ``good``, see :class:`Inputs`."""
    sim, y, recon = good / "sim" / "particles.star", good / "y.zarr", good / "recon"
    reconstruct = ("reconstruct", str(y), "--solver", "least-squares", "--shard-size", "4")
    samples = ("reconstruct", str(y), "--solver", "exact:steps=2", "--samples", "2", "--prior", str(good / "prior"))
    train = ("train", str(sim), "--width", "0.25", "--steps", "4", "--every", "2", "--batch", "2", "--cpu")
    clusters = ("--embedding", "pca", "--seeds", "1", "--starts", "1", "--clusters", "2")
    fresh = [
        Case("simulate", ("simulate", str(good / "blob.mrc"), "--n", "3", "--box", "16", "--pixel-size", "8")),
        Case("measure", ("measure", str(sim), "--operator", OPERATOR)),
        Case("measure float16", ("measure", str(sim), "--operator", OPERATOR, "--dtype", "float16", "--sigma", ".1")),
        Case("convert", ("convert", str(sim), "--box", "12")),
        Case("train", train),
        Case("reconstruct", reconstruct),
        Case("reconstruct samples", (*samples, "--shard-size", "8")),
        Case("reconstruct first shard", (*reconstruct, "--shard", "0/2"), then=(*reconstruct, "--shard", "1/2")),
        Case("reconstruct last shard", (*reconstruct, "--shard", "1/2"), good / "begun" / "first"),
        Case("evaluate", ("evaluate", str(recon), "--reference", str(sim), "--lpips", "off", "--pictures", "1")),
        Case("map", ("map", str(sim), "--passes", "0")),
        Case("compare-maps", ("compare-maps", str(good / "blob.mrc"), str(good / "other.mrc"))),
        Case("audit", ("audit", *_halves("half", good), *_halves("prior-half", good))),
        Case("plan", ("plan", *_spectrum(good), "--candidate", "quantize:bits=1")),
        Case("poses", ("poses", "--estimated", str(sim), "--truth", str(sim))),
        Case("heterogeneity", ("heterogeneity", str(good / "z.pkl"), str(good / "z.pkl"), *clusters)),
        Case("model score", ("model", "score", str(good / "model.pdb"), str(good / "model.pdb"), "--deposited")),
        Case("describe", ("describe", str(y))),
        Case("bench", ("bench", str(good / "plan.toml"))),
    ]
    replaced = ("simulate", "measure", "convert", "train", "reconstruct", "map", "evaluate")
    over = [
        Case(f"{case.name} again", (*case.words, "--overwrite"), good / "begun" / case.name)
        for case in fresh
        if case.name in replaced
    ]
    return fresh + over


def _spectrum(good: Path) -> tuple[str, ...]:
    """Return the words that give a plan the signal over noise of images."""
    return ("--spectrum", str(good / "snr.csv"), "--box", "32", "--pixel-size", "8", "--n", "900")


def _halves(name: str, good: Path) -> tuple[str, ...]:
    """Return the words that give the two blobs as maps of the halves: a prior that leaves them as they are."""
    return (f"--{name}1", str(good / "blob.mrc"), f"--{name}2", str(good / "other.mrc"))


class Inputs:
    """What cases read, each made when a case that is to run needs it."""

    def __init__(self, good: Path, run: Run) -> None:
        self.good, self.run = good, run
        self.by_name = {case.name: case for case in cases(good)}

    def make_for(self, case: Case) -> None:
        """Write all that a case reads, and what lies in its output before."""
        for word in (*case.words, *([str(case.begin)] if case.begin else [])):
            if word.startswith(f"{self.good}/"):
                self._make(Path(word).relative_to(self.good))

    def _make(self, path: Path) -> None:
        place = self.good / (path if path.parts[0] == "begun" else path.parts[0])
        if place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.parts[0] == "begun":
            name = "reconstruct first shard" if path.name == "first" else path.name
            self.make_for(self.by_name[name])
            self.run(self.by_name[name].line(place, *OTHERWISE.get(name, ("--seed", "5"))))
        elif path.suffix == ".mrc":
            _write_blob(place, (0, 0, 0) if path.stem == "blob" else (1, 2, -1))
        elif path.name == "snr.csv":
            place.write_text("angstrom,snr\n250,2.5\n60,1.5\n30,0.5\n20,0.25\n16,0.125\n")
        elif path.name == "plan.toml":
            self._make(Path("sim"))
            place.write_text(PLAN.format(good=self.good))
        elif path.name == "z.pkl":
            rng = np.random.default_rng(1)
            latents = np.concatenate([rng.normal(size=(10, 3)), 5 + rng.normal(size=(10, 3))])
            place.write_bytes(latents.astype(np.float32).dumps())
        elif path.name == "model.pdb":
            line = "ATOM  {0:5d}  CA  ALA A{0:4d}    {1:8.3f}{2:8.3f}   0.000  1.00 50.00           C"
            place.write_text("\n".join([*(line.format(i + 1, 3.8 * i, i % 2) for i in range(24)), "END"]) + "\n")
        else:
            self._run_for(place)

    def _run_for(self, place: Path) -> None:
        sim = self.good / "sim" / "particles.star"
        sizes = ("--n", str(N), "--box", str(BOX), "--pixel-size", str(PIXEL), "--snr", "0.5")
        made = {
            "sim": Case("sim", ("simulate", str(self.good / "blob.mrc"), *sizes)),
            "y.zarr": Case("y", ("measure", str(sim), "--operator", OPERATOR)),
            "recon": self.by_name["reconstruct"],
            "prior": self.by_name["train"],
        }[place.name]
        self.make_for(made)
        self.run(made.line(place))


def _write_blob(path: Path, centre: tuple[int, int, int]) -> None:
    from cryoprior.io import write_map

    place = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2 - np.reshape(centre, (3, 1, 1, 1))
    write_map(path, np.exp(-(place**2).sum(0) / 12).astype(np.float32), PIXEL)


def start_from(begin: Path | None, out: Path) -> None:
    """Copy what an earlier run left to the output."""
    if begin is not None:
        shutil.copytree(begin, out)
