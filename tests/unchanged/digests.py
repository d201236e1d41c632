"""Digests of what the commands write on fixed seeds: two versions that agree on all of them compute the same.

    python tests/unchanged/digests.py           # prints them
    python tests/unchanged/digests.py --write   # keeps them as known.json, which the test beside compares with

A result is kept twice: as the digest of its bytes, equal on one kind of machine only, and as four numbers (mean,
deviation, largest magnitude, projection onto fixed noise), equal everywhere to rounding. Only the command line is
used, so that the script runs on any version.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import mrcfile
import numpy as np
import pandas as pd

KNOWN = Path(__file__).with_name("known.json")
BOX = 32
TIMES = ("second", "memory", "written")
OPERATORS = {
    "pixel": "pixel:block=8,masks=24,rows=hadamard,sets=4",
    "bernoulli": "pixel:block=16,masks=96,rows=bernoulli",
    "fourier": "fourier:pattern=uniform,compression=2,symmetry=hermitian,sets=4",
    "ring": "fourier:pattern=ring,compression=2.5,symmetry=published",
    "spoke": "fourier:pattern=spoke,compression=2.5,symmetry=hermitian",
    "identity": "identity",
    "bin": "bin:factor=2",
    "crop": "crop:size=16",
    "quantize": "quantize:bits=4",
}
SOLVERS = {
    "least-squares": "least-squares",
    "gaussian": "gaussian",
    "total-variation": "total-variation",
    "wavelet": "wavelet",
    "dct": "dct",
    "exact": "exact:steps=4",
    "exact-sample": "exact:estimate=sample,steps=3",
    "posterior": "posterior",
    "posterior-sample": "posterior:estimate=sample",
    "nesterov": "nesterov:steps=12",
    "dps": "dps:steps=6",
    "ddrm": "ddrm:steps=4",
    "ddnm": "ddnm:steps=6",
    "diffpir": "diffpir:steps=6",
    "pigdm": "pigdm:steps=6",
    "dmplug": "dmplug:iterations=3",
}
BENCH_MAPS = """
table = "maps"
title = "small"
prior_weights = [1.0, 0.5]
[simulate]
structures = ["blobs.mrc"]
n = 16
box = 32
pixel_size = 5.0
snr = 5.0
[[cells]]
name = "half"
operator = "fourier:compression=2,sets=4"
series = "fourier"
[[cells]]
name = "K=8"
operator = "pixel:block=8,masks=16,rows=hadamard,sets=4"
series = "pixel"
[[methods]]
name = "wiener"
solver = "gaussian"
prior = "prior"
"""
BENCH_IMAGES = """
table = "images"
title = "small"
lpips = "off"
prior = "prior"
seeds = [0, 1]
[simulate]
structures = ["blobs.mrc"]
n = 6
box = 32
pixel_size = 5.0
snr = 1.0
[[pixel]]
block = 8
compressions = [4.0]
[[fourier]]
pattern = "uniform"
compressions = [2.5]
[[methods]]
name = "least squares"
solver = "least-squares"
[[methods]]
name = "wiener"
solver = "gaussian"
ours = true
[[methods]]
name = "exact sample"
solver = "exact:estimate=sample,steps=3"
ours = true
[[methods]]
name = "DDRM, mean of 2"
solver = "ddrm:steps=3"
samples = 2
particles = 4
"""


def run(*words: object) -> None:
    """Run one command in this process, its output thrown away."""
    from cryoprior import cli

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            cli.main([*map(str, words)])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"{' '.join(map(str, words))}: exit {end.code}\n{out.getvalue()}") from None


def walk(folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of every result, all commands run in this empty folder."""
    os.chdir(folder)
    write_blobs(Path("blobs.mrc"), 0)
    write_blobs(Path("other.mrc"), 1)
    run(
        *[
            "simulate",
            "blobs.mrc",
            "other.mrc",
            "-o",
            "sim",
            "--n",
            "24",
            "--box",
            "32",
            "--pixel-size",
            "5",
            "--snr",
            "1",
            "--seed",
            "3",
        ]
    )
    for name in ("particles", "clean"):
        yield f"simulate/{name}", mrc(Path("sim", f"{name}.mrcs"))
    for name, operator in OPERATORS.items():
        run("measure", "sim/particles.star", "-o", f"{name}.zarr", "--operator", operator, "--sigma", 0.01, "--seed", 5)
        yield f"measure/{name}", stored(Path(f"{name}.zarr"))
    run(
        *[
            "measure",
            "sim/particles.star",
            "-o",
            "half.zarr",
            "--dtype",
            "float16",
            "--box",
            "24",
            "--seed",
            "5",
            "--operator",
        ],
        "pixel:block=8,masks=24,rows=hadamard,sets=2",
    )
    yield "measure/float16", stored(Path("half.zarr"))
    yield from trained()
    for name, solver in SOLVERS.items():
        for kind in ("pixel", "fourier"):
            run(
                *f"reconstruct {kind}.zarr -o recon-{name}-{kind} --prior prior --limit 3 --threads 1".split(),
                *("--solver", solver, "--seed", 7, "--contrast", "bright"),
            )
            yield f"reconstruct/{name}/{kind}", stack(Path(f"recon-{name}-{kind}"))
    yield from embedded()
    yield from denoised()
    yield from judged()
    yield from mapped()
    yield from asked()
    yield from planned()
    for kind, text in (("maps", BENCH_MAPS), ("images", BENCH_IMAGES)):
        Path(f"{kind}.toml").write_text(text)
        run("bench", f"{kind}.toml", "-o", f"bench-{kind}", "--threads", 1)
        yield f"bench/{kind}", table(Path(f"bench-{kind}", "rows.csv"))


