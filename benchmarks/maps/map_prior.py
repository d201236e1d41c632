"""What the embedded map prior is worth on molecules of families that trained nothing, beside floors without a prior.

Particles are simulated with CTF and coloured noise, measured, and mapped with known poses. The prior is asked for
each half map; referee and gate judge it by the other half, as ``map --map-prior`` does. The truth judges all maps in a
tight mask.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.kit.floors import FLOORS, HalfMaps
from benchmarks.kit.maps import amplitude_ratio
from benchmarks.kit.table import parser, progress, write
from benchmarks.maps.map_prior_page import FREE, FULL, GATED, page
from torch import Tensor

from cryoprior.image.soft_mask import soft_mask
from cryoprior.maps import MapSet, make_maps
from cryoprior.measurement import measure
from cryoprior.metrics.fsc import fsc, volume_shells
from cryoprior.operators import parse_operator
from cryoprior.prior import load_map_prior
from cryoprior.referee.result import Audit
from cryoprior.simulation import SimulatedParticles, simulate
from cryoprior.simulation.states import read_states

BOX, VOXEL, B_FACTOR = 48, 3.5, 60.0
MOLECULES = {
    "pkm2_tetramer": "protein",
    "1gk9": "protein",
    "3j5p_TRPV1": "membrane",
    "2v8n": "membrane",
    "2por": "beta-rich",
    "4gxy": "RNA",
}
"""Entries that recipes/map_prior/held_out.csv names, by kind; none of their families trained the prior."""
SNRS = (0.6, 0.2, 0.06)
OPERATORS = {
    "K = 16, C = 2.5": "pixel:block=16,masks=102,rows=hadamard,sets=64",
    "Fourier, C = 5": "fourier:pattern=uniform,compression=5,sets=64",
    "Fourier, C = 10": "fourier:pattern=uniform,compression=10,sets=64",
}
ONE_BIT = "one bit"
KINDS = (FULL, *OPERATORS, ONE_BIT)
MORE = 1.5
COLOUR, COLOUR_WIDTH = 4.0, 0.1
LEAST_SLOPE = 0.01


@dataclass(frozen=True, eq=False)
class Masks:
    """A generous mask for referee and floors, and a tight one in which the truth judges."""

    generous: Tensor
    tight: Tensor


def masks_of(truth: Tensor) -> Masks:
    """Return the masks of a true map; both are fixed, whatever the data."""
    generous = soft_mask(truth, VOXEL, extend_voxel=4.0, edge_voxel=6.0)
    return Masks(generous, soft_mask(truth, VOXEL, lowpass_angstrom=8.0, extend_voxel=1.0, edge_voxel=3.0))


def true_volume(data: Path, name: str, box: int = BOX) -> np.ndarray:
    """Return the potential of a molecule in the box."""
    folder = data / "structures"
    path = next(p for p in sorted(folder.rglob(f"{name}*")) if p.name[len(name)] == ".")
    return read_states(path, box, VOXEL, (), (), B_FACTOR)[0].volume


def colour(box: int) -> Tensor:
    """Return the power of noise that is stronger at low frequencies, on the rfft2 grid."""
    square = torch.fft.fftfreq(box)[:, None].square() + torch.fft.rfftfreq(box).square()
    return 1 + COLOUR * torch.exp(-square / (2 * COLOUR_WIDTH**2)).double()


def simulated(volume: np.ndarray, n: int, snr: float, seed: int) -> SimulatedParticles:
    """Return particles of a map with coloured noise."""
    return simulate(volume, n, pixel_size=VOXEL, snr=snr, noise=colour(len(volume)), seed=seed, device="cpu")


def mapped(made: SimulatedParticles, rows: Any, kind: str, seed: int, **more: Any) -> MapSet:
    """Return the maps of some of the particles, measured in one of the ways.

    rows: which particles, an index. more: what :func:`cryoprior.make_maps` takes beside images and poses.
    """
    given: dict[str, Any] = {
        "euler_deg": made.euler_deg[rows],
        "origin_pixel": made.origin_pixel[rows],
        "ctf": {name: values[rows] for name, values in made.ctf.items()},
        "pixel_size": VOXEL,
        "device": "cpu",
        **more,
    }
    images = made.images[rows]
    if kind == ONE_BIT:
        images = images.sign() * images.std()
    if kind not in OPERATORS:
        return make_maps(images, **given)
    operator = parse_operator(OPERATORS[kind], box=images.shape[-1], seed=seed)
    return make_maps(y=measure(images, operator, seed=seed), operator=operator, **given)


def judged(maps: MapSet, more: MapSet | None, truth: Tensor, masks: Masks) -> list[dict[str, Any]]:
    """Return a row for every way to make a map, with its FSC with the truth in the tight mask by shell."""
    halves = HalfMaps(maps.half_1, maps.half_2, masks.generous, VOXEL)
    found: dict[str, Tensor] = {FREE: maps.full}
    if maps.unregularised is not None:
        found["division alone"] = sum(maps.unregularised) / 2
    found |= {name: floor(halves) for name, floor in FLOORS.items()}
    if more is not None:
        found["1.5 N particles"] = more.full
    if maps.audit is not None:
        found |= {"prior": maps.audit.maps.prior, GATED: maps.audit.maps.gated}
    else:  # the half maps agree nowhere, and the prior-free map is all that the user gets
        found |= {"prior": maps.full, GATED: maps.full}
    return [
        {"method": name, **said(maps.audit if name == GATED else None), "fsc": curve(volume, truth, masks.tight)}
        for name, volume in found.items()
    ]


def said(audit: Audit | None) -> dict[str, Any]:
    """Return what an audit says of itself: worth, the least of any shell, open shells, the prior's own."""
    if audit is None:
        return {}
    worth = audit.weights.worth[1:]
    return {
        "said": audit.worth.ratio,
        "said_error": audit.worth.error,
        "opened": int((audit.weights.opening > 0).sum()),
        "invented": audit.verdicts.count("prior only"),
        "said_least": float(worth.nan_to_num(1.0).min()),
    }


