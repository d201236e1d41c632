"""Speed of back-projection: seconds that one more particle costs, ours against relion_reconstruct, and peak memory.

Every run is a process of its own that reads star file and stack, corrects the CTF and writes a map: the engine of
``cryoprior map`` without its page, and RELION. A particle costs the time of 3 n particles less that of n, over 2 n; the
rest of the time of n is what a map costs whatever the particles. Particles are white noise with random poses and
defocus, which takes the time that any take.

    python -m benchmarks.cost.backprojection [--boxes 64 128 256] [--pairs 5]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.kit.particles import image_names, particle_tables
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write

from cryoprior.external.relion import RELION, relion_version
from cryoprior.io import StackWriter, write_star

SCRIPT = "cost.backprojection"
COUNTS, PAIRS = {64: 2000, 128: 1000, 256: 600}, {64: 5, 128: 5, 256: 1}
"""n of every box, of which the longer run has three times as many, and pairs of runs: one where a map takes minutes."""
PIXEL_SIZE, BATCH = 2.0, 256
PACKAGES = ("cryoprior", "torch", "numpy")
OURS, GRIDDING, PLAIN = "cryoprior map", "relion_reconstruct --ctf", "relion_reconstruct --ctf --skip_gridding"
ONCE = {(GRIDDING, 128), (GRIDDING, 256)}
"""Gridding takes most of these and does not grow with the particles: one run of n tells what a map costs."""
ENGINE = """
import sys, torch
from cryoprior import make_maps, read_particles
from cryoprior.io import write_map
torch.set_num_threads(1)
maps = make_maps(read_particles(sys.argv[1]), device="cpu")
for name in ("half_1", "half_2", "full"):
    write_map(f"{name}.mrc", getattr(maps, name).numpy(), maps.voxel_size_angstrom)
"""
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Run:
    """What a process took: seconds on the clock and of the processor, and the most memory it held."""

    seconds: float
    processor: float
    peak_mib: float


def write_particles(folder: Path, n: int, box: int) -> Path:
    """Return the star file of n particles of noise, written once; a stack of its own lies beside it."""
    star = folder / f"noise-{box}-{n}.star"
    if star.is_file():
        return star
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with StackWriter(star.with_suffix(".mrcs"), n, box, PIXEL_SIZE) as writer:
        for start in range(0, n, BATCH):
            writer.write(rng.standard_normal((min(BATCH, n - start), box, box), dtype=np.float32))
    table, optics = particle_tables(n, box, PIXEL_SIZE, rng)
    write_star(star, table.assign(rlnImageName=image_names(n, f"{star.stem}.mrcs")), optics)
    return star


def words(program: str, star: Path) -> list[str]:
    """Return the command line of a program, which runs in the folder of the star file."""
    if program == OURS:
        return [sys.executable, "-c", ENGINE, star.name]
    reconstruct = str(RELION.find("relion_reconstruct"))
    given = [reconstruct, "--i", star.name, "--o", "relion.mrc", "--ctf", "--pad", "2"]
    return given + ["--skip_gridding"] * (program == PLAIN)


def run(program: str, star: Path) -> Run:
    """Return what a run took, from the start of its process to its end."""
    log = star.with_suffix(".log")
    with log.open("ab") as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            words(program, star), cwd=star.parent, env=os.environ | ALONE, stdout=out, stderr=out
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{SCRIPT}: {program} failed ({process.returncode}); its log is {log}")
    taken = Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    progress(f"{star.stem} {program} {taken.seconds:.2f} s, {taken.processor:.2f} of them its own")
    return taken


def measure(box: int, stars: Sequence[Path], pairs: int) -> dict[str, list[list[Run]]]:
    """Return the runs of every program, a list for n and one for 3 n particles; the programs take turns."""
    taken: dict[str, list[list[Run]]] = {name: [[], []] for name in (OURS, PLAIN, GRIDDING)}
    for turn in range(pairs):
        for place, star in enumerate(stars):
            for name, runs in taken.items():
                if (name, box) not in ONCE or turn == place == 0:
                    runs[place].append(run(name, star))
    return taken


def row(box: int, n: int, name: str, runs: Sequence[Sequence[Run]]) -> dict[str, Any]:
    """Return the numbers of a program at a box: ms a particle with least and most, s a map, MiB."""
    numbers: dict[str, Any] = {"box": box, "n": n, "program": name, "runs": len(runs[0])}
    short = median(each.seconds for each in runs[0])
    if runs[1]:
        pairs = list(zip(*runs, strict=True))
        each = [1e3 * (long.seconds - few.seconds) / (2 * n) for few, long in pairs]
        own = [1e3 * (long.processor - few.processor) / (2 * n) for few, long in pairs]
        numbers |= {"ms_a_particle": median(each), "least": min(each), "most": max(each), "ms_processor": median(own)}
        numbers["s_a_map"] = short - n * median(each) / 1e3
        numbers["s_of_3n"] = median(each.seconds for each in runs[1])
    numbers |= {"s_of_n": short, "peak_mib": max(each.peak_mib for part in runs for each in part)}
    return numbers


def cells(numbers: Mapping[str, Any], relion: Mapping[str, Any]) -> list[str]:
    """Return the cells of a program's line; ``relion`` are the numbers of RELION without gridding at this box."""
    line, peak = [str(numbers["box"]), numbers["program"], str(numbers["runs"])], f"{numbers['peak_mib']:.0f}"
    if "ms_a_particle" not in numbers:
        fixed = numbers["s_of_n"] - numbers["n"] * relion["ms_a_particle"] / 1e3
        return [*line, *[""] * 4, f"{fixed:.1f}", peak]
    line.append("{ms_a_particle:.2f} ({least:.2f} to {most:.2f})".format(**numbers))
    line.append(f"{numbers['ms_processor']:.2f}")
    line += [f"{numbers[name] / relion[name]:.2f}" for name in ("ms_a_particle", "ms_processor")]
    return [*line, f"{numbers['s_a_map']:.1f}", peak]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if RELION.path is None:
        sys.exit(f"{SCRIPT}: no RELION on the PATH; {RELION.how_to_get}")
    run(OURS, write_particles(options.work, 8, 32))  # the files of Python and torch are read from the disk once
    rows = []
    for box in options.boxes:
        n = COUNTS[box]
        stars = [write_particles(options.work, count, box) for count in (n, 3 * n)]
        rows += [row(box, n, name, runs) for name, runs in measure(box, stars, options.pairs or PAIRS[box]).items()]
        for star in () if options.keep else stars:
            star.with_suffix(".mrcs").unlink()
            star.unlink()
    (options.out / "backprojection").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(options.out / "backprojection" / "rows.csv", index=False, float_format="%.4g")
    given = list(sys.argv[1:] if arguments is None else arguments)
    write(options.out / "backprojection.md", _page(rows, given))


