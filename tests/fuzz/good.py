"""Small good inputs of every kind, made by the program itself where it makes them."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.prior.volume.checkpoint import map_prior_folder
from fuzz.server import Server
from kit.relion_sums import write_sums

N, BOX, PIXEL_SIZE = 12, 32, 8.0
FINE = 4.0
"""A pixel size that the embedded map prior was trained at."""
LATENTS = 24
OPERATOR = "pixel:block=8,masks=24,rows=hadamard,sets=2"


def make_good(folder: Path, server: Server) -> None:
    """Write the good inputs into an empty folder; AssertionError where a command fails on its way."""
    write_blob(folder / "blob.mrc")
    write_model(folder / "model.pdb")
    star, measured = str(folder / "sim/particles.star"), str(folder / "y.zarr")
    steps: list[list[Any]] = [
        ["simulate", folder / "blob.mrc", "-o", folder / "sim", "--n", N, "--box", BOX, "--pixel-size", PIXEL_SIZE],
        ["measure", star, "-o", measured, "--operator", OPERATOR],
        ["measure", star, "-o", folder / "half.zarr", "--operator", OPERATOR, "--dtype", "float16", "--sigma", 0.1],
        ["measure", star, "-o", folder / "packed.zarr", "--operator", f"{OPERATOR},bits=3"],
        ["reconstruct", measured, "-o", folder / "recon", "--solver", "least-squares", "--shard-size", 5],
        ["train", star, "-o", folder / "prior", *TRAINING],
    ]
    (folder / "plan.toml").write_text(PLAN.format(folder=folder))
    steps.append(["bench", folder / "plan.toml", "-o", folder / "bench"])
    for words in steps:
        outcome = server.run([str(word) for word in words], timeout=300, learn=True)
        assert outcome.code == 0, (words, outcome)
    write_pickles(folder)
    write_cryosparc(folder / "p.cs")
    write_relion_sums(folder / "sums")
    states = "".join(f"{i},{'ab'[i >= LATENTS // 2]}\n" for i in range(LATENTS))
    write_half_maps(folder)
    shutil.copytree(map_prior_folder("default"), folder / "map_prior")
    (folder / "labels.csv").write_text("particle,state\n" + states)
    (folder / "snr.csv").write_text("angstrom,snr\n250,2.5\n60,1.5\n30,0.5\n20,0.25\n16,0.125\n")
    (folder / "ctf.csv").write_text(CTF_HEAD + "\n" + "15000,14000,30,300,2.7,0.1,0\n" * 3)


def write_relion_sums(folder: Path) -> None:
    """Write the sums of an iteration of RELION's refinement, their names as seen from their folder."""
    folder.mkdir()
    z, y, x = np.mgrid[:16, :16, :16] - 8
    star = write_sums(folder, np.exp(-((x - 1) ** 2 + y**2 + (z + 2) ** 2) / 8))
    star.write_text(star.read_text().replace(f"{folder}/", ""))


TRAINING = ("--width", "0.25", "--steps", "4", "--every", "2", "--batch", "2", "--cpu")
CTF_HEAD = "defocus_u_angstrom,defocus_v_angstrom,defocus_angle_deg,voltage_kv,cs_mm,amplitude_contrast,phase_shift_deg"
PLAN = """table = "images"
title = "small"
star = "{folder}/sim/particles.star"
clean = "{folder}/sim/clean.star"
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


def write_blob(path: Path) -> None:
    """Write a map of four Gaussians."""
    write_volume(path, blob())


def write_half_maps(folder: Path) -> None:
    """Write half maps of it and a prior's maps of each, and half maps of a voxel size that the map prior knows."""
    rng = np.random.default_rng(5)
    for name in ("half2", "prior1", "prior2"):
        write_volume(folder / f"{name}.mrc", blob() + 0.02 * rng.normal(size=(BOX,) * 3))
    for name in ("fine1", "fine2"):
        write_volume(folder / f"{name}.mrc", blob() + 0.02 * rng.normal(size=(BOX,) * 3), FINE)