def curve(volume: Tensor, truth: Tensor, mask: Tensor) -> str:
    """Return the FSC with the truth in a mask, as text."""
    return " ".join(f"{value:.6f}" for value in restored_fsc(volume, truth, mask).tolist())


def restored_fsc(volume: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Return the FSC with the truth in a mask by shell.

    A mask mixes neighbouring shells, so that a map whose fine shells are damped looks worse in it than it is: the
    signal of every shell is first given the amplitude that it has in the truth.
    """
    slope = amplitude_ratio(volume, truth).clamp_min(LEAST_SLOPE)
    transfer = torch.cat([1 / slope, slope.new_zeros(1)])[volume_shells(len(truth)).long()]
    restored = torch.fft.irfftn(torch.fft.rfftn(volume.double()) * transfer, s=tuple(truth.shape))
    return fsc(restored * mask, truth.double() * mask)


def data_sets(molecules: Sequence[str], seeds: int) -> Iterator[tuple[str, float, int]]:
    """Yield molecule, SNR and seed; all molecules of one seed before the next."""
    for seed in range(seeds):
        for snr in SNRS:
            for molecule in molecules:
                yield molecule, snr, seed


def run(data: Path, table: Path, n: int, seeds: int, molecules: Sequence[str], kinds: Sequence[str] = KINDS) -> None:
    """Append the rows of all data sets that the table does not hold yet."""
    prior = load_map_prior()
    done = {tuple(row[key] for key in ("molecule", "snr", "seed")) for row in read(table)}
    for molecule, snr, seed in data_sets(molecules, seeds):
        if (molecule, str(snr), str(seed)) in done:
            continue
        made = simulated(true_volume(data, molecule), round(MORE * n), snr, seed)
        truth = made.volumes[0]
        masks, rows = masks_of(truth), []
        for kind in kinds:
            maps = mapped(made, slice(n), kind, seed, map_prior=prior)
            more = mapped(made, slice(None), kind, seed) if kind == FULL else None
            of_set = {"molecule": molecule, "snr": snr, "seed": seed, "kind": kind}
            rows += [{**of_set, **row} for row in judged(maps, more, truth, masks)]
        append(table, rows)
        progress(f"{molecule}, SNR {snr}, seed {seed}")


COLUMNS = ("molecule", "snr", "seed", "kind", "method", "said", "said_error", "opened", "invented", "said_least")


def append(table: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to a table, with its header where it is new."""
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.is_file()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, (*COLUMNS, "fsc"), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def read(table: Path) -> list[dict[str, str]]:
    """Return the rows of a table, none where there is no such file."""
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, "map_prior")
    given.add_argument("--n", type=int, default=500)
    given.add_argument("--seeds", type=int, default=3)
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    table = options.work / f"n{options.n}.csv"
    run(options.data, table, options.n, options.seeds, tuple(MOLECULES))
    words = list(sys.argv[1:] if arguments is None else arguments)
    rows = read(table)
    folder = options.out / "map_prior"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.csv").write_bytes(table.read_bytes())
    write(options.out / "map_prior.md", page(rows, MOLECULES, options.n, words))


if __name__ == "__main__":
    main()
