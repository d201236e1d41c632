"""Maps of real particles, 1,430 tilt images of 40 ribosomes, from all of the data and from less, beside RELION's.

Each map is judged by its half maps, whose particles are other ribosomes, and against the map that Warp made of the
same tilt series. What is drawn at random, masks or particles, is drawn anew for every seed.

    python -m benchmarks.maps.ribosome_tilts [--seeds 3]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.kit.maps import relion_map, volume
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write
from torch import Tensor

from cryoprior import judge_maps, make_maps, read_measurements, read_particles
from cryoprior.external.relion import RELION, relion_version
from cryoprior.io import ParticleStack
from cryoprior.maps import MapSet
from cryoprior.measurement import command as measure
from cryoprior.metrics.fsc import fsc
from cryoprior.operators.equal_size import quantizer

SCRIPT, NAME = "maps.ribosome_tilts", "ribosome_tilts"
PACKAGES = ("cryoprior", "torch", "numpy")
C = 2.5
SHELLS = (1, 2, 4, 6, 8, 10, 12, 14)
HALVES, WARP = "half_maps_0143_angstrom", "warp_05_angstrom"
FOURIER = f"fourier:pattern=uniform,compression={C:g},sets=64"
SUMS = round(8**2 / C)
PIXEL = f"pixel:block=8,masks={SUMS},rows=hadamard,sets=64"


@dataclass(frozen=True)
class Made:
    """The maps of one row, one set for every seed, with how many times fewer numbers they were made from."""

    name: str
    compression: float
    maps: list[MapSet] = field(default_factory=list)


def rows(folder: Path, work: Path, seeds: int) -> Iterator[Made]:
    """Yield the rows of the table one after another."""
    stars = {"full particles": folder / "particles.star", "premultiplied": folder / "premultiplied.star"}
    stack = read_particles(stars["full particles"])
    for name, star in stars.items():
        ours = make_maps(read_particles(star), device="cpu")
        yield Made(f"{name}, cryoprior", 1, [ours])
        yield Made(f"{name}, RELION", 1, [relion_maps(star, work / star.stem, ours)])
    for name, operator, c in (("Fourier masks", FOURIER, C), ("pixel masks, K = 8", PIXEL, 8**2 / SUMS)):
        yield Made(name, c, [measured(stars["full particles"], operator, seed, work) for seed in range(seeds)])
    one_bit = quantizer(torch.from_numpy(np.array(stack.read())), 1)
    text = f"quantize:bits=1,low={one_bit.low:.6g},high={one_bit.high:.6g}"
    yield Made("one bit a pixel", one_bit.compression, [measured(stars["full particles"], text, 0, work)])
    for name, chosen in (("N / C, whole ribosomes", whole_ribosomes), ("N / C, any images", any_images)):
        kept = [stack.subset(chosen(stack, np.random.default_rng(seed))) for seed in range(seeds)]
        yield Made(name, C, [make_maps(part, device="cpu") for part in kept])


def relion_maps(star: Path, place: Path, like: MapSet) -> MapSet:
    """Return the maps of ``relion_reconstruct``, of all particles and of the half sets."""
    place.parent.mkdir(parents=True, exist_ok=True)
    halves = [relion_map(star, place.with_name(f"{place.name}_half{half}.mrc"), half=half) for half in (1, 2)]
    full = relion_map(star, place.with_name(f"{place.name}_full.mrc"))
    return replace(like, half_1=halves[0], half_2=halves[1], full=full)


def measured(star: Path, operator: str, seed: int, work: Path) -> MapSet:
    """Return the prior-free maps of the measurements that an operator makes of the particles."""
    path = work / f"{operator.partition(':')[0]}-{seed}.zarr"
    measure.run(measure.Options(star, path, operator=operator, seed=seed, overwrite=True))
    return make_maps(read_measurements(path), device="cpu")


def whole_ribosomes(stack: ParticleStack, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of 1 / C of the ribosomes of each half set, all their tilts."""
    kept: list[str] = []
    for _, of_half in stack.table.groupby("rlnRandomSubset")["rlnGroupName"]:
        names = sorted(of_half.unique())
        kept += list(rng.choice(names, round(len(names) / C), replace=False))
    return np.flatnonzero(stack.table["rlnGroupName"].isin(kept))


