"""What to keep of particles: maps of formats, bits and masks at their bytes, beside what the plan had expected of them.

Ten data sets, which the plan knows from a pilot of a fifth of the particles. Every candidate is then carried out on all
particles, and a map made with the known poses. Predicted and found resolution are those of the half maps (FSC 0.143,
in the mask that each map shows); the truth judges too (FSC 0.5). "Fewer" rows are whole images of as many particles as
take the same bytes.

    python -m benchmarks.maps.what_to_keep [--only WORD [WORD ...]]
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
from benchmarks.kit.table import command, machine, parser, progress, versions, write
from benchmarks.maps.what_to_keep_page import page
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.soft_mask import soft_mask
from cryoprior.io import read_particles
from cryoprior.maps import MapSet, judge_maps, make_maps
from cryoprior.maps.arrays import InMemory
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.sources import FullParticles, MeasuredParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement import fit_levels, measure
from cryoprior.measurement.reading import read_finite
from cryoprior.metrics.fsc import fsc
from cryoprior.planning.candidates import WHOLE, Candidate, parse_candidate
from cryoprior.planning.expecting import effective_particles, expected_resolution
from cryoprior.planning.keeping import Kept, kept_by
from cryoprior.planning.pilot import Pilot, pilot_of, run_pilot
from cryoprior.simulation import SimulatedParticles, simulate
from cryoprior.simulation.noise import read_noise
from cryoprior.simulation.states import read_states
from cryoprior.storage import Encoding, stored_images

SCRIPT, NAME = "maps.what_to_keep", "what_to_keep"
PACKAGES = ("cryoprior", "torch", "numpy", "numcodecs", "pillow")
PILOT = 5
"""One particle of so many is in the pilot."""
WAYS = (
    WHOLE,
    "float16",
    "integer:bits=5",
    "integer:bits=4",
    "jpeg2000:quality=40",
    "jpeg2000:quality=30",
    "quantize:bits=3",
    "quantize:bits=2",
    "quantize:bits=1",
    "fourier:pattern=uniform,compression=2,sets=64",
    "fourier:pattern=uniform,compression=5,sets=64",
    "fourier:pattern=uniform,compression=10,sets=64",
    "fourier:pattern=ring,compression=5,sets=64",
    "fourier:pattern=uniform,compression=2,bits=1,sets=64",
    "pixel:block=16,masks=102,sets=64",
    "pixel:block=16,masks=102,bits=2,sets=64",
)
FEW = (
    WHOLE,
    "integer:bits=4",
    "jpeg2000:quality=30",
    "quantize:bits=1",
    "fourier:pattern=uniform,compression=5,sets=64",
    "fourier:pattern=uniform,compression=2,bits=1,sets=64",
)
"""For data sets that only check what the plan expects."""
AS_FEWER = ("jpeg2000:quality=30", "quantize:bits=1", "fourier:pattern=uniform,compression=5,sets=64")
"""Whose bytes are also spent on fewer whole images."""
PASSES = 3
SHELLS = slice(8, 29)
"""Over whose median the particles that a map is worth are read, of a box of 64."""


@dataclass(frozen=True)
class DataSet:
    """Simulated particles of a structure; ``chains`` keeps only these, ``noise_like`` takes the noise of real ones."""

    name: str
    structure: str
    snr: float
    pixel_size: float
    b_factor: float
    n: int = 1000
    chains: tuple[str, ...] = ()
    noise_like: bool = False
    ways: tuple[str, ...] = FEW


FIFTY_S = {"structure": "4v5d.cif.gz", "pixel_size": 5.0, "b_factor": 800.0, "chains": ("B*",), "noise_like": True}
DATA_SETS = (
    *(DataSet(f"50S, SNR {snr:g}", snr=snr, n=2000, ways=WAYS, **FIFTY_S) for snr in (0.1, 0.03, 0.01)),
    DataSet("PKM2, SNR 0.06", "pkm2_tetramer.pdb.gz", 0.06, 3.5, 200.0, n=2000, ways=WAYS),
    DataSet("PKM2, SNR 0.2", "pkm2_tetramer.pdb.gz", 0.2, 3.5, 400.0),
    DataSet("TRPV1, SNR 0.1", "3j5p_TRPV1.pdb.gz", 0.1, 3.0, 300.0),
    DataSet("GroEL, SNR 0.05", "1oel.pdb.gz", 0.05, 4.0, 400.0, noise_like=True),
    DataSet("proteasome, SNR 0.03", "3j9i.pdb.gz", 0.03, 4.0, 300.0),
    DataSet("p97, SNR 0.1", "3cf3.pdb.gz", 0.1, 4.5, 600.0, noise_like=True),
    DataSet("apoferritin, SNR 0.02", "6z6u_apoferritin.pdb.gz", 0.02, 3.0, 200.0, n=1500),
)
BOX = 64
REAL, REAL_PILOT, REAL_PIXELS = "ribosome tilts, real", 2, "pixel:block=8,masks=26,sets=64"


def particles_of(data: Path, wanted: DataSet, seed: int) -> SimulatedParticles:
    """Return the particles of a data set."""
    path = data / "structures" / wanted.structure
    volume = read_states(path, BOX, wanted.pixel_size, wanted.chains, (), wanted.b_factor)[0].volume
    noise = (
        read_noise(data / "real" / "empiar_10076_7.star", BOX, wanted.pixel_size, None) if wanted.noise_like else None
    )
    grid = {"pixel_size": wanted.pixel_size, "snr": wanted.snr, "noise": noise, "seed": seed, "device": "cpu"}
    return simulate(volume, wanted.n, **grid)


def mapped(made: SimulatedParticles, n: int, way: Candidate | None = None) -> MapSet:
    """Return the maps of the first n particles, kept in a way; whole where None."""
    given: dict[str, Any] = {
        "euler_deg": made.euler_deg[:n],
        "origin_pixel": made.origin_pixel[:n],
        "ctf": {name: values[:n] for name, values in made.ctf.items()},
        "pixel_size": made.pixel_size,
        "device": "cpu",
    }
    images = made.images[:n]
    if way is None:
        return make_maps(images, **given)
    if isinstance(way.way, Encoding):
        return make_maps(torch.from_numpy(stored_images(images.numpy(), way.way).images), **given)
    operator = fit_levels(images, way.way)
    return make_maps(y=measure(images, operator), operator=operator, passes=PASSES, **given)


def real_rows(data: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for every way to keep the real ribosome images; their half maps alone judge."""
    stack = read_particles(data / "real" / "ribosome_tilts" / "particles.star")
    images, settings = read_finite(stack, np.arange(stack.n)), MapSettings(passes=PASSES)
    geometry = FullParticles(stack).geometry

    def of(values: Tensor) -> InMemory:
        return InMemory(values, geometry, stack.box, stack.index, stack.path)

    pilot = run_pilot(stack.subset(slice(stack.n // REAL_PILOT)), settings)
    for text in (*WAYS, REAL_PIXELS):
        try:
            way = parse_candidate(text, stack.box)
        except InputError:  # blocks that do not divide the box
            continue
        kept = kept_by(way, pilot.examples)
        if isinstance(way.way, Encoding):
            maps = solve_maps(
                FullParticles(of(torch.from_numpy(stored_images(images.numpy(), way.way).images))), settings
            )
        else:
            particles = [int(i) for i in stack.index]
            operator = fit_levels(images, way.way, particles=particles)
            y = measure(images, operator, particles=particles)
            maps = solve_maps(MeasuredParticles(of(y), operator), settings)
        row = {"data": REAL, "n": stack.n, "way": text, "kind": way.kind, "bytes": kept.bytes_per_particle}
        yield row | predicted(pilot, stack.n, kept) | {"found": judge_maps(maps).resolution.angstrom}


def predicted(pilot: Pilot, n: int, kept: Kept) -> dict[str, float]:
    """Return the resolution that is expected, its range, and what a particle is worth."""
    worth = kept.worth.double().numpy()
    expected = expected_resolution(pilot.spectrum, n, worth)
    return {
        "predicted": expected.angstrom,
        "finest": expected.finest,
        "coarsest": expected.coarsest,
        "predicted_worth": effective_particles(pilot.spectrum, n, worth) / n,
    }


def rows_of(wanted: DataSet, made: SimulatedParticles) -> Iterator[dict[str, Any]]:
    """Yield a row for every way to keep the particles, predicted and found, and for whole images of the same bytes."""
    few = wanted.n // PILOT
    pilot = pilot_of(mapped(made, few), made.images[:64], range(64))
    truth = made.volumes[0]
    mask = soft_mask(truth, wanted.pixel_size, extend_voxel=3.0, edge_voxel=5.0)
    whole = mapped(made, wanted.n)
    reference = fsc(whole.full * mask, truth * mask)
    for text in wanted.ways:
        way = parse_candidate(text, BOX)
        kept = kept_by(way, pilot.examples)
        maps = whole if text == WHOLE else mapped(made, wanted.n, way)
        row = {"data": wanted.name, "n": wanted.n, "way": text, "kind": way.kind, "bytes": kept.bytes_per_particle}
        yield row | predicted(pilot, wanted.n, kept) | found(maps, truth, mask, reference)
        fewer = round(wanted.n * kept.bytes_per_particle / (4 * BOX**2))
        if text in AS_FEWER and wanted.ways is WAYS:
            row |= {"way": f"fewer, as {text}", "kind": "fewer", "n": fewer}
            yield row | found(mapped(made, fewer), truth, mask, reference)


def found(maps: MapSet, truth: Tensor, mask: Tensor, reference: Tensor) -> dict[str, Any]:
    """Return the resolutions of maps, and what a particle is worth of a whole one by the truth."""
    judged = judge_maps(maps, truth=truth)
    curve = fsc(maps.full * mask, truth * mask)
    ratio = (_power(curve) / _power(reference))[SHELLS]
    return {
        "found": judged.resolution.angstrom,
        "truth": judged.truth.resolution.angstrom if judged.truth is not None else np.inf,
        "worth": float(ratio.median()),
    }


def _power(curve: Tensor) -> Tensor:
    square = curve.clamp(1e-3, 1 - 1e-6).square()
    return square / (1 - square)


def run(data: Path, table: Path, only: Sequence[str], seed: int = 11) -> None:
    """Append the rows of the data sets that the table does not hold yet."""
    done = {row["data"] for row in read(table)}
    for wanted in DATA_SETS:
        if wanted.name in done or (only and not any(word in wanted.name for word in only)):
            continue
        rows = list(rows_of(wanted, particles_of(data, wanted, seed)))
        append(table, rows)
        progress(wanted.name)
    if REAL not in done and not only:
        append(table, list(real_rows(data)))
        progress(REAL)


COLUMNS = (
    *("data", "n", "way", "kind", "bytes", "predicted", "finest", "coarsest", "predicted_worth"),
    *("found", "truth", "worth"),
)


def append(table: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to a table, with its header where it is new."""
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.is_file()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


def read(table: Path) -> list[dict[str, str]]:
    """Return the rows of a table, none where there is no such file."""
    if not table.is_file():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, NAME)
    given.add_argument("--only", nargs="*", default=())
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    table = options.work / "rows.csv"
    run(options.data, table, options.only)
    words = list(sys.argv[1:] if arguments is None else arguments)
    folder = options.out / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.csv").write_bytes(table.read_bytes())
    made = f"{machine(options.threads)}. {versions(PACKAGES)}.\n\n    {command(SCRIPT, words)}\n"
    text, pictures = page(read(table), made)
    for name, png in pictures.items():
        (folder / name).write_bytes(png)
    write(options.out / f"{NAME}.md", text)


if __name__ == "__main__":
    main()
