"""Speed: `exact` at 25 evaluations against the paper's sampler at 1000, and the work of `exact` beside the network.

One prior, one machine, the same batches. The paper's sampler gets the best of its gradient options with zeta_max tuned
on other particles: all candidates at few evaluations first, the best of them again at the full number.

    python benchmarks/speed.py [--data FOLDER] [--prior FOLDER] [--rounds 3] [--images 8]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from arguments import Run, parser
from cells import Cell, choose, named_cells
from datasets import RECIPES, Images, simulated
from harness import Fitted, fit_prior, measure, reconstruct
from table import markdown, signed, write, write_csv

from cryoprior.evaluation.pooled import SCORES, PairSums, pooled_gain, pooled_scores
from cryoprior.metrics import ssim
from cryoprior.operators import Operator, parse_operator
from cryoprior.solvers import parse_solver

SCRIPT = "speed.py"
ZETAS = {
    "unit": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    "lipschitz": (0.1, 0.3, 1.0, 2.0, 4.0),
    "plain": (1e-6, 1e-4, 1e-3, 1e-2, 1.0),
}
FINAL_GRADIENTS = 2
CELLS = ("pixel K=16 C=2.5 bernoulli", "fourier uniform C=2.5 hermitian")
TARGET_RATIO, TARGET_RESIDUAL = 35, 1e-4
OWN_WORK = (
    ("pixel:block=16,masks=102,rows=hadamard", 0.30),
    ("pixel:block=32,masks=410,rows=hadamard", 0.30),
    ("fourier:pattern=uniform,compression=2.5", 0.10),
)


def nesterov(gradient: str, zeta: float, steps: int) -> str:
    """Return the paper's sampler as text."""
    return f"nesterov:steps={steps},gradient={gradient},zeta_max={zeta:g}"


def quality(run: Run, fitted: Fitted, operator: Operator, images: Images, text: str) -> float:
    """Return the mean SSIM with the particles themselves; minus one for a sampler that diverged."""
    y = measure(operator, images.original)
    x = reconstruct(fitted.reconstructor(parse_solver(text), operator, dtype=run.options.dtype), y).x
    return float(ssim(x, images.original).mean()) if bool(torch.isfinite(x).all()) else -1.0


def tune(run: Run, cell: Cell, others: Images) -> list[dict[str, Any]]:
    """Return what was tried, best last: candidates at few evaluations, then the finalists at the full number."""
    options, operator = run.options, cell.operator(others.box)
    fitted = fit_prior(run.prior, operator, measure(operator, others.original), spectrum=options.spectrum)
    tried = []
    for gradient, zetas in ZETAS.items():
        for zeta in zetas:
            found = quality(run, fitted, operator, others, nesterov(gradient, zeta, options.tuning_steps))
            tried.append({"gradient": gradient, "zeta": zeta, "steps": options.tuning_steps, "ssim": found})
    finals = []
    for entry in finalists(tried):
        text = nesterov(entry["gradient"], entry["zeta"], options.nesterov_steps)
        final = quality(run, fitted, operator, others.first(2), text)
        finals.append(entry | {"steps": options.nesterov_steps, "ssim": final})
    return tried + sorted(finals, key=lambda t: t["ssim"])


