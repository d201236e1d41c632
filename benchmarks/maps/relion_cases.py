"""Maps of particles with every optical column of RELION, ours against relion_reconstruct, by their FSC with the truth.

600 images of one molecule, simulated with its poses, defocus and noise once and with the optics of each case: maps of
both programs, and ours with the case's columns taken out of the star file. The first five cases are those of
``cases/01``, ``03``, ``04`` and ``23`` of the shared data, of which 22 particles lie there. Then real particles that
were published premultiplied, beside the same ones with that undone.

    python -m benchmarks.maps.relion_cases [--n 600]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.kit.maps import our_map, relion_map, volume
from benchmarks.kit.particles import image_names, project, write_particles
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write
from torch import Tensor

from cryoprior.external.relion import RELION, relion_version
from cryoprior.io import read_particles, write_star
from cryoprior.metrics.fsc import fsc
from cryoprior.simulation import command as simulation

SCRIPT = "maps.relion_cases"
BOX, PIXEL, SEED = 64, 1.5, 2
SHELLS, REAL_SHELLS = (2, 8, 12, 16, 20, 24, 28), (1, 2, 4, 6, 8, 10, 12, 14)
PACKAGES = ("cryoprior", "torch", "numpy")
MAGNIFIED = {"rlnMagMat00": 1.03, "rlnMagMat01": 0.02, "rlnMagMat10": -0.01, "rlnMagMat11": 0.96}
IDENTITY = {"rlnMagMat00": 1.0, "rlnMagMat01": 0.0, "rlnMagMat10": 0.0, "rlnMagMat11": 1.0}
EVEN, ODD = "[0.3,5,-7,9,100,-200,150,80,50]", "[0.3,-0.2,40,10,-15,30]"


@dataclass(frozen=True)
class Case:
    """What the particles and their optics groups have beside the plain ones; particles belong to groups in turn."""

    name: str
    particles: dict[str, Any] = field(default_factory=dict)
    groups: Sequence[dict[str, Any]] = ({},)


def cases(n: int, rng: np.random.Generator) -> list[Case]:
    """Return the cases; the draws of the second are those of ``cases/03``."""
    damped = {"rlnCtfBfactor": rng.uniform(0, 300, n), "rlnCtfScalefactor": rng.uniform(0.2, 1.0, n)}
    tilts = [{"rlnBeamTiltX": sign * 0.6, "rlnBeamTiltY": sign * 0.3} for sign in (1, -1)]
    plate = {"rlnPhaseShift": np.linspace(0, 120, n)}
    first = {**tilts[0], "rlnOddZernike": "[0,0,40,0,0,30]", "rlnEvenZernike": EVEN, **MAGNIFIED}
    # no coma: RELION 3.1 drops that of all groups where the table has a column of beam tilts
    second = {
        "rlnOddZernike": "[0.3,-0.2,-30,0,0,20]",
        "rlnBeamTiltX": 0.0,
        "rlnBeamTiltY": 0.0,
        "rlnEvenZernike": "[]",
        **IDENTITY,
    }
    mild = {"rlnCtfBfactor": damped["rlnCtfBfactor"] / 6, "rlnCtfScalefactor": 0.5 + damped["rlnCtfScalefactor"] / 2}
    flag = "rlnCtfDataAreCtfPremultiplied"
    return [
        Case("plain"),
        Case("01, premultiplied", groups=({flag: 1},)),
        Case("03, B-factor 0 to 300 and scale .2 to 1", particles=damped),
        Case("04, beam tilt, two groups", groups=tilts),
        Case("23, phase-flipped", groups=({"rlnCtfDataArePhaseFlipped": 1},)),
        Case("phase plate, 0 to 120 degrees", particles=plate),
        Case("even Zernike", groups=({"rlnEvenZernike": EVEN},)),
        Case("odd Zernike", groups=({"rlnOddZernike": ODD},)),
        Case("magnification", groups=(MAGNIFIED,)),
        Case(
            "all, two groups, 300 and 200 kV, one premultiplied",
            particles=plate | mild,
            groups=({"rlnVoltage": 300.0, flag: 1, **first}, {"rlnVoltage": 200.0, flag: 0, **second}),
        ),
    ]


def simulated(structure: Path, folder: Path, n: int) -> Path:
    """Return the folder of the plain particles, simulated once."""
    if not (folder / "summary.json").is_file():
        given: dict[str, Any] = {"n": n, "box": BOX, "pixel_size": PIXEL, "snr": 5.0, "seed": SEED}
        simulation.run(simulation.Options(structures=(structure,), output=folder, **given))
    return folder


def tables(plain: Path, case: Case) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the particle and the optics table of a case."""
    stack = read_particles(plain / "clean.star")
    groups = len(case.groups)
    table = stack.table.assign(**case.particles, rlnOpticsGroup=np.arange(stack.n) % groups + 1)
    rows = [{**stack.optics.iloc[0], **more} for more in case.groups]
    optics = pd.DataFrame(rows).assign(rlnOpticsGroup=np.arange(groups) + 1)
    return table, optics.assign(rlnOpticsGroupName=[f"group{i + 1}" for i in range(groups)])


