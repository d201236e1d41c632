"""Whether the deviation by voxel that the embedded map prior states is its real error, on molecules it never saw.

Particles are simulated with CTF and coloured noise and mapped with known poses. The prior draws what the map may look
like; the truth says how far the mean of the draws, and the prior's map, are from it. The half maps say the same
without the truth.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from benchmarks.kit.table import command, machine, markdown, parser, progress, write
from benchmarks.maps.map_prior import FULL, MOLECULES, mapped, masks_of, simulated, true_volume
from torch import Tensor

from cryoprior.image.shells import Shells
from cryoprior.maps import MapSet
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.prior_maps import drawing_beside
from cryoprior.metrics.fsc import fsc, volume_shell_sums
from cryoprior.prior import load_map_prior
from cryoprior.referee.deviation import PriorDeviation

CHOSEN = ("1gk9", "3j5p_TRPV1", "4gxy")
SNRS = (0.6, 0.1)
KINDS = (FULL, "Fourier, C = 5")
BANDS = {
    "FSC above .95": (0.95, 2.0),
    ".95 to .5": (0.5, 0.95),
    ".5 to .143": (0.143, 0.5),
    "below .143": (-2.0, 0.143),
}
COLUMNS = (
    "molecule, SNR, particles", "said by half maps", "true, same mask", "in the molecule", "within 1", "within 2",
    "mean of draws", *BANDS,
)  # fmt: skip
MEANING = (
    "Real error over stated deviation: 1 is right, above 1 the deviation is too small. Said by half maps: of "
    "`map_prior.mrc` within the generous mask of the referee, without the truth, as `map --samples` states it. True: "
    "the same with the truth, over the same shells. In the molecule: `map_prior.mrc` within a tight mask, by voxel. "
    "Within 1, within 2: share of the voxels of the molecule where it is off by less than so many deviations (normal "
    "errors: .68, .95). Mean of draws: as in the molecule, of `prior_samples_mean.mrc`, whose deviation is larger by "
    "√(1 + 1 / N). Then, of `map_prior.mrc` in the molecule, by the FSC of the half maps (unmasked) in whose shells "
    "the error lies. The truth is taken up to Nyquist: of the corners of its transform the maps say nothing."
)


def ratio(error: Tensor, stated: Tensor) -> float:
    """Return the root of the summed power of an error over that of the stated deviation."""
    return float((error.sum() / stated.sum()).sqrt())


def within_nyquist(volume: Tensor) -> Tensor:
    """Return a map without the corners of its transform, of which no map of these particles says anything."""
    box = len(volume)
    kept: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume.double()) * Shells(box).inside, s=(box,) * 3)
    return kept.to(volume)


def shell_power(volume: Tensor) -> Tensor:
    """Return the power of a map by shell."""
    return volume_shell_sums(torch.fft.rfftn(volume.double(), norm="ortho").abs().square())


def judged(
    maps: MapSet, drawn: PriorDeviation, generous: Tensor | None, draws: Sequence[Tensor], truth: Tensor, tight: Tensor
) -> dict[str, Any]:
    """Return the numbers of one data set under the names of the columns.

    generous: the mask of the referee. draws: those that ``drawn`` is of. tight: the mask of the molecule.
    """
    assert maps.audit is not None
    within = torch.ones_like(truth) if generous is None else generous
    off, inside = maps.audit.maps.prior - truth, tight > 0.5
    z = (off / drawn.deviation)[inside]
    mean_off, wider = drawn.mean - truth, (1 + 1 / len(draws)) ** 0.5
    stated = sum(shell_power((one - drawn.mean) * tight) for one in draws) / (len(draws) - 1)
    real, halves = shell_power(off * tight), fsc(maps.half_1, maps.half_2)
    by_band: dict[str, float | None] = {}
    for name, (low, high) in BANDS.items():
        chosen = (halves >= low) & (halves < high)
        chosen[0] = False
        by_band[name] = ratio(real[chosen], stated[chosen]) if bool(chosen.any()) else None
    said = drawn.ratio or (None, None)
    return {
        "said by half maps": said[0],
        "said error": said[1],
        "true, same mask": ratio(shell_power(off * within)[drawn.known], drawn.spread[drawn.known]),
        "in the molecule": ratio(off[inside].square(), drawn.deviation[inside].square()),
        "within 1": float((z.abs() < 1).float().mean()),
        "within 2": float((z.abs() < 2).float().mean()),
        "mean of draws": ratio(mean_off[inside].square(), drawn.deviation[inside].square()) / wider,
        **by_band,
    }


def run(data: Path, n: int, count: int) -> Iterator[dict[str, Any]]:
    """Yield a row a data set."""
    prior = load_map_prior()
    for molecule in CHOSEN:
        for snr in SNRS:
            made = simulated(true_volume(data, molecule), n, snr, 0)
            truth = within_nyquist(made.volumes[0])
            for kind in KINDS:
                maps = mapped(made, slice(n), kind, 0, map_prior=prior)
                name = f"{molecule} ({MOLECULES[molecule]}), {snr:g}, {kind}"
                progress(name)
                if maps.audit is None:
                    continue
                drawing, draws = drawing_beside(maps, judge_maps(maps), prior, count), []
                drawn = drawing.made(maps.audit, lambda _, volume, kept=draws: kept.append(volume))
                row = judged(maps, drawn, drawing.mask, draws, truth, masks_of(truth).tight)
                yield {COLUMNS[0]: name, **row}


def page(rows: Sequence[dict[str, Any]], n: int, count: int, words: Sequence[str]) -> str:
    """Return the page."""
    table = pd.DataFrame(rows)
    lines = []
    for row in rows:
        said = "-" if row[COLUMNS[1]] is None else f"{row[COLUMNS[1]]:.2f} ± {row['said error']:.2f}"
        lines.append([row[COLUMNS[0]], said, *(row[name] for name in COLUMNS[2:])])
    middle = [float(table[name].astype(float).median()) for name in COLUMNS[1:]]
    lines.append(["**median**", *middle])
    facts = (
        f"{machine(1)}. {n} particles of 48 pixels of 3.5 Å a data set, CTF, coloured noise, known poses, seed 0; "
        f"{count} draws of 25 evaluations. No family of these molecules trained the prior."
    )
    return (
        "# The deviation of the map prior, and its real error\n\n"
        f"{MEANING}\n\n{markdown(COLUMNS, lines)}\n{facts}\n\n    {command('maps.deviation', list(words))}\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, "deviation")
    given.add_argument("--n", type=int, default=500)
    given.add_argument("--draws", type=int, default=8)
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows = list(run(options.data, options.n, options.draws))
    words = list(sys.argv[1:] if arguments is None else arguments)
    folder = options.out / "map_prior_deviation"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False, float_format="%.5g")
    write(options.out / "map_prior_deviation.md", page(rows, options.n, options.draws, words))


if __name__ == "__main__":
    main()
