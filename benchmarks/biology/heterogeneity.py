"""What compression does to assembly states: cryoDRGN on originals and on reconstructions of 16 x 16 sums at C = 1.25.

Simulated large ribosomal subunits in four states (assembly_states.py), measured, reconstructed in three ways; cryoDRGN
is trained with one seed and the preset small on each stack, and once more on the originals with another seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.biology.assembly_states import LEFT_OUT, write_assembly
from benchmarks.kit.pictures import keep_picture
from benchmarks.kit.table import command, machine, markdown, parser, write, write_csv

from cryoprior.benchmark.steps import run_step
from cryoprior.external.cryodrgn_training import CRYODRGN_PRESETS, trained_version
from cryoprior.heterogeneity.training import TrainingJob, train_latents
from cryoprior.io.pickles import read_pickle

OPERATOR = "pixel:block=16,masks=205"  # 205 of 256 sums: C = 1.25
METHODS: dict[str, dict[str, Any]] = {
    "posterior mean": {"solver": "posterior"},
    "exact sample": {"solver": "exact:steps=10", "estimate": "sample"},
    "least squares": {"solver": "least-squares"},
}
FOLDERS = ("latents",)
"""Keys of a summary that name files of the machine."""
ORIGINAL, AGAIN = "original", "original, another seed"
MEANING = (
    "Agreement: particles that keep the cluster of the original, four Gaussians on UMAP, matched one to one. Accuracy: "
    "particles in the cluster of their true state. Medians over five seeds of UMAP and mixture, with minimum and "
    "maximum. Linear readout: accuracy of a linear classifier of the true states on all latents. The last row is the "
    "ceiling, a second training on the same images; it alone has another seed of cryoDRGN, so a row that shares the "
    "original's seed can lie above it. Least squares uses no prior: what it keeps was measured. The embedded priors "
    "were trained on projections of the same ribosome in other states, with other views and noise."
)


def simulated(data: Path, work: Path, n: int, snr: float) -> Path:
    """Return the simulated particles, made unless they are there."""
    structure = work / "50S.cif"
    if not structure.is_file():
        work.mkdir(parents=True, exist_ok=True)
        write_assembly(data / "structures" / "4v5d.cif.gz", structure)
    run_step(
        "simulate",
        work / "sim",
        structures=(structure,),
        keep_chains=("B*",),
        leave_out=tuple(",".join(chains) for chains in LEFT_OUT),
        n=n,
        box=64,
        pixel_size=5.0,
        snr=snr,
        b_factor=200.0,
        ctf=data / "meta" / "empiar_10028_ctf_sample.csv",
        noise_like=data / "real" / "empiar_10076_7.star",
        seed=505,
    )
    return work / "sim" / "particles.star"


def reconstructed(particles: Path, work: Path, threads: int) -> Iterator[tuple[str, Path]]:
    """Yield every method with its particles, measured and reconstructed unless they are there."""
    measured = work / "measurements.zarr"
    run_step("measure", measured, particles=particles, operator=OPERATOR, seed=5)
    for name, values in METHODS.items():
        folder = work / name.replace(" ", "_")
        run_step("reconstruct", folder, measurements=measured, threads=threads, seed=1, **values)
        yield name, folder / "particles.star"


def latents(particles: Path, work: Path, options: argparse.Namespace) -> dict[str, Path]:
    """Return cryoDRGN's latents by method, trained unless they are there, while the next method reconstructs."""
    preset = CRYODRGN_PRESETS["small"]
    training = dataclasses.replace(preset, epochs=options.epochs or preset.epochs)

    def trained(name: str, path: Path, seed: int = 0) -> Path:
        job = TrainingJob(path, dataclasses.replace(training, seed=seed), "bright", threads=1)
        return train_latents({name: job}, work / "training")[name]

    with ThreadPoolExecutor(options.parallel) as pool:
        running = {ORIGINAL: pool.submit(trained, ORIGINAL, particles)}
        for name, path in reconstructed(particles, work, options.threads):
            running[name] = pool.submit(trained, name, path)
        running[AGAIN] = pool.submit(trained, AGAIN, particles, 1)
        return {name: result.result() for name, result in running.items()}


def compared(z: dict[str, Path], labels: Path, work: Path, seeds: int) -> list[dict[str, Any]]:
    """Return a row a method: its agreement with the originals, and its accuracy against the true states."""
    rows = []
    for name in (*METHODS, AGAIN):
        folder = work / "compared" / slug(name)
        given = {"original": z[ORIGINAL], "reconstructed": z[name], "labels": labels, "seeds": seeds}
        summary = run_step("heterogeneity", folder, ceiling=z[AGAIN], **given)
        rows.append({"method": name, "summary": summary})
    return rows