def _page(rows: Sequence[Mapping[str, Any]], given: Sequence[str]) -> str:
    relion = {row["box"]: row for row in rows if row["program"] == PLAIN}
    header = [
        "box",
        "program",
        "runs of n",
        "ms a particle",
        "processor ms",
        "ratio",
        "processor ratio",
        "s a map",
        "peak MiB",
    ]
    counts = ", ".join(f"{n} and {3 * n} at {box} pixels" for box, n in COUNTS.items() if box in relion)
    return (
        "# Speed of back-projection\n\n"
        "What one more particle costs: the time of 3 n particles less that of n, over 2 n; median of pairs of runs,\n"
        "least and most in brackets, and the same of processor time. s a map: the rest of the time of n,\n"
        f"whatever the particles. n and 3 n are {counts}.\n"
        "Whole processes, from star file and stack to the map, CTF corrected, one thread, RELION with padding 2; the\n"
        "programs take turns. Ours makes two half maps and the map, RELION the map alone. Ratio: to RELION without\n"
        "its gridding, which costs as much for any number of particles; where a particle has no number, gridding was\n"
        "run once, for what a map costs.\n\n"
        f"{markdown(header, [cells(row, relion[row['box']]) for row in rows])}\n"
        f"{machine(1)}. RELION {relion_version()}. {versions(PACKAGES)}.\n\n    {command(SCRIPT, given)}\n"
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    asked = parser(__doc__, "backprojection")
    asked.add_argument("--boxes", type=int, nargs="+", default=sorted(COUNTS), choices=sorted(COUNTS))
    asked.add_argument("--pairs", type=int, help=f"pairs of runs of which the median is taken, by default {PAIRS}")
    asked.add_argument("--keep", action="store_true", help="keep the particles")
    return asked.parse_args(arguments)


if __name__ == "__main__":
    main()
