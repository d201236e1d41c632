"""RELION's auto-refinement with and without the prior of maps: poses and prior-free half maps, judged by the truth.

Particles of molecules whose families trained nothing are simulated with CTF and white noise. Both refinements begin
with the same poses, which are off, and the same map, low-passed; searches are local. With the prior RELION calls
``cryoprior external-reconstruct`` in every iteration. The poses that come out are compared with the true ones, and
make half maps without any prior.

    python -m benchmarks.maps.relion_refinement [--n 500]
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write, write_csv
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.external.relion import AS_ROOT, PROCESSES, RELION, Words, relion_version
from cryoprior.image.soft_mask import soft_mask
from cryoprior.io import read_particles, read_star, write_star
from cryoprior.io.mrc_volumes import read_map
from cryoprior.maps import make_maps
from cryoprior.metrics.fsc import fsc
from cryoprior.metrics.pose import pose_errors
from cryoprior.simulation import command as simulation

SCRIPT = "maps.relion_refinement"
MOLECULES = {"4gxy": "cobalamin riboswitch, RNA", "1gk9": "penicillin acylase, protein"}
BOX, VOXEL, SNRS = 32, 4.0, (0.2, 0.07)
OFF_DEG, OFF_ANGSTROM, START_ANGSTROM = 8.0, 3.0, 20.0
ARMS = {"RELION": "", "prior": "default"}
ANGLES, ORIGINS = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"], ["rlnOriginXAngst", "rlnOriginYAngst"]
BANDS = ((2, 5), (6, 8), (9, 11), (12, 14))
MEANING = (
    "Median error of angles and shifts, after the one turn and shift that most particles share, which no map shows. "
    "FSC with the truth of the map of all particles, made of these poses without a prior, in a soft mask about the "
    "true map: mean by bands of shells. Truth .5, halves .143: where the FSC of that map with the truth, and of its "
    "half maps without a mask, first falls below. Inflated: what the half maps' FSC promises of the agreement with the "
    "truth, sqrt(2 F / (1 + F)), less that agreement, both without a mask, mean over shells 2 to 14. `true`: the map "
    "of the true poses. `start`: of the poses that both refinements began with."
)


def simulated(data: Path, folder: Path, name: str, n: int, snr: float, seed: int) -> Path:
    """Return the folder of simulated particles, with the star file that the refinements begin with."""
    if not (folder / "start.star").is_file():
        structure = data / "structures" / "many" / f"{name}.pdb.gz"
        simulation.run(
            simulation.Options(
                structures=(structure,), output=folder, n=n, box=BOX, pixel_size=VOXEL, snr=snr, seed=seed, threads=1
            )
        )
        blocks = read_star(folder / "particles.star")
        table, rng = blocks["particles"], np.random.default_rng(seed)
        turns = Rotation.from_rotvec(np.radians(OFF_DEG) / np.sqrt(3) * rng.normal(size=(n, 3)))
        off = turns * Rotation.from_euler("ZYZ", table[ANGLES].to_numpy(), degrees=True)
        table[ANGLES] = off.as_euler("ZYZ", degrees=True)
        table[ORIGINS] += OFF_ANGSTROM * rng.normal(size=(n, 2))
        write_star(folder / "start.star", table, blocks["optics"])
    return folder


def refined(folder: Path, arm: str, prior: str, diameter: float) -> tuple[Path, float]:
    """Return RELION's data file of one refinement, and the seconds that it took."""
    output = folder / arm
    output.mkdir(exist_ok=True)
    (reference,) = (folder / "maps").glob("*.mrc")
    words: Words = [
        "mpirun",
        "--oversubscribe",
        "-n",
        PROCESSES,
        "relion_refine_mpi",
        "--i",
        "start.star",
        "--o",
        f"{arm}/run",
    ]
    words += ["--ref", reference.relative_to(folder), "--ini_high", START_ANGSTROM, "--ctf", "--ctf_corrected_ref"]
    words += ["--auto_refine", "--split_random_halves", "--low_resol_join_halves", 40, "--pad", 2, "--pool", 3]
    words += ["--healpix_order", 3, "--auto_local_healpix_order", 3, "--sigma_ang", 5, "--oversampling", 1]
    words += ["--offset_range", 2, "--offset_step", 1, "--particle_diameter", f"{diameter:.0f}", "--flatten_solvent"]
    words += ["--zero_mask", "--norm", "--dont_check_norm", "--random_seed", 1, "--j", 1, "--preread_images"]
    words += ["--auto_ignore_angles", "--dont_combine_weights_via_disc"]
    called = f"{sys.executable} -m cryoprior external-reconstruct --quiet --threads 1 --map-prior {prior}"
    environment = AS_ROOT | {"RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE": called, "OMP_NUM_THREADS": "1"}
    words += ["--external_reconstruct"] if prior else []
    found, took = output / "run_data.star", output / "seconds"
    if not found.is_file():
        started = time.monotonic()
        RELION.run(words, folder=folder, log=output / "run.log", environment=environment)
        took.write_text(f"{time.monotonic() - started:.0f}")
    return found, float(took.read_text())


