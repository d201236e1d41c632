"""Time and memory of asking a map prior, judging it and drawing from it, by box; and how little particles matter.

Every step runs in a process of its own, which reads the time of its processor and the most memory that it held. The
maps are made-up blobs with white noise: what a network costs does not depend on what it is shown.

    python -m benchmarks.cost.map_prior [--boxes 64 128 256]
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmarks.kit.maps import volume
from benchmarks.kit.table import command, machine, markdown, parser, progress, write
from torch import Tensor

from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import write_map
from cryoprior.maps import make_maps
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.prior_maps import ask_beside
from cryoprior.prior import load_map_prior
from cryoprior.prior.volume.asking import signal_to_noise
from cryoprior.prior.volume.sampling import STEPS
from cryoprior.prior.volume.turning import TURNS
from cryoprior.referee.judging import judge_prior
from cryoprior.simulation import simulate

VOXEL = 2.0
WHOLE = 128
"""Boxes above this are asked in one orientation, and the rest is called so many times that."""
ASKED = 2 * TURNS
"""Evaluations of asking for both half maps."""
PARTICLES = (200, 1000, 4000)
STEP_NAMES = {
    "read": "the program with maps and prior read (in all rows below)",
    "ask": f"asking the prior for both half maps ({ASKED} evaluations)",
    "judge": "referee, gate and gated maps",
    "draw": f"one draw ({STEPS} evaluations)",
}


def blobs(box: int, seed: int = 0) -> Tensor:
    """Return sixty blobs in the middle half of the box."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(box, dtype=torch.float32) - box // 2
    found = torch.zeros(box, box, box)
    for centre in (torch.rand(60, 3, generator=generator) - 0.5) * 0.5 * box:
        z, y, x = ((-((axis - float(c)) ** 2) / (2 * (0.02 * box) ** 2)).exp() for c in centre)
        found += z[:, None, None] * y[:, None] * x
    return found


def write_halves(folder: Path, box: int) -> None:
    """Write two half maps of one truth with white noise."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, generator = blobs(box), torch.Generator().manual_seed(1)
    for half in (1, 2):
        noise = torch.randn(truth.shape, generator=generator) * float(truth.std())
        write_map(folder / f"half{half}.mrc", (truth + noise).numpy(), VOXEL)


def one(folder: Path, step: str) -> dict[str, Any]:
    """Return seconds of the processor, of the clock, and gigabytes at most, of one step in this process."""
    halves = tuple(volume(folder / f"half{half}.mrc") for half in (1, 2))
    prior, box, full = load_map_prior(), len(halves[0]), (halves[0] + halves[1]) / 2
    turns = TURNS if box <= WHOLE else 1
    mask = sphere_mask(box, 0.35 * box, 0.06 * box)
    steps: dict[str, Callable[[], Any]] = {
        "read": lambda: None,
        "ask": lambda: [prior.mean(half, VOXEL, signal_to_noise(*halves), turns=turns) for half in halves],
        "judge": lambda: judge_prior(halves, halves[::-1], VOXEL, mask),
        "draw": lambda: next(iter(prior.samples(full, VOXEL, 2 * signal_to_noise(*halves), 1))),
    }
    begun, wall = time.process_time(), time.perf_counter()
    steps[step]()
    spent, wall = time.process_time() - begun, time.perf_counter() - wall
    factor = TURNS / turns if step == "ask" else 1.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seconds": spent * factor, "wall": wall * factor, "gigabytes": peak, "extrapolated": factor > 1}


def as_draw(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a draw costs about, from what asking does."""
    more = STEPS / ASKED
    return {**asked, "seconds": asked["seconds"] * more, "wall": asked["wall"] * more, "extrapolated": True}


def by_particles(n: int) -> dict[str, Any]:
    """Return the time of the prior's part, asking and judging, beside maps of n particles of 64 pixels."""
    prior, box = load_map_prior(), 64
    made = simulate(blobs(box), n, pixel_size=VOXEL, snr=0.5, seed=0, device="cpu")
    given = {"euler_deg": made.euler_deg, "origin_pixel": made.origin_pixel, "ctf": made.ctf, "pixel_size": VOXEL}
    begun = time.process_time()
    maps = make_maps(made.images, **given, device="cpu")
    judgement, middle = judge_maps(maps), time.process_time()
    asked = ask_beside(maps, judgement, prior)
    assert asked is not None
    return {"maps": middle - begun, "seconds": time.process_time() - middle}


def in_a_process(words: Sequence[Any]) -> dict[str, Any]:
    """Return what this script says of one step, in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.cost.map_prior", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    progress(f"{' '.join(str(word) for word in words[-1:])}: {found}")
    return found


def page(
    boxes: dict[int, dict[str, dict[str, Any]]], particles: dict[int, dict[str, Any]], words: Sequence[str]
) -> str:
    """Return the page."""
    lines = []
    for name, said in STEP_NAMES.items():
        row = [said]
        for steps in boxes.values():
            found = steps[name]
            about = "about " if found["extrapolated"] else ""
            memory = f"{found['gigabytes']:.2f} GB"
            row.append(memory if name == "read" else f"{about}{_seconds(found['seconds'])} s, {memory}")
        lines.append(row)
    rows = [[str(n), f"{found['maps']:.1f}", f"{found['seconds']:.1f}"] for n, found in particles.items()]
    extrapolated = (
        f" Above {WHOLE} voxels the prior was asked in one orientation of {TURNS}, and what is called about is so many "
        "times that, by evaluations."
    )
    return (
        "# What the map prior costs\n\nSeconds of one processor, not of the clock: other work ran beside it, which "
        "makes these longer too. And the most memory that the process held, its libraries and maps among it."
        f"{extrapolated} `audit` without tests and "
        "`map --map-prior` ask once and judge once; with tests `audit` of half maps asks and judges the other hand "
        "too, and asks for random phases: three times the asking.\n\n"
        f"{markdown(['step', *(f'{box} voxels' for box in boxes)], lines)}\n"
        "Particles of 64 pixels: the prior meets the data after they are summed.\n\n"
        f"{markdown(['particles', 'maps without the prior (s)', 'asking and judging (s)'], rows)}\n"
        f"{machine(1)}.\n\n    {command('cost.map_prior', list(words))}\n"
    )


def _seconds(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, "cost_map_prior")
    given.add_argument("--boxes", type=int, nargs="+", default=[64, 128, 256])
    given.add_argument("--one", nargs=2, help="a folder with half maps and a step: say what it costs as JSON")
    given.add_argument("--particles", type=int, help="say what the prior costs beside a map of so many, as JSON")
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(one(Path(options.one[0]), options.one[1])))
        return
    if options.particles:
        print(json.dumps(by_particles(options.particles)))
        return
    boxes: dict[int, dict[str, dict[str, Any]]] = {}
    for box in options.boxes:
        folder = options.work / str(box)
        write_halves(folder, box)
        measured = [step for step in STEP_NAMES if step != "draw" or box <= WHOLE]
        boxes[box] = {step: in_a_process(["--one", folder, step]) for step in measured}
        boxes[box].setdefault("draw", as_draw(boxes[box]["ask"]))
    particles = {n: in_a_process(["--particles", n]) for n in PARTICLES}
    words = list(sys.argv[1:] if arguments is None else arguments)
    write(options.out / "map_prior_cost.md", page(boxes, particles, words))


if __name__ == "__main__":
    main()