def blob() -> np.ndarray:
    """Return four Gaussians, the largest value 1."""
    z, y, x = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    spots = ((0, 0, 0, 3.0), (4, 2, -3, 2.0), (-5, 3, 2, 2.0), (1, -6, 4, 1.5))
    volume = sum(np.exp(-((z - c) ** 2 + (y - b) ** 2 + (x - a) ** 2) / (2 * s * s)) for a, b, c, s in spots)
    return np.asarray(volume / np.max(volume), np.float32)  # a mask, too


def write_volume(path: Path, volume: np.ndarray, voxel_size: float = PIXEL_SIZE) -> None:
    """Write a map."""
    import mrcfile

    with mrcfile.new(path) as mrc:
        mrc.set_data(np.asarray(volume, np.float32))
        mrc.set_volume()
        mrc.voxel_size = voxel_size


def write_model(path: Path) -> None:
    """Write a chain of 30 alanines, backbone only."""
    rng, lines = np.random.default_rng(1), []
    for i in range(30):
        for j, atom in enumerate(("N", "CA", "C", "O")):
            x, y, z = rng.normal(size=3) + np.array((3.8 * (i % 6), 3.8 * (i // 6), j))
            place = f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00 50.00"
            lines.append(f"ATOM  {4 * i + j + 1:5d}  {atom:<3} ALA A{i + 1:4d}    {place}           {atom[0]}")
    path.write_text("\n".join([*lines, "END"]) + "\n")


def write_pickles(folder: Path) -> None:
    """Write cryoDRGN's files: poses, CTF, indices, latents of two states."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(2)
    rotations = Rotation.random(N, random_state=0).as_matrix().astype(np.float32)
    latents = np.concatenate([rng.normal(size=(LATENTS // 2, 4)), 5 + rng.normal(size=(LATENTS // 2, 4))])
    values: dict[str, Any] = {
        "poses": (rotations, rng.normal(size=(N, 2)).astype(np.float32) * 0.02),
        "ctf": np.tile(np.float32([BOX, PIXEL_SIZE, 15000, 14000, 30, 300, 2.7, 0.1, 0]), (N, 1)),
        "ind": np.arange(0, N, 2),
        "z": latents.astype(np.float32),
    }
    for name, value in values.items():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(value, 4))


CRYOSPARC = [
    *(("uid", "<u8"), ("blob/path", "S40"), ("blob/idx", "<u4"), ("blob/shape", "<u4", (2,)), ("blob/psize_A", "<f4")),
    *(("ctf/df1_A", "<f4"), ("ctf/df2_A", "<f4"), ("ctf/df_angle_rad", "<f4"), ("ctf/phase_shift_rad", "<f4")),
    *(("ctf/accel_kv", "<f4"), ("ctf/cs_mm", "<f4"), ("ctf/amp_contrast", "<f4"), ("ctf/exp_group_id", "<u4")),
    *(("alignments3D/pose", "<f4", (3,)), ("alignments3D/shift", "<f4", (2,)), ("alignments3D/psize_A", "<f4")),
    ("alignments3D/split", "<u4"),
]


def write_cryosparc(path: Path) -> None:
    """Write the particles as cryoSPARC does."""
    rows = np.zeros(N, CRYOSPARC)
    rows["uid"] = np.random.default_rng(3).integers(1, 2**63, N)
    rows["blob/path"], rows["blob/idx"], rows["blob/shape"] = b">sim/particles.mrcs", np.arange(N), BOX
    rows["blob/psize_A"] = rows["alignments3D/psize_A"] = PIXEL_SIZE
    rows["ctf/df1_A"], rows["ctf/df2_A"], rows["ctf/accel_kv"] = 15000, 14000, 300
    rows["ctf/cs_mm"], rows["ctf/amp_contrast"], rows["ctf/exp_group_id"] = 2.7, 0.1, 1
    rows["alignments3D/pose"] = np.random.default_rng(4).normal(size=(N, 3))
    rows["alignments3D/split"] = np.arange(N) % 2
    with path.open("wb") as file:
        np.save(file, rows)
