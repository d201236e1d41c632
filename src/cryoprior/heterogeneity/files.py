"""The files of a comparison of latents: tables, pictures, one page and summary.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.heterogeneity.embedding import ORIGINAL, OTHER, RECONSTRUCTED
from cryoprior.heterogeneity.figures import (
    AgreementBars,
    Colouring,
    agreement_bars,
    confusion_picture,
    embedding_panels,
    plane,
    turned_upon,
)
from cryoprior.heterogeneity.scores import Agreement, Labelled
from cryoprior.output.files import write_whole
from cryoprior.output.record import write_summary
from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Section, Table, write_page

MEANING = (
    "Agreement of clusters says that particles which cryoDRGN groups together in the originals are grouped together in "
    "the reconstruction. It does not prove that the states are right: both may share an error, of the poses for "
    "instance, and a prior that was trained on these states may impose them on particles that it knows little of. Look "
    "at the maps of each cluster, and compare with a prior that has not seen these particles."
)
DISTANCES = (
    "Distances, areas and densities in a UMAP mean little; which particles are neighbours is what it keeps. A mixture "
    "divides a continuum as readily as it finds separate states."
)
HOW = (
    "Each embedding is fitted alone, then a mixture of Gaussians with full covariances; every particle belongs to the "
    "likeliest one. Clusters are matched one to one so that most particles agree (Hungarian method). Agreement of a "
    "cluster: the share of the original cluster's particles that are in the matched cluster of the reconstruction. "
    "Chance: the same with the reconstruction's clusters shuffled. ARI: adjusted Rand index, 0 by chance. NMI: "
    "normalised mutual information."
)
WRITTEN = (
    *("clusters.csv", "embedding.csv", "confusion.csv", "seeds.csv", "embedding.png", "confusion.png", "agreement.png"),
    *("confusion_reconstructed.png", "report.html", "provenance.json", "summary.json"),
)
"""The names of all files of a comparison."""
LONGEST_NAME = 18
PANELS = (
    "A particle has the same colour in both panels of a row. The embedding of the reconstructions is turned, or "
    "mirrored, onto that of the originals, for its orientation is arbitrary. Lines: 10, 20, 35, 50, 70 and 90 % of the "
    "highest density. A few far particles are outside the frame."
)


def write_results(folder: Path, summary: Mapping[str, Any], results: Agreement, names: tuple[str, str]) -> None:
    """Write the tables, the pictures, report.html and, last, summary.json."""
    tables = {
        "clusters": cluster_table(results),
        "embedding": embedding_table(results),
        "confusion": confusion_table(results),
        "seeds": seed_table(results),
    }
    for name, table in tables.items():
        write_whole(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g"))
    pictures = _pictures(results, summary)
    for name, (png, _) in pictures.items():
        write_whole(folder / f"{name}.png", png)
    sections = list(_sections(summary, results, pictures))
    write_page(folder / "report.html", "Heterogeneity report", sections, " and ".join(names))
    write_summary(folder, summary)


def cluster_table(results: Agreement) -> pd.DataFrame:
    """Return for every particle its clusters, from 1, their probabilities and its true label, of the shown seed."""
    shown = results.shown
    table = {
        "particle": np.arange(len(results.matched)),
        "original": results.original[shown] + 1,
        "reconstructed": results.matched + 1,
        "probability_original": results.clusterings[ORIGINAL][shown].probability,
        "probability_reconstructed": results.clusterings[RECONSTRUCTED][shown].probability,
    }
    if results.labelled is not None:
        table["label"] = np.array(results.labelled.names)[results.labelled.label]
    return pd.DataFrame(table)


def embedding_table(results: Agreement) -> pd.DataFrame:
    """Return the coordinates of every particle in both embeddings of the shown seed."""
    columns: dict[str, np.ndarray] = {"particle": np.arange(len(results.matched))}
    for name in (ORIGINAL, RECONSTRUCTED):
        coordinates = results.clusterings[name][results.shown].embedding.T
        columns |= {f"{name}_{i}": values for i, values in enumerate(coordinates, 1)}
    return pd.DataFrame(columns)


def confusion_table(results: Agreement) -> pd.DataFrame:
    """Return the particles by cluster of the original (rows) and of the reconstruction, of the shown seed."""
    table = results.scores.agreements[results.shown].table
    columns = {f"reconstructed_{i}": values for i, values in enumerate(table.T, 1)}
    return pd.DataFrame({"original": np.arange(1, len(table) + 1), **columns})


def seed_table(results: Agreement) -> pd.DataFrame:
    """Return one row per seed: scores, ceiling, likelihoods and processor seconds."""
    rows = []
    for i, scores in enumerate(results.scores.agreements):
        ceiling = results.ceiling.agreements[i]
        row: dict[str, Any] = {"seed": i, "shown": i == results.shown}
        row |= {"agreement": scores.overall, "ari": scores.ari, "nmi": scores.nmi}
        row |= {f"agreement_{k}": share for k, share in enumerate(scores.by_row, 1)}
        row |= {"ceiling_agreement": ceiling.overall, "ceiling_ari": ceiling.ari, "ceiling_nmi": ceiling.nmi}
        if results.labelled is not None:
            row |= {f"accuracy_{name}": s.agreements[i].overall for name, s in results.labelled.scores.items()}
        for name in (ORIGINAL, RECONSTRUCTED, OTHER):
            clustering = results.clusterings[name][i]
            row |= {f"log_likelihood_{name}": clustering.log_likelihood, f"seconds_{name}": clustering.seconds}
        rows.append(row)
    return pd.DataFrame(rows)


def _pictures(results: Agreement, summary: Mapping[str, Any]) -> dict[str, tuple[bytes, str]]:
    """Return the pictures by name, each with its caption."""
    shown, names = results.shown, _cluster_names(results.clusters)
    original, reconstructed = (plane(results.clusterings[n][shown].embedding) for n in (ORIGINAL, RECONSTRUCTED))
    colourings = [Colouring("cluster of the original", results.original[shown], names)]
    if results.labelled is not None:
        colourings.append(Colouring("true state", results.labelled.label, _short(results.labelled)))
    panels = {"originals": original, "reconstructions": turned_upon(reconstructed, original)}
    table = results.scores.agreements[shown].table
    shares = results.scores.by_row
    bars = AgreementBars(
        names,
        np.median(shares, 0),
        shares.min(0),
        shares.max(0),
        np.median(results.ceiling.by_row, 0),
        results.chance.by_row,
        summary["agreement"],
        f"ceiling ({summary['ceiling']['kind'].replace('another seed of embedding and mixture', 'another seed')})",
    )
    return {
        "embedding": (
            embedding_panels(panels, colourings),
            f"Embedding ({summary['embedding']}) of seed {shown}. {PANELS}",
        ),
        "confusion": (
            confusion_picture(table, names, names, "cluster of the original", "matched cluster of the reconstruction"),
            f"Share of each original cluster, and its particles, by matched cluster; seed {shown}.",
        ),
        "confusion_reconstructed": (
            confusion_picture(
                table.T, names, names, "matched cluster of the reconstruction", "cluster of the original"
            ),
            f"The same as shares of each cluster of the reconstruction, as in the paper's Figure 3g; seed {shown}.",
        ),
        "agreement": (
            agreement_bars(bars),
            f"Agreement by cluster: medians over {summary['seeds']} seeds, the black lines from least to most.",
        ),
    }


def _cluster_names(clusters: int) -> list[str]:
    return [f"cluster {i}" for i in range(1, clusters + 1)]


def _short(labelled: Labelled) -> list[str]:
    """Return the names of the states, cut to what a legend can hold; bare numbers get the column's name before them."""
    names = [f"{labelled.column} {n}" if n.isdigit() else n for n in labelled.names]
    return [name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…" for name in names]


def _sections(
    summary: Mapping[str, Any], results: Agreement, pictures: Mapping[str, tuple[bytes, str]]
) -> Iterator[Section]:
    shown = {name: Picture(png, caption, caption) for name, (png, caption) in pictures.items()}
    dimensions = [str(summary["latent_dimensions"][name]) for name in (ORIGINAL, RECONSTRUCTED)]
    facts = [
        ("particles", f"{summary['n']:,}"),
        ("latent dimensions", " and ".join(dimensions)),
        ("embedding, clusters", f"{summary['embedding']}, {summary['clusters']}"),
        ("seeds", f"{summary['seeds']}; pictures and tables of particles show seed {results.shown}, the median one"),
    ]
    yield Section("", [KeyValues(facts), Alert("What agreement means, and what not", MEANING, "note")])
    yield Section("Agreement", [_scores_table(summary), Prose(summary["ceiling"]["meaning"]), shown["agreement"]])
    yield Section("Embeddings", [shown["embedding"], Prose(DISTANCES)])
    confusion = [shown["confusion"], shown["confusion_reconstructed"]]
    yield Section("Clusters", [*confusion, _cluster_rows(summary), Prose(HOW)])
    if results.labelled is not None:
        yield Section("True states", list(_label_blocks(summary["labels"], results.labelled, summary["clusters"])))


def _scores_table(summary: Mapping[str, Any]) -> Table:
    rows = [
        _score_row("reconstruction", summary),
        _score_row(f"ceiling: {summary['ceiling']['kind']}", summary["ceiling"]),
        ["chance", f"{100 * summary['chance']['agreement']:.1f} %", "0", ""],
    ]
    caption = f"Medians over {summary['seeds']} seeds, least to most in brackets; all against the originals."
    return Table(("", "agreement", "ARI", "NMI"), rows, caption, strong=(0,))


def _score_row(name: str, scores: Mapping[str, Any], overall: str = "agreement") -> list[str]:
    ends = {key: (spread["min"], spread["max"]) for key, spread in scores["spread"].items()}
    low, high = ends[overall]
    cells = [f"{100 * scores[overall]:.1f} % ({100 * low:.1f} to {100 * high:.1f})"]
    cells += [f"{scores[key]:.3f} ({ends[key][0]:.3f} to {ends[key][1]:.3f})" for key in ("ari", "nmi")]
    return [name, *cells]


def _cluster_rows(summary: Mapping[str, Any]) -> Table:
    spread = summary["spread"]["agreement_by_cluster"]
    columns = (
        summary["cluster_sizes"],
        summary["agreement_by_cluster"],
        spread["min"],
        spread["max"],
        summary["agreement_by_reconstructed_cluster"],
        summary["ceiling"]["agreement_by_cluster"],
        summary["chance"]["agreement_by_cluster"],
    )
    rows = [
        [f"cluster {i}", f"{size:,}", *(f"{100 * share:.1f} %" for share in shares)]
        for i, (size, *shares) in enumerate(zip(*columns, strict=True), 1)
    ]
    head = ("", "particles", "agreement", "least", "most", "of the reconstruction's", "ceiling", "chance")
    return Table(head, rows, "Agreement by cluster of the original, largest first.")


def _label_blocks(labels: Mapping[str, Any], labelled: Labelled, clusters: int) -> Iterator[Block]:
    rows = [
        _score_row("originals", labels[ORIGINAL], "accuracy"),
        _score_row("reconstructions", labels[RECONSTRUCTED], "accuracy"),
        ["chance", f"{100 * labels['chance']['accuracy']:.1f} %", "0", ""],
    ]
    yield Table(("", "accuracy", "ARI", "NMI"), rows, f"Clusters against the column {labelled.column} of the labels.")
    by_label = [labels[name]["accuracy_by_label"] for name in (ORIGINAL, RECONSTRUCTED)]
    states = [
        [name, f"{count:,}", *(f"{100 * share:.1f} %" for share in shares)]
        for name, count, *shares in zip(labelled.names, labelled.counts, *by_label, strict=True)
    ]
    yield Table(("state", "particles", "originals", "reconstructions"), states, "Share in the matched cluster.")
    if len(labelled.names) != clusters:
        text = (
            f"There are {len(labelled.names)} true states and {clusters} clusters; {labels['matched']} pairs are "
            "matched, and all other particles count as wrong. ARI and NMI need no matching."
        )
        yield Alert("States and clusters differ in number", text, "note")