def poses_of(star: Path) -> tuple[Tensor, Tensor]:
    """Return angles and origins in the order of the images."""
    table = read_star(star)["particles"].sort_values("rlnImageName")
    angles, origins = (torch.from_numpy(table[names].to_numpy(np.float64, copy=True)) for names in (ANGLES, ORIGINS))
    return angles, origins


def without_drift(found: tuple[Tensor, Tensor], true: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Any]:
    """Return the poses in the frame of the truth, and their errors: one turn and one shift of the map are taken out."""
    frame = pose_errors(*found, *true, VOXEL, align=True).frame
    turned = Rotation.from_matrix(frame.numpy()) * Rotation.from_euler("ZYZ", found[0].numpy(), degrees=True)
    axes = torch.from_numpy(turned.as_matrix())[:, :, :2].mT  # the image's axes in the map
    design, off = axes.reshape(-1, 3), (found[1] - true[1]).reshape(-1)
    shift = torch.linalg.lstsq(design, off[:, None]).solution
    origin = found[1] - (design @ shift).reshape(-1, 2)
    angles = torch.from_numpy(turned.as_euler("ZYZ", degrees=True))
    return angles, origin, pose_errors(angles, origin, *true, VOXEL)


def judged(folder: Path, poses: tuple[Tensor, Tensor], true: tuple[Tensor, Tensor]) -> dict[str, float]:
    """Return the numbers of the map that these poses make without a prior."""
    angles, origin, errors = without_drift(poses, true)
    stack = read_particles(folder / "particles.star")
    maps = make_maps(
        torch.from_numpy(stack.read(range(stack.n))),
        angles.numpy(),
        pixel_size=VOXEL,
        origin_pixel=origin.numpy() / VOXEL,
        ctf=stack.ctf_parameters(),
        half=stack.table["rlnRandomSubset"].to_numpy(),
        device="cpu",
    )
    (path,) = (folder / "maps").glob("*.mrc")
    truth = torch.from_numpy(read_map(path)[0])
    mask = soft_mask(truth, VOXEL, extend_voxel=2.0, edge_voxel=4.0)
    with_truth, halves = fsc(maps.full * mask, truth * mask), fsc(maps.half_1, maps.half_2)
    claimed = (2 * halves.clamp_min(0) / (1 + halves.clamp_min(0))).sqrt()
    inflated = (claimed - fsc(maps.full, truth))[BANDS[0][0] : BANDS[-1][1] + 1]
    return {
        "angle_deg": float(errors.angle_deg.median()),
        "mean_angle_deg": float(errors.angle_deg.mean()),
        "shift_angstrom": float(errors.shift_angstrom.median()),
        **{f"fsc_{low}_{high}": float(with_truth[low : high + 1].mean()) for low, high in BANDS},
        "truth_05_angstrom": crossing(with_truth, 0.5),
        "halves_0143_angstrom": crossing(halves, 0.143),
        "inflated": float(inflated.mean()),
    }


