"""A prior that never saw a full image, against one that did: what is lost of the correlation with the clean image.

Three priors of one size and length, each from nothing: from full noisy particles, from Fourier coefficients at C = 2,
and from Hadamard sums at C = 2, both with masks that vary from particle to particle. No clean image is used. All give
the posterior mean, in one evaluation, of held-out particles measured in either way.

    python benchmarks/measured_prior.py [--data FOLDER] [--work FOLDER] [--steps 800] [--training 8000]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from arguments import parser
from datasets import RECIPES
from harness import fit_prior, prior_digest, reconstruct
from simulated_particles import digits
from store import code_digest
from table import markdown, progress, provenance, signed, write
from torch import Tensor

from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores
from cryoprior.io import read_measurements, read_particles
from cryoprior.measurement import command as measure
from cryoprior.operators import parse_operator
from cryoprior.prior import load_prior
from cryoprior.simulation import command as simulate
from cryoprior.solvers import parse_solver
from cryoprior.training import command as train

SCRIPT = "measured_prior.py"
BOX, PIXEL_SIZE_ANGSTROM, SNR = 32, 10.0, 0.26
CELLS = {
    "fourier": "fourier:pattern=uniform,compression=2,sets=256",
    "hadamard": "pixel:block=8,masks=32,rows=hadamard,sets=256",
}
ONE = "posterior:steps=1"
WIDTH = 0.5
"""Factor on the channels of the small preset: images of 32 pixels need no more."""


def particles(options: Any, name: str, n: int, seed: int) -> Path:
    """Return the folder of simulated 50S particles, made once."""
    recipe, folder = RECIPES[0], options.work / "data" / f"measured-{name}-{BOX}-{n}"
    if not (folder / "summary.json").is_file():
        simulate.run(
            simulate.Options(
                structures=(options.data / "structures" / recipe.structure,),
                output=folder,
                n=n,
                box=BOX,
                pixel_size=PIXEL_SIZE_ANGSTROM,
                snr=SNR,
                ctf=options.data / "meta" / "empiar_10028_ctf_sample.csv",
                noise_like=options.data / "real" / "empiar_10076_7.star",
                keep_chains=recipe.keep_chains,
                leave_out=("BC,BG,BH", "BB,BF,BS,BZ", "B1,B2,BN,BU"),
                seed=seed,
                overwrite=True,
            )
        )
    return Path(folder)


def measured(stack: Path, cell: str, seed: int) -> Path:
    """Return the measurements of a stack, made once."""
    path = stack / f"{cell}.zarr"
    if not path.exists():
        measure.run(measure.Options(particles=stack / "particles.star", output=path, operator=CELLS[cell], seed=seed))
    return path


def trained(options: Any, name: str, source: Path, **more: Any) -> Path:
    """Return the folder of a prior from nothing, trained once; an interrupted training goes on."""
    folder = options.work / "priors" / f"measured-{name}-{options.steps}"
    if not (folder / "model.safetensors").is_file():
        given = {
            "particles": (source,),
            "output": folder,
            "steps": options.steps,
            "threads": options.threads,
            "width": WIDTH,
        }
        given |= more
        train.run(train.Options(every=250, cpu=True, resume=(folder / "checkpoint.json").is_file(), **given))
    return Path(folder)


def judge(options: Any, prior: Path, cell: str, held: Path) -> dict[str, PairSums]:
    """Return the sums of images and of their unmeasured parts, for one prior on one cell."""
    file = read_measurements(measured(held, cell, seed=1))
    operator = parse_operator(file.operator_spec, box=BOX)
    y, numbers = torch.from_numpy(file.y(slice(None))), range(file.n)
    clean = _read(held, "clean")
    loaded = load_prior(prior)
    found = {"least-squares": operator.pinv(y, numbers)}
    fitted = fit_prior(loaded, operator, y)
    for text in ("gaussian", ONE):
        found[text] = reconstruct(fitted.reconstructor(parse_solver(text), operator), y).x

    def unseen(x: Tensor) -> Tensor:
        return x - operator.project(x, numbers)

    whole = {text: PairSums.of(x, clean) for text, x in found.items()}
    parts = {f"{text}, unmeasured": PairSums.of(unseen(found[text]), unseen(clean)) for text in ("gaussian", ONE)}
    return whole | parts


def _read(folder: Path, stem: str) -> Tensor:
    return torch.from_numpy(read_particles(folder / f"{stem}.star").read(slice(None)))


def lost(ours: PairSums, full: PairSums) -> str:
    """Return how much less the correlation is than that of the prior from full images, in percent of it."""
    difference, error = pooled_gain(ours, full)["correlation"]
    unit = pooled_scores(full)["correlation"] / 100
    return signed([-difference / unit, error / abs(unit)], 1)


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--steps", type=int, default=800)
    found.add_argument("--training", type=int, default=8000, help="particles to train on")
    found.add_argument("--held", type=int, default=256, help="particles to judge")
    options = found.parse_args(arguments)
    torch.set_num_threads(options.threads)
    stack, held = particles(options, "train", options.training, 501), particles(options, "held", options.held, 502)
    priors = {"full": trained(options, "full", stack / "particles.star", operator_aware=True)}
    for cell in CELLS:
        priors[cell] = trained(options, cell, measured(stack, cell, seed=0))
        progress(f"trained from {cell}")
    rows = []
    for cell, operator in CELLS.items():
        sums = {name: judge(options, prior, cell, held) for name, prior in priors.items()}
        for name in priors:
            whole, hidden = (sums[name][ONE], sums[name][f"{ONE}, unmeasured"])
            row = [operator, name, *(digits(pooled_scores(s)["correlation"]) for s in (whole, hidden))]
            best = (sums["full"][ONE], sums["full"][f"{ONE}, unmeasured"])
            row += ["-", "-"] if name == "full" else [lost(whole, best[0]), lost(hidden, best[1])]
            rows.append(row)
        for text in ("gaussian", "least-squares"):
            whole = digits(pooled_scores(sums["full"][text])["correlation"])
            hidden = (
                digits(pooled_scores(sums["full"][f"{text}, unmeasured"])["correlation"]) if text == "gaussian" else "-"
            )
            rows.append([operator, f"none: {text}", whole, hidden, "-", "-"])
    header = ["measured", "prior from", "corr.", "corr., unmeasured part", "lost, %", "lost of unmeasured, %"]
    head = HEAD.format(n=options.training, held=options.held, steps=options.steps)
    given = list(sys.argv[1:] if arguments is None else arguments)
    names = "; ".join(f"{name} {prior_digest(load_prior(folder))}" for name, folder in priors.items())
    footer = provenance(SCRIPT, given, f"sha256 of weights: {names}", code_digest())
    write(options.out / "measured_prior.md", head + markdown(header, rows) + footer)


HEAD = """# A prior that never saw a full image

Simulated 50S particles in four states, 32 pixels of 10 Angstrom, SNR 0.26: {n} to train on, {held} others to judge.
Each prior (half the channels of the small preset) is trained from nothing for {steps} steps of 16 particles, without
clean images: `full` on whole noisy particles and random operators of both families, the others on measurements of the
same particles alone, at C = 2 with one of 256 mask sets each. So `full` learns more kinds of question in as many steps:
what the others gain on it is owed to that, and `lost` says that nothing is missing without full images, not more.
Correlation with the clean projection, of the posterior mean at one evaluation, sums over particles; the second is that
of the unmeasured parts, x - A+ A x. Lost: in percent of what the prior from full images reaches, with paired standard
errors (negative where nothing is lost). Gaussian: with the spectrum of the prior from full images.

"""

if __name__ == "__main__":
    main()