def curve(found: Tensor, truth: Tensor, shells: Sequence[int]) -> list[str]:
    """Return the FSC with the truth at these shells."""
    values = fsc(found, truth)
    return [f"{float(values[shell]):.3f}" for shell in shells]


def row(case: Case, plain: Path, truth: Tensor, noise: Tensor, folder: Path) -> list[list[str]]:
    """Return the lines of a case: RELION, ours, and ours without its columns."""
    table, optics = tables(plain, case)
    star = write_particles(folder, project(truth, table, optics, noise), table, optics)
    bare_table, bare_optics = tables(plain, Case("bare"))
    write_star(folder / "bare.star", bare_table.assign(rlnImageName=image_names(len(table))), bare_optics)
    theirs, ours = relion_map(star, folder / "relion.mrc"), our_map(star)
    ignored = our_map(folder / "bare.star")
    made = {"RELION": theirs, "cryoprior": ours, "columns left out": ignored}
    lines = [[case.name, program, *curve(found, truth, SHELLS)] for program, found in made.items()]
    for line in lines if case.particles or case.groups != ({},) else lines[:2]:
        progress(" ".join(line))
    return lines if case.particles or case.groups != ({},) else lines[:2]


def real(folder: Path, work: Path) -> list[list[str]]:
    """Return the lines of the real particles: the map of premultiplied ones against that of the same, undone."""
    work.mkdir(parents=True, exist_ok=True)
    lines = []
    stars = [folder / "particles.star", folder / "premultiplied.star"]
    theirs = [relion_map(star, work / f"{star.stem}.mrc") for star in stars]
    ours = [our_map(star) for star in stars]
    for name, (a, b) in {"RELION": theirs, "cryoprior": ours}.items():
        correlation = float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
        lines.append([name, f"{correlation:.4f}", *curve(a, b, REAL_SHELLS)])
        progress(" ".join(lines[-1]))
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, "relion_cases")
    given.add_argument("--n", type=int, default=600, help="particles of each case")
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if RELION.path is None:
        sys.exit(f"{SCRIPT}: no RELION on the PATH; {RELION.how_to_get}")
    structure = options.data / "cases" / "00-make-600" / "one_chain.pdb"
    plain = simulated(structure, options.work / f"plain-{options.n}", options.n)
    truth = volume(plain / "maps" / "one_chain.mrc")
    clean, rng = read_particles(plain / "clean.star").read(), np.random.default_rng(0)
    noise = torch.from_numpy((rng.standard_normal(clean.shape) * 0.7 * clean.std()).astype(np.float32))
    lines = [
        line
        for place, case in enumerate(cases(options.n, rng))
        for line in row(case, plain, truth, noise, options.work / f"case-{place}")
    ]
    tilts = options.data / "real" / "ribosome_tilts"
    words = list(sys.argv[1:] if arguments is None else arguments)
    write(options.out / "cases.md", _page(options.n, lines, real(tilts, options.work / "real"), words, options.threads))


def _page(n: int, lines: list[list[str]], tilts: list[list[str]], words: list[str], threads: int) -> str:
    return f"""# Optical columns, ours beside RELION's

FSC with the true map by shell (of {BOX // 2}, {BOX * PIXEL:g} Å over the shell), no mask, of maps of the same
{n} particles. RELION is relion_reconstruct {relion_version()} with --ctf, and --ctf_phase_flipped for phase-flipped
images, which it is told by that option alone. Where columns are left out, our map is made as if the particles were
plain.

{markdown(["case", "map", *(f"shell {shell}" for shell in SHELLS)], lines)}
Real particles, 1,430 tilt images of ribosomes, published premultiplied; beside them the same images divided by their
CTF, with |CTF| raised to .15 where it is below: how the maps of both agree, by shell (of 16, 384 Å over the shell).

{markdown(["map", "correlation", *(f"shell {shell}" for shell in REAL_SHELLS)], tilts)}
{machine(threads)}. {versions(PACKAGES)}.

    {command(SCRIPT, words)}
"""


if __name__ == "__main__":
    main()
