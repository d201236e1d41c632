"""Words on the command line that no honest run needs: numbers out of range, texts of operators and solvers."""

from __future__ import annotations

import json
import random
from pathlib import Path

from fuzz.cases import Changes, Right
from fuzz.readers import FEW, QUICK_CLUSTERS, QUICK_MAP, QUICK_REPORT, QUICK_SIGNAL, WORDS

REFUSE, OPEN = Right.REFUSE, Right.OPEN
NO_NUMBER = ("nan", "x", "", "1e400", "--", "None")
NO_COUNT = (*NO_NUMBER, "-1", "0", "1.5")
NO_SIZE = (*NO_NUMBER, "-1", "0", "inf", "-inf")

OPTIONS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "simulate": (
        ("--n", NO_COUNT),
        ("--box", (*NO_COUNT, "7", "100000")),
        ("--pixel-size", NO_SIZE),
        ("--snr", NO_SIZE),
    ),
    "measure": (
        ("--box", (*NO_COUNT, "1")),
        ("--sigma", (*NO_NUMBER, "-1", "inf")),
        ("--limit", NO_COUNT),
        ("--batch", NO_COUNT),
    ),
    "train": (
        ("--steps", (*NO_NUMBER, "-1", "1.5")),
        ("--batch", NO_COUNT),
        ("--width", NO_SIZE),
        ("--learning-rate", tuple(v for v in NO_SIZE if v != "0")),
    ),
    "reconstruct": (
        ("--limit", NO_COUNT),
        ("--batch", NO_COUNT),
        ("--shard-size", NO_COUNT),
        ("--shard", ("0/0", "3/2", "-1/2", "1/x", "1")),
        ("--check-particles", (*NO_COUNT, "1")),
    ),
    "denoise": (
        ("--box", (*NO_COUNT, "1", "63")),
        ("--samples", NO_COUNT),
        ("--solver", ("", "least-squares", "dps", "gaussian:samples=0", "exact:steps=x")),
    ),
    "evaluate": (("--limit", NO_COUNT), ("--pictures", (*NO_NUMBER, "-1")), ("--batch", NO_COUNT)),
    "map": (
        ("--iterations", (*NO_NUMBER, "-1", "1.5")),
        ("--symmetry", ("", "Q5", "C0", "C-1", "D", "C1e9", "C999999999", "C1.5")),
        ("--limit", NO_COUNT),
    ),
    "heterogeneity": (("--clusters", NO_COUNT), ("--seeds", NO_COUNT), ("--starts", NO_COUNT)),
    "compare-maps": (("--level", ("nan", "x", "inf", "")), ("--mask", ("", "/nowhere", "/", "/dev/zero"))),
}

OPERATORS = (
    *(
        "pixel:block=8,masks=24,sets=1000000000",
        "pixel:block=8,masks=1000000000,rows=bernoulli",
        "pixel:block=0,masks=2",
    ),
    *("pixel:block=8,masks=65", "pixel:block=7,masks=2", "pixel:block=8", "pixel:block=8,masks=24,rows=x", "pixel"),
    *(
        "pixel:block=8,masks=24,block=8",
        "pixel:block=8,masks=24,unknown=1",
        "pixel:block=8.5,masks=24",
        "pixel:=,=",
        ":",
    ),
    *("fourier:pattern=uniform,compression=0", "fourier:pattern=uniform,compression=-2", "fourier:compression=nan"),
    *("fourier:pattern=uniform,compression=1e-300", "fourier:pattern=x,compression=2", "fourier:compression=inf"),
    *("fourier:pattern=uniform,compression=2,sets=1000000000", "fourier:pattern=uniform,compression=1e300"),
    *("bin:factor=0", "bin:factor=-1", "crop:box=0", "crop:box=1000000", "quantize:bits=0", "quantize:bits=1000"),
    *("nonsense", "", "pixel:" + "a" * 100_000, "pixel:block=" + "9" * 5000, "identity:x", "../../x", "identity\0"),
)
SOLVERS = (
    *("exact:steps=0", "exact:steps=-1", "exact:steps=nan", "exact:steps=x", "nonsense", "", "exact:unknown=1"),
    *(
        "dct:iterations=-1",
        "total-variation:iterations=x",
        "nesterov:zeta=nan",
        "least-squares:steps=3",
        "dct:strength=inf",
    ),
)


def words(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield command lines."""
    good = folder / "good"
    begun = _begun(good)
    for command, options in OPTIONS.items():
        for option, values in options:
            for value in values:
                line = [*begun[command], option, value]
                yield f"{command} {option} {value[:20]}", REFUSE, lambda path, line=line: _write(path, line)
    for text in OPERATORS:
        line = ["measure", str(good / "sim/particles.star"), "--operator", text]
        yield f"operator {text[:60]}", REFUSE, lambda path, line=line: _write(path, line)
        yield f"describe {text[:60]}", OPEN, lambda path, text=text: _write(path, ["describe", text], output=False)
    for text in SOLVERS:
        line = ["reconstruct", str(good / "y.zarr"), "--prior", str(good / "prior"), "--limit", "2", "--solver", text]
        yield f"solver {text[:60]}", REFUSE, lambda path, line=line: _write(path, line)


def _begun(good: Path) -> dict[str, list[str]]:
    star, y, blob, z = (str(good / name) for name in ("sim/particles.star", "y.zarr", "blob.mrc", "z.pkl"))
    return {
        "simulate": ["simulate", blob, *FEW],
        "measure": ["measure", star, "--operator", "pixel:block=8,masks=24,rows=hadamard"],
        "train": ["train", star, "--dry-run", "--width", "0.25", "--cpu"],
        "reconstruct": ["reconstruct", y, "--solver", "least-squares"],
        "denoise": ["denoise", star, *QUICK_SIGNAL],
        "evaluate": ["evaluate", str(good / "recon"), "--reference", star, *QUICK_REPORT],
        "map": ["map", star, *QUICK_MAP],
        "heterogeneity": ["heterogeneity", z, z, *QUICK_CLUSTERS],
        "compare-maps": ["compare-maps", blob, blob],
    }


def _write(path: Path, line: list[str], *, output: bool = True) -> None:
    (path / WORDS).write_text(json.dumps([*line, *(["-o", str(path / "out")] if output else [])]))
