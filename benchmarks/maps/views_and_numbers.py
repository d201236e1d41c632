"""Maps of few and of many particles, from all and from few directions: ours beside relion_reconstruct, by shell.

A base case, and each of its axes varied: number of particles, views, symmetry, noise, box. Both programs map the same
files with the same poses, and both maps are compared with the map that the images were projected from.

    python -m benchmarks.maps.views_and_numbers [--only WORD [WORD ...]]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.kit.maps import amplitude_ratio, our_map, relion_map, symmetrised
from benchmarks.kit.particles import particle_tables, project, write_particles
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write
from torch import Tensor

from cryoprior.external.relion import RELION, relion_version
from cryoprior.image import apply_filter
from cryoprior.image.spectrum import pixel_variance
from cryoprior.io import read_particles, read_star, write_map
from cryoprior.metrics.fsc import fsc
from cryoprior.simulation.states import read_states

SCRIPT, NAME = "maps.views_and_numbers", "views_and_numbers"
PACKAGES = ("cryoprior", "torch", "numpy")
SHELLS = (2, 5, 8, 12, 16, 20, 24, 28)
"""Of a box of 64; twice these of a box of 128."""
SEED, FEW, SEEDS_OF_FEW = 7, 100, 3
COMPARED, SCALED = 0.05, 0.5
"""Deficits count where RELION's FSC is above the first, amplitudes where ours is above the second."""
NOISE_OF_27, COLOUR = 1.0, 0.05
"""The power of coloured noise is 1 / (COLOUR + f^2), f in cycles a pixel: six times that of Nyquist at the origin."""
B_FACTOR = 80.0


@dataclass(frozen=True)
class Case:
    """What is mapped; ``poses_of`` is a folder of the shared cases whose poses are taken in place of drawn ones."""

    n: int = 600
    views: str = "uniform"
    symmetry: str = "C1"
    noise: str = "white"
    box: int = 64
    poses_of: str = ""

    @property
    def name(self) -> str:
        """What the tables call it."""
        words = f"{self.n}, {self.views}, {self.symmetry}, {self.noise}, {self.box}"
        return f"case {self.poses_of[:2]}: {words}" if self.poses_of else words

    @property
    def seeds(self) -> range:
        """The draws of particles: several where few particles leave a map to chance."""
        return range(SEEDS_OF_FEW if self.n <= FEW else 1)


PARTIAL = ("tilt below 60", "tilt below 35", "from the side")
CASES = (
    Case(),
    Case(n=20),
    Case(n=100),
    Case(n=3000),
    *(Case(views=views) for views in PARTIAL),
    *(Case(n=20, views=views) for views in PARTIAL),
    Case(symmetry="D2"),
    Case(symmetry="O"),
    Case(noise="coloured"),
    Case(box=128),
    Case(views="tilt below 35", poses_of="27-preferred-orientation"),
)
MOLECULES = {
    ("C1", 64): ("cases/00-make-600/one_chain.pdb", 1.5, 0.7),
    ("C1", 128): ("structures/pkm2_tetramer.pdb.gz", 1.5, 0.7),
    ("D2", 64): ("structures/pkm2_tetramer.pdb.gz", 2.2, 2.1),
    ("O", 64): ("structures/6z6u_apoferritin.pdb.gz", 2.4, 5.1),
}
"""The file, the pixel size in angstrom and the noise, by symmetry and box.

The noise is in deviations of the clean images, such that 600 particles give RELION an FSC of about .95 at half of
Nyquist.
"""


@lru_cache(maxsize=2)
def truth_of(data: Path, symmetry: str, box: int) -> tuple[Tensor, float]:
    """Return the map that images are projected from, symmetric to the last voxel, and its pixel size."""
    file, pixel_size, _ = MOLECULES[symmetry, box]
    state = read_states(data / file, box, pixel_size, (), (), B_FACTOR)[0]
    whole = symmetrised(torch.from_numpy(state.volume), symmetry)
    return whole / whole.std(), pixel_size