def crossing(curve: Tensor, level: float) -> float:
    """Return the resolution of the last shell before the curve falls below a level for the first time."""
    below = (curve[1:] < level).nonzero()
    shell = int(below[0, 0]) if len(below) else len(curve) - 1
    return BOX * VOXEL / max(shell, 1)


def rows_of(data: Path, work: Path, name: str, n: int, snr: float, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of one data set."""
    folder = simulated(data, work / f"{name}-{snr}-{seed}", name, n, snr, seed)
    radius = read_radius(folder)
    true = poses_of(folder / "particles.star")
    known: dict[str, Any] = {"molecule": name, "snr": snr, "seed": seed}
    yield {**known, "poses": "true", **judged(folder, true, true)}
    yield {**known, "poses": "start", **judged(folder, poses_of(folder / "start.star"), true)}
    for arm, prior in ARMS.items():
        star, seconds = refined(folder, arm, prior, 2 * radius + 10)
        yield {**known, "poses": arm, **judged(folder, poses_of(star), true), "seconds": seconds}


def read_radius(folder: Path) -> float:
    """Return the radius of the simulation's particle mask in angstrom."""
    return float(json.loads((folder / "summary.json").read_text())["mask_radius_angstrom"])


def main() -> None:
    asked = parser(__doc__, "relion_refinement")
    asked.add_argument("--n", type=int, default=500)
    asked.add_argument("--seeds", type=int, default=2)
    arguments = asked.parse_args()
    torch.set_num_threads(arguments.threads)
    RELION.find("relion_refine_mpi")
    arguments.work.mkdir(parents=True, exist_ok=True)
    work = arguments.work.resolve()
    rows: list[dict[str, Any]] = []
    for snr, seed, name in itertools.product(SNRS, range(arguments.seeds), MOLECULES):
        progress(f"{name}, SNR {snr}, seed {seed}")
        rows += rows_of(arguments.data, work, name, arguments.n, snr, seed)
        report(arguments, rows)


def report(arguments: Any, rows: list[dict[str, Any]]) -> None:
    """Write the table of the data sets that are done."""
    rounded = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    write_csv(arguments.out / "relion_refinement" / "rows.csv", rounded)
    header = ["molecule", "SNR", "seed", "poses", "angle, degrees", "shift, Å"]
    header += [f"FSC, shells {low}-{high} ({BOX * VOXEL / high:.1f} Å)" for low, high in BANDS]
    header += ["truth .5, Å", "halves .143, Å", "inflated", "minutes"]
    lines = []
    for row in rows:
        line = [
            row["molecule"],
            str(row["snr"]),
            str(row["seed"]),
            row["poses"],
            f"{row['angle_deg']:.2f}",
            f"{row['shift_angstrom']:.2f}",
        ]
        line += [f"{row[f'fsc_{low}_{high}']:.3f}" for low, high in BANDS]
        line += [f"{row['truth_05_angstrom']:.1f}", f"{row['halves_0143_angstrom']:.1f}"]
        line.append(f"{row['inflated']:+.3f}")
        lines.append([*line, f"{row['seconds'] / 60:.1f}" if "seconds" in row else ""])
    named = ", ".join(f"{name} ({kind})" for name, kind in MOLECULES.items())
    facts = (
        f"{machine(arguments.threads)}; {versions()}; RELION {relion_version()}, {PROCESSES} processes. "
        f"{arguments.n} particles of {named}, {BOX} pixels of {VOXEL:g} Å, SNR {', '.join(map(str, SNRS))}, CTF, white "
        f"noise. Poses off by {OFF_DEG:g} degrees, shifts by {OFF_ANGSTROM:g} Å along each axis (root mean square); "
        f"first reference: the true map, low-passed at {START_ANGSTROM:g} Å. Minutes: on a machine that did other work."
    )
    made_by = command(SCRIPT, sys.argv[1:])
    table = markdown(header, lines)
    text = f"# RELION's refinement with the prior of maps\n\n{MEANING}\n\n{table}\n{facts}\n\n    {made_by}\n"
    write(arguments.out / "relion_refinement.md", text)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
