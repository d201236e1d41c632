"""The paper's two downstream results, computed again from the files that were published with it.

cryoDRGN's latents of originals and reconstructions, and ModelAngelo's models of both. Each number stands beside the
paper's and the place where the paper has it, a paragraph or a table of published/tables.md in the data folder.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.kit.pictures import keep_picture
from benchmarks.kit.table import command, machine, markdown, parser, published, write

from cryoprior.benchmark.steps import run_step
from cryoprior.metrics.atomic_model import TIE_BREAKS

STATES = "Heterogeneity (K = 16, C = 1.25); Table 5"
ATOMS = "Heterogeneity, on atomic models; Table 5"
PICTURES = {"heterogeneity": ("embedding", "confusion", "agreement"), "model": ("traces", "confidence", "pairs")}


def percent(value: float) -> str:
    return f"{100 * value:.1f}"


def paper(quantity: str) -> str:
    return f"{published(quantity):g}"


def states(scores: dict[str, Any], linear: dict[str, Any]) -> str:
    """Return the table of the heterogeneity experiment."""
    spread, ceiling = scores["spread"], scores["ceiling"]
    ends_of_paper = (published(f"agreement_by_cluster_{end}_percent") for end in ("least", "most"))
    by_paper = "{:g} to {:g}".format(*ends_of_paper)

    def row(name: str, value: str, low: str, high: str, paper: str) -> list[str]:
        return [name, value, f"{low} to {high}", paper, STATES if paper else ""]

    ends = [spread["agreement_by_cluster"][end] for end in ("min", "max")]
    by_cluster = zip(scores["agreement_by_cluster"], *ends, strict=True)
    rows = [
        row(f"agreement, cluster {i}, %", *map(percent, values), by_paper) for i, values in enumerate(by_cluster, 1)
    ]
    ends = [spread["agreement"][end] for end in ("min", "max")]
    rows.append(
        row(
            "agreement, all, %",
            *map(percent, (scores["agreement"], *ends)),
            f"{published('agreement_mean_percent'):g}, mean of clusters",
        )
    )
    rows += [
        row(key.upper(), *(f"{v:.3f}" for v in (scores[key], spread[key]["min"], spread[key]["max"])), "")
        for key in ("ari", "nmi")
    ]
    ends = [ceiling["spread"]["agreement"][end] for end in ("min", "max")]
    rows.append(row("ceiling, %", *map(percent, (ceiling["agreement"], *ends)), ""))
    rows.append(["chance, %", percent(scores["chance"]["agreement"]), "", "random for DMPlug", STATES])
    ends = [linear["spread"]["agreement"][end] for end in ("min", "max")]
    rows.append(row("agreement, all, with PCA in UMAP's place, %", *map(percent, (linear["agreement"], *ends)), ""))
    return markdown(["", "median of 5 seeds", "least to most", "paper", "where"], rows)


def atoms(models: dict[str, dict[str, Any]]) -> str:
    """Return the table of the atomic models; ``models`` by tie-break."""
    first = models["first"]
    recovery, rmsd = first["recovery"], paper("backbone_rmsd_angstrom")
    rows = [
        ["confidence, original", f"{first['confidence_a']:.2f}", paper("confidence_original"), ATOMS],
        ["confidence, reconstruction", f"{first['confidence_b']:.2f}", paper("confidence_reconstruction"), ATOMS],
        ["chains of 20 residues, original", first["chains_a"], "", ""],
        ["chains of 20 residues, reconstruction", first["chains_b"], "", ""],
        ["pairs of chains", first["pairs"], paper("chain_pairs"), ATOMS],
        ["mean alignment score", f"{first['mean_score']:.2f}", paper("alignment_score"), ATOMS],
        *(
            [f"mean backbone RMSD, tie-break {name}, Å", f"{models[name]['mean_rmsd_angstrom']:.3f}", rmsd, ATOMS]
            for name in TIE_BREAKS
        ),
        ["median backbone RMSD, tie-break first, Å", f"{first['median_rmsd_angstrom']:.2f}", "", ""],
        [
            "C-alphas of the reconstruction's model within 2 Å of one of the original's, %",
            percent(recovery["recall"]),
        ],
        ["the same the other way, %", percent(recovery["precision"])],
        ["residue type the same, of those, %", percent(recovery["sequence_match"])],
        ["RMSD over those C-alphas, Å", f"{recovery['ca_rmsd_angstrom']:.2f}"],
    ]
    return markdown(["", "found", "paper", "where"], [[*row, "", ""][:4] for row in rows])


TEXT = """# The published experiments, computed again

Where: the paragraph, by its first words, and the table of published/tables.md that have the paper's figure.

## States (latents original_z.99.pkl and cryogen_z.99.pkl, 26,380 particles)

{states}
The ceiling is a reseeding of UMAP and mixture alone: no second training of the originals was published. Processor
seconds a seed, both embeddings: {seconds}; the first holds the compilation of UMAP in two processes. All seeds, the
ceiling among them, took {wall:.0f} s in two processes, beside other work on two cores.

![embeddings](published/heterogeneity_embedding.png)

![clusters of the original against those of the reconstruction](published/heterogeneity_confusion.png)

## Atomic models (modelangelo_original.cif.gz and modelangelo_cryogen.cif.gz)

{atoms}
Of equally good alignments the paper took the one that Biopython's pairwise2 returned first: tie-break `published`.
Scoring took {score_seconds:.0f} s with the first tie-break, pictures and page included.

![traces of both models](published/model_traces.png)

![score and backbone RMSD of the pairs](published/model_pairs.png)

{facts}

    {command}
"""


def main(arguments: list[str] | None = None) -> None:
    options = parser(__doc__, "published").parse_args(arguments)
    files = options.data / "published"
    z = {"original": files / "original_z.99.pkl", "reconstructed": files / "cryogen_z.99.pkl"}
    by_umap = run_step("heterogeneity", options.work / "heterogeneity", **z)
    linear = run_step("heterogeneity", options.work / "heterogeneity_pca", **z, embedding="pca")
    models = {side: files / f"modelangelo_{name}.cif.gz" for side, name in (("a", "original"), ("b", "cryogen"))}
    scores = {
        name: run_step("model score", options.work / f"model_{name}", **models, tie_break=name) for name in TIE_BREAKS
    }
    pictures = options.out / "published"
    for step, names in PICTURES.items():
        folder = options.work / ("heterogeneity" if step == "heterogeneity" else "model_first")
        for name in names:
            keep_picture(folder / f"{name}.png", pictures / f"{step}_{name}.png")
    given = sys.argv[1:] if arguments is None else arguments
    text = TEXT.format(
        states=states(by_umap, linear),
        atoms=atoms(scores),
        seconds=", ".join(f"{s:.0f}" for s in by_umap["seconds_by_seed"]),
        wall=by_umap["seconds"],
        score_seconds=scores["first"]["seconds"],
        facts=f"{machine()}.",
        command=command("biology.published", given),
    )
    write(options.out / "published.md", text)


if __name__ == "__main__":
    main()