def noise_of(case: Case, deviation: float, rng: np.random.Generator) -> Tensor:
    """Return the noise of all images, (n, box, box), of this standard deviation."""
    white = torch.from_numpy(rng.standard_normal((case.n, case.box, case.box), dtype=np.float32)) * deviation
    if case.noise == "white":
        return white
    along, across = torch.fft.fftfreq(case.box), torch.fft.rfftfreq(case.box)
    power = 1 / (COLOUR + along[:, None].square() + across.square())
    return apply_filter(white, (power / pixel_variance(power.double())).sqrt().float())


def particles(case: Case, seed: int, truth: Tensor, pixel_size: float, data: Path, folder: Path) -> Path:
    """Return the star file of a case."""
    rng = np.random.default_rng([SEED, seed])
    if case.poses_of:
        table, optics, clean = projected_by_relion(data / "cases" / case.poses_of / "poses.star", truth, folder)
    else:
        table, optics = particle_tables(case.n, case.box, pixel_size, rng, case.views)
        clean = project(truth, table, optics)
    deviation = float(clean.std()) * (NOISE_OF_27 if case.poses_of else MOLECULES[case.symmetry, case.box][2])
    return write_particles(folder, clean + noise_of(case, deviation, rng), table, optics)


def projected_by_relion(poses: Path, truth: Tensor, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, Tensor]:
    """Return particle table, optics table and the images that ``relion_project`` makes of them."""
    blocks = read_star(poses)
    pixel_size = float(blocks["optics"]["rlnImagePixelSize"].iloc[0])
    write_map(folder / "truth.mrc", truth.numpy(), pixel_size)
    words: list[str | float | Path] = ["relion_project", "--i", "truth.mrc", "--ang", poses.resolve(), "--ctf"]
    RELION.run([*words, "--o", "projected", "--angpix", pixel_size], folder=folder, log=folder / "project.log")
    images = torch.from_numpy(np.asarray(read_particles(folder / "projected.mrcs").read(), np.float32))
    return blocks["particles"], blocks["optics"], images


