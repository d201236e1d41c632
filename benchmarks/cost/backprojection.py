"""Speed of back-projection: seconds that one more particle costs, ours against relion_reconstruct.

The time of many particles less that of fewer, over their difference: what does not grow with the particles cancels.
Both read star file and stack, correct the CTF and end in a map; ours makes half maps too, at no cost a particle, and
RELION makes none. Particles are white noise with random poses and defocus, which takes the time that any take.

    python -m benchmarks.cost.backprojection [--boxes 64 128 256] [--repeats 3]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write

from cryoprior.external.relion import RELION, relion_version
from cryoprior.io import StackWriter, read_particles, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps.backprojection import MapSettings, backproject_maps
from cryoprior.maps.sources import FullParticles

SCRIPT = "cost.backprojection"
COUNTS = {64: (500, 2000), 128: (500, 2000), 256: (200, 800)}
"""Particles of the shorter and of the longer run; fewer at 256, where the map itself takes most of the time."""
AT_MOST = 3.0
PIXEL_SIZE, BATCH = 2.0, 256
PACKAGES = ("cryoprior", "torch", "numpy")
OURS, GRIDDING, PLAIN = "cryoprior map", "relion_reconstruct --ctf", "relion_reconstruct --ctf --skip_gridding"


def write_particles(folder: Path, n: int, box: int) -> Path:
    """Return the star file of n particles of noise, written once."""
    star = folder / f"noise-{box}-{n}.star"
    if star.is_file():
        return star
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with StackWriter(star.with_suffix(".mrcs"), n, box, PIXEL_SIZE) as writer:
        for start in range(0, n, BATCH):
            writer.write(rng.standard_normal((min(BATCH, n - start), box, box), dtype=np.float32))
    u = rng.uniform(8e3, 25e3, n)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{star.stem}.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    table[list(ANGLES)] = np.stack(
        [rng.uniform(-180, 180, n), np.degrees(np.arccos(rng.uniform(-1, 1, n))), u % 360], 1
    )
    table[list(ORIGINS)] = rng.normal(scale=4, size=(n, 2))
    table["rlnDefocusU"], table["rlnDefocusV"], table["rlnDefocusAngle"] = u, u - 300, 30.0
    optics = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "one", "rlnVoltage": 300.0, "rlnSphericalAberration": 2.7}
    optics |= {"rlnAmplitudeContrast": 0.1, "rlnImagePixelSize": PIXEL_SIZE, "rlnImageSize": box}
    write_star(star, table, pd.DataFrame([optics | {"rlnImageDimensionality": 2}]))
    return star


def ours(star: Path) -> None:
    """Make half maps and map as ``cryoprior map`` does, reading included."""
    backproject_maps(FullParticles(read_particles(star)), MapSettings())


def relion(star: Path, *more: str) -> None:
    """Make the map with RELION, padding 2, one thread."""
    output = star.with_suffix(".relion.mrc")
    words = ["relion_reconstruct", "--i", star.name, "--o", output.name, "--ctf", "--pad", "2", *more]
    RELION.run(words, folder=star.parent, log=star.with_suffix(".log"))
    output.unlink()


PROGRAMS: dict[str, Callable[[Path], None]] = {
    OURS: ours,
    GRIDDING: relion,
    PLAIN: lambda star: relion(star, "--skip_gridding"),
}


def measure(stars: Sequence[Path], repeats: int) -> dict[str, list[float]]:
    """Return the median seconds of every program on every file; the programs take turns."""
    taken: dict[str, list[list[float]]] = {name: [[] for _ in stars] for name in PROGRAMS}
    for _ in range(repeats):
        for place, star in enumerate(stars):
            for name, program in PROGRAMS.items():
                start = time.perf_counter()
                program(star)
                taken[name][place].append(time.perf_counter() - start)
                progress(f"{star.stem} {name} {taken[name][place][-1]:.2f} s")
    return {name: [median(times) for times in columns] for name, columns in taken.items()}


def row(box: int, counts: tuple[int, int], seconds: dict[str, list[float]]) -> list[str | int]:
    """Return the line of one box: what a particle costs in each program, the ratios, and the whole runs."""
    cost = {name: 1e3 * (long - short) / (counts[1] - counts[0]) for name, (short, long) in seconds.items()}
    ratios = [cost[OURS] / cost[name] for name in (GRIDDING, PLAIN)]
    met = "met" if max(ratios) <= AT_MOST else "NOT MET"
    line: list[str | int] = [box, f"{counts[1]} - {counts[0]}", *(f"{cost[name]:.2f}" for name in PROGRAMS)]
    line += [*(f"{ratio:.2f}" for ratio in ratios), f"{met}, at most {AT_MOST:g}"]
    return line + [f"{seconds[name][1]:.1f}" for name in PROGRAMS]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    if RELION.path is None:
        sys.exit(f"{SCRIPT}: no RELION on the PATH; {RELION.how_to_get}")
    ours(write_particles(options.work, 8, 32))  # warm up
    rows = []
    for box in options.boxes:
        counts = COUNTS[box]
        stars = [write_particles(options.work, n, box) for n in counts]
        rows.append(row(box, counts, measure(stars, options.repeats)))
        if not options.keep:
            for star in stars:
                star.with_suffix(".mrcs").unlink()
                star.unlink()
    text = _page(rows, options.repeats, list(sys.argv[1:] if arguments is None else arguments))
    write(options.out / "backprojection.md", text)


def _page(rows: Sequence[Sequence[str | int]], repeats: int, given: Sequence[str]) -> str:
    header = ["box", "particles", *(f"ms a particle, {name}" for name in PROGRAMS)]
    header += ["ratio", "ratio without gridding", "", *(f"s of the longer run, {name}" for name in PROGRAMS)]
    return (
        "# Speed of back-projection\n\n"
        "What one more particle costs: the longer run less the shorter one, over the particles between them, from\n"
        f"star file and stack to the map, CTF corrected. Medians of {repeats} runs, one thread and padding 2 on both "
        "sides.\n"
        "Ours makes two half maps and the map, with one step of conjugate gradients each; RELION makes the map alone.\n"
        "Gridding, and the making of a map, cost the same for any number of particles.\n\n"
        f"{markdown(header, rows)}\n"
        f"{machine(1)}. RELION {relion_version()}. {versions(PACKAGES)}.\n\n    {command(SCRIPT, given)}\n"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    asked = parser(__doc__, "backprojection")
    asked.add_argument("--boxes", type=int, nargs="+", default=sorted(COUNTS), choices=sorted(COUNTS))
    asked.add_argument("--repeats", type=int, default=3, help="runs of which the median is taken")
    asked.add_argument("--keep", action="store_true", help="keep the particles")
    return asked.parse_args(arguments)


if __name__ == "__main__":
    main()
