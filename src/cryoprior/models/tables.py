"""Tables of atomic models: one row per residue, chain or pair of chains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cryoprior.io.atomic_models import ModelChain
from cryoprior.metrics.atomic_model import ChainPair, Residues
from cryoprior.metrics.model_recovery import Recovery


def residue_table(chains: Sequence[ModelChain]) -> pd.DataFrame:
    """Return one row per residue: chain, kind, number, residue, letter, atoms, confidence."""
    columns = ("chain", "kind", "number", "residue", "letter", "atoms", "confidence")
    rows = [
        (chain.name, chain.kind, *residue)
        for chain in chains
        for residue in zip(
            chain.numbers, chain.names, chain.sequence, chain.atoms.tolist(), chain.b_factor.tolist(), strict=True
        )
    ]
    return pd.DataFrame(rows, columns=list(columns))


def chain_table(chains: Sequence[ModelChain]) -> pd.DataFrame:
    """Return one row per chain: its length, how much of it is unknown, and its mean confidence over atoms."""
    return pd.DataFrame(
        {
            "chain": [chain.name for chain in chains],
            "kind": [chain.kind for chain in chains],
            "residues": [len(chain) for chain in chains],
            "unknown": [chain.sequence.count("X") for chain in chains],
            "confidence": [float((c.atoms * c.b_factor).sum() / c.atoms.sum()) for c in chains],
            "sequence": [chain.sequence for chain in chains],
        }
    )


def matched_residues(
    a: Sequence[ModelChain], b: Sequence[ModelChain], matched: Recovery
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the residues of two models, with the partner that a protein residue has in the other model."""
    tables = residue_table(a), residue_table(b)
    protein = [np.flatnonzero(table["kind"] == "protein") for table in tables]
    labels = [(table["chain"] + ":" + table["number"]).to_numpy(object) for table in tables]
    for side, other in ((0, 1), (1, 0)):
        rows, partners = (protein[of][matched.places[:, of]] for of in (side, other))
        for name, empty, values in (
            ("matched", False, True),
            ("partner", None, labels[other][partners]),
            ("distance_angstrom", np.nan, matched.distance),
            ("same_type", False, matched.same_type),
        ):
            column = np.full(len(tables[side]), empty)
            column[rows] = values
            tables[side][name] = column
    return tables


def matched_chains(chains: Sequence[ModelChain], residues: pd.DataFrame) -> pd.DataFrame:
    """Return one row per chain as :func:`chain_table`, with how many of its residues match, and with one type."""
    table = chain_table(chains)
    ends = np.cumsum([0, *table["residues"]])
    for name in ("matched", "same_type"):
        count = np.concatenate([[0], np.cumsum(residues[name].to_numpy(np.int64))])
        table[name] = count[ends[1:]] - count[ends[:-1]]
    if residues["confidence"].isna().all():
        table["confidence"] = np.nan
    return table


def pair_table(pairs: Sequence[ChainPair]) -> pd.DataFrame:
    """Return one row per pair of chains, the best score first."""
    columns = {
        "chain_a": [pair.a.name for pair in pairs],
        "chain_b": [pair.b.name for pair in pairs],
        "residues_a": [len(pair.a) for pair in pairs],
        "residues_b": [len(pair.b) for pair in pairs],
        "score": [pair.alignment.score for pair in pairs],
        "identity": [pair.alignment.identity for pair in pairs],
        "aligned": [len(pair.alignment.pairs) for pair in pairs],
        "columns": [pair.alignment.columns for pair in pairs],
        "rmsd_angstrom": np.array([pair.rmsd for pair in pairs], np.float64),
    }
    return pd.DataFrame(columns).sort_values("score", ascending=False, kind="stable", ignore_index=True)


def protein_residues(chains: Sequence[ModelChain]) -> list[Residues]:
    """Return the protein chains as the metrics take them."""
    return [Residues(c.name, c.sequence, c.backbone) for c in chains if c.kind == "protein"]


def traces(chains: Sequence[ModelChain]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the traces of all chains and the confidence along each."""
    return [chain.trace for chain in chains], [chain.b_factor for chain in chains]