def slug(name: str) -> str:
    """Return a method's name as that of a file."""
    return name.replace(" ", "_").replace(",", "")


def readout(z: Path, labels: Path) -> float:
    """Return the accuracy of a linear classifier of the true states on latents, five-fold cross-validated."""
    import pandas as pd
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    states = pd.read_csv(labels)["state"].to_numpy()
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(LinearDiscriminantAnalysis(), read_pickle(z), states, cv=folds).mean())


def spread(scores: dict[str, Any], name: str) -> str:
    """Return a median in percent with its minimum and maximum."""
    low, high = (100 * scores["spread"][name][end] for end in ("min", "max"))
    return f"{100 * scores[name]:.1f} ({low:.1f} to {high:.1f})"


def table(compared: list[dict[str, Any]], z: dict[str, Path], labels: Path) -> str:
    """Return the Markdown table."""
    header = ["", "agreement, %", "by cluster, %", "ARI", "NMI", "accuracy, %", "linear readout, %"]
    original = compared[0]["summary"]["labels"]["original"]
    rows = [[ORIGINAL, "", "", "", "", spread(original, "accuracy"), f"{100 * readout(z[ORIGINAL], labels):.1f}"]]
    for row in compared:
        summary, name = row["summary"], row["method"]
        by_cluster = ", ".join(f"{100 * share:.0f}" for share in summary["agreement_by_cluster"])
        accuracy = spread(summary["labels"]["reconstructed"], "accuracy")
        linear = f"{100 * readout(z[name], labels):.1f}"
        scores = [f"{summary[key]:.2f}" for key in ("ari", "nmi")]
        rows.append([name, spread(summary, "agreement"), by_cluster, *scores, accuracy, linear])
    return markdown(header, rows)


def csv_rows(compared: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every number of the summaries, one row a method, keys joined by points."""

    def flat(value: Any, key: str = "") -> dict[str, Any]:
        if isinstance(value, dict):
            return {
                k: v for name, item in value.items() for k, v in flat(item, f"{key}.{name}" if key else name).items()
            }
        return {key: json.dumps(value) if isinstance(value, list) else value}

    return [
        {"method": r["method"], **flat({k: v for k, v in r["summary"].items() if k not in FOLDERS})} for r in compared
    ]


def main(arguments: list[str] | None = None) -> None:
    asked = parser(__doc__, "heterogeneity")
    asked.add_argument("--n", type=int, default=4000, help="particles")
    asked.add_argument("--snr", type=float, default=0.3, help="variance of signal over noise in the particle mask")
    asked.add_argument("--epochs", type=int, help="of cryoDRGN; the preset's where not given")
    asked.add_argument("--seeds", type=int, default=5, help="of UMAP and mixture")
    asked.add_argument("--parallel", type=int, default=1, help="trainings at a time, of one thread each")
    options = asked.parse_args(arguments)
    given = sys.argv[1:] if arguments is None else arguments

    particles = simulated(options.data, options.work, options.n, options.snr)
    z = latents(particles, options.work, options)
    labels = options.work / "sim" / "labels.csv"
    rows = compared(z, labels, options.work, options.seeds)
    shown = []
    for name in (*METHODS, AGAIN):
        for kind in ("embedding", "confusion"):
            picture = options.work / "compared" / slug(name) / f"{kind}.png"
            kept = keep_picture(picture, options.out / "heterogeneity" / f"{slug(name)}_{kind}.png")
            shown.append(f"![{kind} of {name}](heterogeneity/{kept.name})")
    made_by = command("biology.heterogeneity", given)
    facts = (
        f"{options.n} particles of 64 pixels at 5 angstrom, SNR {options.snr:g}, {OPERATOR}. cryoDRGN "
        f"{trained_version(z[ORIGINAL].parent)}, preset small. {machine(options.threads)}."
    )
    parts = [
        "# Assembly states after compression",
        MEANING,
        f"{table(rows, z, labels)}\n{facts}",
        f"    {made_by}",
        *shown,
    ]
    write(options.out / "heterogeneity.md", "\n\n".join(parts) + "\n")
    write_csv(options.out / "heterogeneity" / "summaries.csv", csv_rows(rows))


if __name__ == "__main__":
    main()