def any_images(stack: ParticleStack, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of 1 / C of the images, of any ribosome and tilt."""
    return np.sort(rng.choice(stack.n, round(stack.n / C), replace=False))


def judged(made: Made, mask: Tensor, reference: Tensor) -> list[dict[str, Any]]:
    """Return the numbers and the curves of a row, one dictionary a seed."""
    found = []
    for seed, maps in enumerate(made.maps):
        judgement = judge_maps(maps, mask, reference)
        assert judgement.truth is not None
        numbers = {"name": made.name, "C": made.compression, "seed": seed, "n": maps.n}
        numbers |= {HALVES: judgement.resolution.angstrom, WARP: judgement.truth.resolution.angstrom}
        curves = {"fsc_halves": judgement.curves.corrected.tolist(), "fsc_warp": judgement.truth.fsc.tolist()}
        found.append(numbers | curves)
    return found


def line(found: list[dict[str, Any]]) -> list[str]:
    """Return the cells of a row of the table: means, with standard deviations where there are several seeds."""
    first = found[0]
    cells = [first["name"], f"{first['C']:.3g}", spread([one["n"] for one in found], 0)]
    cells += [spread([one[name] for one in found], 1) for name in (HALVES, WARP)]
    return cells + [spread([one["fsc_warp"][shell] for one in found], 3) for shell in SHELLS]


def spread(values: Sequence[float], digits: int) -> str:
    """Return the mean, with the standard deviation where the values differ."""
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if np.ptp(values) > 0 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def agreement(a: MapSet, b: MapSet) -> list[str]:
    """Return the correlation of two maps and their FSC at the shells of the table, without a mask."""
    correlation = float(torch.corrcoef(torch.stack([a.full.flatten(), b.full.flatten()]))[0, 1])
    curve = fsc(a.full, b.full)
    return [f"{correlation:.4f}", *(f"{float(curve[shell]):.3f}" for shell in SHELLS)]


def curves(found: list[dict[str, Any]], voxel_size: float) -> pd.DataFrame:
    """Return the curves of a row, one line a seed and shell."""
    table = pd.DataFrame(found)[["name", "C", "seed", "n", "fsc_halves", "fsc_warp"]]
    table["shell"] = [list(range(len(curve))) for curve in table["fsc_warp"]]
    table = table.explode(["shell", "fsc_halves", "fsc_warp"]).astype({"fsc_halves": float, "fsc_warp": float})
    table["frequency_per_angstrom"] = table["shell"].astype(float) / (2 * (len(found[0]["fsc_warp"]) - 1) * voxel_size)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, NAME)
    given.add_argument("--seeds", type=int, default=3, help="draws of what is random")
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if RELION.path is None:
        sys.exit(f"{SCRIPT}: no RELION on the PATH; {RELION.how_to_get}")
    folder = options.data / "real" / "ribosome_tilts"
    reference, mask = volume(folder / "reference_warp.mrc"), None
    lines, tables, whole = [], [], {}
    for made in rows(folder, options.work, options.seeds):
        mask = judge_maps(made.maps[0]).mask if mask is None else mask
        found = judged(made, mask, reference)
        tables.append(curves(found, made.maps[0].voxel_size_angstrom))
        lines.append(line(found))
        progress(" | ".join(lines[-1]))
        whole[made.name] = made.maps[0]
    pairs = [
        [program, *agreement(*(whole[f"{way}, {program}"] for way in ("full particles", "premultiplied")))]
        for program in ("cryoprior", "RELION")
    ]
    pairs.append(["cryoprior and RELION, plain", *agreement(*list(whole.values())[:2])])
    words = list(sys.argv[1:] if arguments is None else arguments)
    write(options.out / f"{NAME}.md", page(lines, pairs, options.seeds, words, options.threads))
    (options.out / NAME).mkdir(parents=True, exist_ok=True)
    pd.concat(tables).to_csv(options.out / NAME / "shells.csv", index=False, float_format="%.4f")


def page(lines: list[list[str]], pairs: list[list[str]], seeds: int, words: list[str], threads: int) -> str:
    """Return the page of the results."""
    shells = [f"shell {shell}" for shell in SHELLS]
    return f"""# Real particles, from all of the data and from less

1,430 tilt images of 40 ribosomes in cells, 32 pixels of 12 Å, half sets by ribosome. Half maps: the corrected FSC at
0.143. Warp's map: the FSC with the map that Warp made of the same tilt series at 0.5, in Å, and by shell (of 16, 384 Å
over the shell); it is no truth, as its noise is partly that of ours. One mask for all rows, made from our map of the
full particles. The images were published premultiplied with their CTF; plain ones have that undone, with |CTF| raised
to .15 where it is below, and all rows but the premultiplied are made of these. RELION is relion_reconstruct
{relion_version()} with --ctf. Maps of measurements have no prior. What is random, masks or choice of particles, was
drawn {seeds} times: mean and standard deviation. Rounding to one bit draws nothing.

{markdown(["made from", "C", "particles", "half maps (Å)", "Warp's map (Å)", *shells], lines)}
Maps of the premultiplied particles against those of the plain ones, and the two programs against each other, no mask:

{markdown(["maps", "correlation", *shells], pairs)}
[All shells](ribosome_tilts/shells.csv).

{machine(threads)}. {versions(PACKAGES)}.

    {command(SCRIPT, words)}
"""


if __name__ == "__main__":
    main()
