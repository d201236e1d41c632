"""Operators that a prior was not trained on: what one evaluation loses against a twin that was.

Both priors go on from the embedded one with `cryoprior train --operator-aware`, the second with
`--leave-out block=8 --leave-out pattern=ring --leave-out pattern=spoke`; judged on exactly those operators.

    python benchmarks/left_out.py --twin FOLDER --left-out FOLDER [--data FOLDER]
"""

from __future__ import annotations

from collections.abc import Sequence

from arguments import Run, parser
from datasets import RECIPES, simulated
from harness import prior_name
from images import reconstructed
from simulated_particles import CELLS, digits
from table import markdown, signed, write

from cryoprior.evaluation.pooled import PairSums, pooled_gain, pooled_scores
from cryoprior.prior import load_prior

SCRIPT = "left_out.py"
ONE, MEAN = "posterior:steps=1", "exact:steps=25"
LIMIT_PERCENT = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--twin", required=True, help="prior that was trained on all operators")
    found.add_argument("--left-out", required=True, help="prior that was not trained on those that are judged")
    found.add_argument("--particles", type=int, default=128)
    options = found.parse_args(arguments)
    run = Run.open(SCRIPT, options, arguments)
    twin, left_out = load_prior(options.twin), load_prior(options.left_out)
    family = left_out.config.family
    assert family is not None
    images = simulated(RECIPES[0], options.data, options.work, options.particles).first(options.limit)
    assert images.clean is not None
    rows = []
    for cell in [cell for cell in CELLS if not family.knows(cell.operator(images.box))]:
        pair = [PairSums.of(reconstructed(run, prior, images, cell, ONE), images.clean) for prior in (twin, left_out)]
        linear = pooled_scores(PairSums.of(reconstructed(run, twin, images, cell, "gaussian"), images.clean))[
            "correlation"
        ]
        both = [pooled_scores(sums)["correlation"] for sums in pair]
        difference, error = pooled_gain(pair[1], pair[0])["correlation"]
        percent = [100 * difference / both[0], 100 * error / both[0]]
        verdict = "yes" if percent[0] >= -LIMIT_PERCENT else "NO"
        rows.append([cell.name, *map(digits, (linear, *both)), signed(percent, 2), verdict])
    header = ["cell", "gaussian", "trained on it", "not trained on it", "difference, %", f"within {LIMIT_PERCENT:g} %"]
    steps = f"{twin.config.steps} and {left_out.config.steps}"
    text = HEAD.format(n=len(images.original), steps=steps) + markdown(header, rows)
    facts = f"Twin: {prior_name(twin, options.twin)}; left out: {prior_name(left_out, options.left_out)}."
    write(options.out / "left_out.md", text + run.footer(facts))


HEAD = """# Operators that were left out of training

Correlation with the clean projection of `posterior` mean at one evaluation, {n} unseen views of 50S, 64 pixels: of a
prior that was trained on all operators and of one that never met blocks of 8 x 8 pixels, rings and spokes, on those.
Both went on from the embedded prior, for {steps} steps. Differences with paired standard errors.

"""

if __name__ == "__main__":
    main()