def finalists(tried: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the best zeta of the two best gradients, and the next smaller: more evaluations ask for shorter steps."""
    columns = [[t for t in tried if t["gradient"] == gradient] for gradient in ZETAS]
    peaks = [max(range(len(column)), key=lambda i, c=column: c[i]["ssim"]) for column in columns]
    order = sorted(zip(columns, peaks, strict=True), key=lambda pair: -pair[0][pair[1]]["ssim"])
    return [entry for column, peak in order[:FINAL_GRADIENTS] for entry in column[max(0, peak - 1) : peak + 1]]


def race(run: Run, cell: Cell, images: Images, rival: str) -> dict[str, Any]:
    """Return seconds an image of every round, and quality over all images, of exact's mean and sample and the rival."""
    options, operator = run.options, cell.operator(images.box)
    y = measure(operator, images.original)
    fitted = fit_prior(run.prior, operator, y, spectrum=options.spectrum)
    sample = f"exact:estimate=sample,steps={options.steps}"
    texts = {"exact mean": f"exact:steps={options.steps}", "exact sample": sample, "nesterov": rival}
    assert images.clean is not None
    result, sums, similar = {}, {}, {}
    for name, text in texts.items():
        reconstructor = fitted.reconstructor(parse_solver(text), operator, dtype=options.dtype)
        reconstruct(
            fitted.reconstructor(parse_solver("exact:steps=2"), operator, dtype=options.dtype), y[:1]
        )  # warm up
        rounds = []
        for k in range(options.rounds):
            low = k * options.images
            rounds.append(reconstruct(reconstructor, y[low : low + options.images], options.images, low))
        x = torch.cat([part.x for part in rounds])
        sums[name], similar[name] = PairSums.of(x, images.clean), ssim(x, images.original).double()
        result[name] = pooled_scores(sums[name]) | {
            "ssim": float(similar[name].mean()),
            "seconds": [part.seconds / options.images for part in rounds],
            "residual": max(float(part.residual.max()) for part in rounds),
            "evaluations": rounds[0].evaluations,
            "text": text,
        }
    for name in ("exact mean", "exact sample"):
        difference = similar[name] - similar["nesterov"]
        error = float(difference.std()) / len(difference) ** 0.5 if len(difference) > 1 else 0.0
        pair = pooled_gain(sums[name], sums["nesterov"]) | {"ssim": [float(difference.mean()), error]}
        result[name]["over nesterov"] = pair
    return result


def own_work(run: Run, images: Images, text: str, estimate: str) -> dict[str, Any]:
    """Return the share of exact's time that is not spent in the network, of every round."""
    options, operator = run.options, parse_operator(text, box=images.box)
    y = measure(operator, images.original)
    fitted = fit_prior(run.prior, operator, y, spectrum=options.spectrum)
    solver = parse_solver(f"exact:estimate={estimate},steps={options.steps}")
    reconstruct(fitted.reconstructor(parse_solver("exact:steps=2"), operator, dtype=options.dtype), y)  # warm up
    rounds = [
        reconstruct(fitted.reconstructor(solver, operator, dtype=options.dtype), y) for _ in range(options.rounds)
    ]
    return {
        "share": [1 - part.seconds_network / part.seconds for part in rounds],
        "seconds": [part.seconds / len(y) for part in rounds],
    }


def race_section(cell: Cell, tried: Sequence[dict[str, Any]], result: dict[str, Any], n: int) -> str:
    """Return the tables of one cell: the tuning, then the race with what is wanted of it."""
    tuning = markdown(
        ("gradient", "zeta_max", "evaluations", "SSIM"),
        [(t["gradient"], f"{t['zeta']:g}", t["steps"], t["ssim"] if t["ssim"] >= 0 else "diverged") for t in tried],
    )
    slow, rows = median(result["nesterov"]["seconds"]), []
    for name, found in result.items():
        seconds, pairs = median(found["seconds"]), found.get("over nesterov", {})
        row: list[Any] = [name, found["evaluations"], f"{seconds:.3f}", f"{slow / seconds:.1f}"]
        row += [f"{found['residual']:.1e}", *(f"{found[key]:.3f}" for key in ("ssim", *SCORES))]
        rows.append(row + [signed(pairs[key]) if pairs else None for key in ("ssim", *SCORES)])
    scores = ("SSIM", "corr.", "FRC")
    header = ["", "evaluations", "s an image", "times faster", "largest residual", *scores]
    table = markdown([*header, *(f"{name} over nesterov" for name in scores)], rows)
    return (
        f"### {cell.name}, {n} particles\n\n{table}\n{verdict(result)}\n\nTuning of nesterov, on other particles "
        f"(SSIM with the particle; the last line is what ran, `{result['nesterov']['text']}`):\n\n{tuning}\n"
    )


def verdict(result: dict[str, Any]) -> str:
    """Return in words whether the targets are met, by samples (nesterov draws samples) and by the mean."""
    slow, words = median(result["nesterov"]["seconds"]), []
    for name in ("exact sample", "exact mean"):
        found, ratio = result[name], slow / median(result[name]["seconds"])
        lower = [key for key, (d, error) in found["over nesterov"].items() if d < -2 * error]
        parts = [f"{ratio:.1f} times faster ({_met(ratio >= TARGET_RATIO)}, at least {TARGET_RATIO})"]
        parts.append(f"quality {'lower in ' + ', '.join(lower) if lower else 'not lower'} ({_met(not lower)})")
        parts.append(f"residual {found['residual']:.1e} ({_met(found['residual'] < TARGET_RESIDUAL)}, below 1e-4)")
        words.append(f"{name}: {', '.join(parts)}.")
    return " ".join(words)


def work_section(work: dict[tuple[str, str], dict[str, Any]], box: int) -> str:
    """Return the table of the time beside the network."""
    limits, rows = dict(OWN_WORK), []
    for (text, estimate), found in work.items():
        share = median(found["share"])
        row = [text, estimate, f"{100 * share:.0f} %", f"{100 * limits[text]:.0f} %", _met(share <= limits[text])]
        rows.append([*row, f"{median(found['seconds']):.2f}"])
    header = ("operator", "estimate", "not in the network", "at most", "", "s an image")
    return f"## Own work beside the network, {box} pixels\n\n" + markdown(header, rows)


def _met(reached: bool) -> str:
    return "met" if reached else "NOT MET"


def main(arguments: Sequence[str] | None = None) -> None:
    found = parser(__doc__)
    found.add_argument("--steps", type=int, default=25)
    found.add_argument("--nesterov-steps", type=int, default=1000)
    found.add_argument("--tuning-steps", type=int, default=100)
    found.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    found.add_argument("--images", type=int, default=8, help="particles a round, one batch")
    found.add_argument("--work-box", type=int, default=128, help="pixels where own work is measured")
    options: argparse.Namespace = found.parse_args(arguments)
    options.images = min(options.images, options.limit or options.images)
    run, lines = Run.open(SCRIPT, options, arguments), []
    n, size = options.rounds * options.images, {"images": options.images, "rounds": options.rounds}
    raced = simulated(RECIPES[0], options.data, options.work, n)
    others = simulated(RECIPES[1], options.data, options.work, min(4, options.images))
    text = f"# Speed\n\n{HEAD}\n## `exact` against `nesterov`, {raced.box} pixels, batches of {options.images}\n\n"
    for cell in [cell for cell in named_cells() if cell.name in CELLS and cell in choose([cell], options.cells)]:
        steps = {"tuning": options.tuning_steps, "nesterov": options.nesterov_steps}
        tried = run.cached(lambda cell=cell: tune(run, cell, others), what="tuning", cell=cell.name, **steps, **size)
        rival = nesterov(tried[-1]["gradient"], tried[-1]["zeta"], options.nesterov_steps)
        key = {"what": "race", "cell": cell.name, "rival": rival, "steps": options.steps} | size
        result = run.cached(lambda cell=cell, rival=rival: race(run, cell, raced, rival), **key)
        text += race_section(cell, tried, result, n)
        lines += [{"cell": cell.name, "solver": name} | _flat(values) for name, values in result.items()]
    if options.work_box in run.prior.boxes:
        large, work = simulated(RECIPES[0], options.data, options.work, 2 * options.images, options.work_box), {}
        for operator, _ in OWN_WORK:
            for estimate in ("mean", "sample"):
                key = {"what": "own work", "operator": operator, "estimate": estimate, "box": large.box} | size
                work[operator, estimate] = run.cached(
                    lambda o=operator, e=estimate: own_work(run, large, o, e), **key, steps=options.steps
                )
                lines.append({"cell": operator, "solver": f"exact {estimate}"} | _flat(work[operator, estimate]))
        text += work_section(work, large.box)
    else:
        text += f"Own work: this prior was not trained for {options.work_box} pixels.\n"
    write_csv(options.out / "speed.csv", lines)
    write(options.out / "speed.md", text + run.footer())


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    return {k: median(v) if isinstance(v, list) else v for k, v in values.items() if not isinstance(v, dict)}


HEAD = """Times are medians of the rounds. SSIM is with the noisy particle, correlation (corr.) and FRC with the clean
projection, sums over particles; differences with their paired standard errors; \"not lower\" is within two of them.
Residual: ||A x - y|| / ||y||, the largest of all particles; no noise is added to y.
"""

if __name__ == "__main__":
    main()