def shells(case: Case, seed: int, data: Path, work: Path) -> pd.DataFrame:
    """Return one row a shell: the FSC with the truth and the amplitude ratio of both programs."""
    folder = work / case.name.replace(", ", "-").replace(": ", "-").replace(" ", "-") / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    truth, pixel_size = truth_of(data, case.symmetry, case.box)
    star = particles(case, seed, truth, pixel_size, data, folder)
    ours = our_map(star, case.symmetry)
    theirs = relion_map(star, folder / "relion.mrc", case.symmetry)
    (folder / "p.mrcs").unlink()
    table = pd.DataFrame({"case": case.name, "seed": seed, "shell": np.arange(case.box // 2 + 1)})
    table["frequency_per_angstrom"] = table["shell"] / (case.box * pixel_size)
    for program, found in {"relion": theirs, "cryoprior": ours}.items():
        table[f"fsc_{program}"] = fsc(found, truth).numpy()
        table[f"amplitude_{program}"] = amplitude_ratio(found, truth).numpy()
    return table


def lines(case: Case, table: pd.DataFrame) -> list[list[str]]:
    """Return the two lines of a case, RELION and ours; several draws as mean and standard deviation."""
    step = case.box // 64
    compared = table[inner(table) & (table["fsc_relion"] > COMPARED)]
    below = (compared["fsc_relion"] - compared["fsc_cryoprior"]).groupby(compared["seed"])
    made = []
    for program in ("relion", "cryoprior"):
        curves = table.pivot_table(index="shell", columns="seed", values=f"fsc_{program}")
        at = [spread(curves.loc[shell * step]) for shell in SHELLS]
        deficit = ["", ""] if program == "relion" else [spread(below.max()), spread(below.mean())]
        name = "RELION" if program == "relion" else program
        made.append([case.name, name, *at, *deficit, amplitudes(table, program)])
    return made


def inner(table: pd.DataFrame) -> pd.Series:
    """Return which rows are of shells between the origin and Nyquist, neither of them counted."""
    return (table["shell"] > 0) & (table["shell"] < table["shell"].max())


def spread(values: pd.Series) -> str:
    """Return the mean, with the standard deviation where there are several values."""
    mean = f"{values.mean():.3f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std():.3f}"


def amplitudes(table: pd.DataFrame, program: str) -> str:
    """Return the least and the largest amplitude ratio over shells whose FSC with the truth is above one half."""
    means = table[inner(table)].groupby("shell").mean(numeric_only=True)
    ratios = means.loc[means[f"fsc_{program}"] > SCALED, f"amplitude_{program}"]
    return f"{ratios.min():.2f} to {ratios.max():.2f}" if len(ratios) else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, NAME)
    given.add_argument("--only", nargs="+", default=[], help="cases whose names hold all of these words")
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if RELION.path is None:
        sys.exit(f"{SCRIPT}: no RELION on the PATH; {RELION.how_to_get}")
    chosen = [case for case in CASES if all(word in case.name for word in options.only)]
    if not chosen:
        sys.exit(f"{SCRIPT}: no case has {' and '.join(options.only)} in its name; {CASES[0].name} is one")
    tables, rows = [], []
    for case in chosen:
        table = pd.concat([shells(case, seed, options.data, options.work) for seed in case.seeds])
        tables.append(table)
        rows += lines(case, table)
        for line in rows[-2:]:
            progress(" | ".join(line))
    words = list(sys.argv[1:] if arguments is None else arguments)
    write(options.out / f"{NAME}.md", page(rows, words, options.threads))
    (options.out / NAME).mkdir(parents=True, exist_ok=True)
    pd.concat(tables).to_csv(options.out / NAME / "shells.csv", index=False, float_format="%.4f")


def page(rows: list[list[str]], words: list[str], threads: int) -> str:
    """Return the page of the results."""
    header = ["particles, views, symmetry, noise, box", "map", *(f"shell {shell}" for shell in SHELLS)]
    header += ["largest deficit", "mean deficit", "amplitude"]
    noise = ", ".join(f"{MOLECULES[place][2]:g}" for place in (("C1", 64), ("D2", 64), ("C1", 128), ("O", 64)))
    return f"""# Few particles, few views: ours beside RELION's

FSC with the true map by shell, no mask, of maps of the same files; of a box of 128 at twice the shell. RELION is
relion_reconstruct {relion_version()} with --ctf. Deficits are RELION's FSC less ours over the shells where RELION's is
above {COMPARED:g}, Nyquist apart: the largest and the mean; a negative mean is in our favour. Amplitude is the slope of
the regression of a map on the true one by shell, least and largest where the FSC of that map is above {SCALED:g}. Cases
of up to {FEW} particles are drawn {SEEDS_OF_FEW} times: mean and standard deviation; of a largest value among noisy
ones the mean is above 0 though the maps be equal.

Views are spread evenly over what is named; from the side is tilt 90, rot at random. Molecules: one chain of apoferritin
at 1.5 Å; PKM2's tetramer at 2.2 Å (D2) and at 1.5 Å in a box of 128; apoferritin at 2.4 Å (O), the symmetric ones
averaged over their group. White noise of {noise} times the deviation of the clean images, in this order; coloured
noise has as much in all, and six times as much power at the origin as at Nyquist. Images are projected by cryoprior,
those of case 27 by relion_project with noise of their own deviation.

{markdown(header, rows)}
[All shells](views_and_numbers/shells.csv).

{machine(threads)}. {versions(PACKAGES)}.

    {command(SCRIPT, words)}
"""


if __name__ == "__main__":
    main()