def trained() -> Iterator[tuple[str, Any]]:
    common = "--steps 20 --every 10 --batch 4 --width 0.25 --precision no --threads 1 --cpu --seed 1 --validation 0.2"
    run(*f"train sim/particles.star --clean sim/clean.star -o prior --operator-aware {common}".split())
    yield "train/weights", weights(Path("prior"))
    yield "train/curve", table(Path("prior/curve.csv"))
    run(*f"train pixel.zarr -o measured-prior {common}".split())
    yield "train/measured", weights(Path("measured-prior"))
    run(*f"train sim/particles.star -o ddpm --preset paper-128 --box 32 {common} --steps 3".split())
    yield "train/ddpm", weights(Path("ddpm"))


def embedded() -> Iterator[tuple[str, Any]]:
    run(
        *[
            "simulate",
            "blobs.mrc",
            "-o",
            "big",
            "--n",
            "16",
            "--box",
            "64",
            "--pixel-size",
            "5",
            "--snr",
            "0.5",
            "--seed",
            "4",
        ]
    )
    run(*["measure", "big/particles.star", "-o", "big.zarr", "--operator"], "pixel:block=16,masks=64,rows=hadamard")
    for solver in ("auto", "exact:steps=3"):
        run(*f"reconstruct big.zarr -o embedded-{solver[:4]} --limit 2 --threads 1 --solver {solver}".split())
        yield f"reconstruct/embedded/{solver}", stack(Path(f"embedded-{solver[:4]}"))


def denoised() -> Iterator[tuple[str, Any]]:
    """Yield signals of recorded images with their deviation, and what withheld numbers say of the prior."""
    common = "--prior prior --threads 1 --contrast bright --seed 7"
    run(*f"denoise sim/particles.star -o denoised --check {common}".split())
    yield "denoise/images", stack(Path("denoised"))
    yield "denoise/check", table(Path("denoised/check.csv"))


def judged() -> Iterator[tuple[str, Any]]:
    run(
        *[
            "reconstruct",
            "pixel.zarr",
            "-o",
            "recon",
            "--prior",
            "prior",
            "--threads",
            "1",
            "--solver",
            "exact:steps=3",
            "--contrast",
            "bright",
        ]
    )
    run(
        *[
            "evaluate",
            "recon",
            "--reference",
            "sim/particles.star",
            "--clean",
            "sim/clean.star",
            "-o",
            "report",
            "--lpips",
            "off",
        ]
    )
    yield "evaluate/summary", numbers(json.loads(Path("report/summary.json").read_text()))


def mapped() -> Iterator[tuple[str, Any]]:
    for name, words in {
        "full": "sim/particles.star",
        "pixel": "pixel.zarr",
        "fourier": "fourier.zarr",
        "reconstruction": "recon/particles.star --prior-weight 0.5",
    }.items():
        run("map", *words.split(), "-o", f"map-{name}", "--threads", 1)
        yield f"map/{name}", mrc(Path(f"map-{name}/map.mrc"))
        yield f"map/{name}/half", mrc(next(Path(f"map-{name}").glob("*half1*.mrc")))
        yield f"map/{name}/summary", numbers(json.loads(Path(f"map-{name}/summary.json").read_text()))
    run(*["compare-maps", "map-full/map.mrc", "map-pixel/map.mrc", "-o", "compared"])
    yield "compare-maps", numbers(json.loads(Path("compared/summary.json").read_text()))


def asked() -> Iterator[tuple[str, Any]]:
    """Yield what the embedded map prior makes of half maps, and what they say of it."""
    run(*["map", "sim/particles.star", "-o", "map-asked", "--map-prior", "default", "--threads", "1"])
    for name in ("map_prior", "map_gated", "half2_gated"):
        yield f"map/asked/{name}", mrc(Path(f"map-asked/{name}.mrc"))
    yield "map/asked/curves", table(Path("map-asked/fsc.csv"))
    run(*["audit", "fourier.zarr", "-o", "audited", "--map-prior", "default", "--threads", "1"])
    yield "audit/gated", mrc(Path("audited/map_gated.mrc"))
    yield "audit/noise", mrc(Path("audited/noise_prior.mrc"))
    yield "audit/verdict", table(Path("audited/verdict.csv"))
    yield "audit/tests", numbers(json.loads(Path("audited/summary.json").read_text())["tests"])
    halves = [f"--half{i} map-full/half{i}.mrc --prior-half{i} map-asked/half{i}_prior.mrc" for i in (1, 2)]
    run(*f"audit {' '.join(halves)} -o audited-maps --threads 1".split())
    yield "audit/maps/verdict", table(Path("audited-maps/verdict.csv"))


def planned() -> Iterator[tuple[str, Any]]:
    """Yield what can be expected of candidates, from signal over noise of images."""
    Path("snr.csv").write_text("angstrom,snr\n250,2.5\n60,1.5\n30,0.5\n20,0.25\n16,0.125\n")
    size = ["--box", 32, "--pixel-size", 8, "--n", 900]
    run("plan", "--spectrum", "snr.csv", *size, "-o", "plan", "--threads", 1)
    yield "plan/candidates", table(Path("plan/candidates.csv"))
    yield "plan/spectrum", table(Path("plan/spectrum.csv"))


def write_blobs(path: Path, seed: int) -> None:
    rng, axis = np.random.default_rng(seed), np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres = rng.normal(scale=4, size=(6, 3))
    volume = sum(np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 12) for a, b, c in centres)
    with mrcfile.new(path) as file:
        file.set_data(np.asarray(volume, np.float32))
        file.voxel_size = 5.0


def mrc(path: Path) -> np.ndarray:
    return np.array(mrcfile.read(path))


def stack(folder: Path) -> np.ndarray:
    """Return all images of a reconstruction, shard after shard."""
    return np.concatenate([mrc(path) for path in sorted(folder.rglob("*.mrcs"))])


def stored(folder: Path) -> np.ndarray:
    import zarr

    return np.asarray(zarr.open_group(folder, mode="r")["y"][:])


def weights(folder: Path) -> np.ndarray:
    from safetensors.numpy import load_file

    found = load_file(folder / "model.safetensors")
    return np.concatenate([found[name].ravel() for name in sorted(found)])


def table(path: Path) -> dict[str, Any]:
    """Return every column of a CSV file but those of times and memory."""
    rows = pd.read_csv(path)
    return {name: rows[name].tolist() for name in rows.columns if not any(part in name for part in TIMES)}


def numbers(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return the numbers of a summary by their place in it, without times."""
    if isinstance(value, dict):
        found = [numbers(item, f"{prefix}{key}.") for key, item in value.items() if not any(t in key for t in TIMES)]
        return {key: item for part in found for key, item in part.items()}
    if isinstance(value, list):
        return numbers({str(place): item for place, item in enumerate(value)}, prefix)
    return {prefix[:-1]: value} if isinstance(value, (int, float)) else {}


def described(value: Any) -> dict[str, Any]:
    """Return the digest of a result, and four numbers of it; of a single number itself."""
    if isinstance(value, np.ndarray):
        data, content = value.ravel().astype(np.float64), value.tobytes()
    else:
        items = value if isinstance(value, list) else [value]
        content = json.dumps(items).encode()
        data = np.array([float(item) for item in items if isinstance(item, (int, float)) and np.isfinite(item)])
    digest = hashlib.sha256(content).hexdigest()[:16]
    if len(data) < 2:
        return {"digest": digest, "numbers": data.tolist()}
    noise = np.random.default_rng(0).standard_normal(len(data)) / len(data) ** 0.5
    four = (data.mean(), data.std(), np.abs(data).max(), data @ noise)
    return {"digest": digest, "numbers": [float(f"{number:.9g}") for number in four]}


def parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a result under its name, or each column of a table and each number of a summary."""
    if isinstance(value, dict):
        yield from ((f"{name}/{key}", item) for key, item in value.items())
    else:
        yield name, value


def machine() -> str:
    """Return what the bytes of a result depend on beside the program."""
    import torch

    versions = f"torch {torch.__version__.partition('+')[0]}, numpy {np.__version__}"
    routines = f"{'-'.join(platform.libc_ver())}, BLAS for {os.environ.get('OPENBLAS_CORETYPE', 'what it finds')}"
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {versions}, {_processor()}, {routines}"


def _processor() -> str:
    """Return name, family, model and a digest of the instruction sets: libraries choose their routines by these."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().partition("\n\n")[0].splitlines() if path.is_file() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    sets = hashlib.sha256(" ".join(sorted(facts.get("flags", "").split())).encode()).hexdigest()[:8]
    return ", ".join(facts.get(key, "?") for key in ("model name", "cpu family", "model")) + f", {sets}"


def digests() -> dict[str, Any]:
    """Return the machine, and the digest and four numbers of every result."""
    import torch

    torch.set_num_threads(1)
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        try:
            results = {
                name: described(item) for whole, value in walk(Path(folder)) for name, item in parts(whole, value)
            }
        finally:
            os.chdir(here)
    return {"machine": machine(), "results": results}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print the digests of what the commands write on fixed seeds.")
    parser.add_argument("--write", action="store_true", help="keep them as known.json")
    made = json.dumps(digests(), indent=1)
    if parser.parse_args().write:
        KNOWN.write_text(made + "\n")
    else:
        print(made)
