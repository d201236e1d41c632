"""The tables of what a map prior is worth: by way of measuring, by molecule, and what the referee said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from benchmarks.kit.table import command, machine, markdown

FULL, FREE, GATED = "full", "prior-free", "gated"
UPPER, LOWER = 0.95, 0.143
GOAL, SHARE, LEAST = 1.5, 1 / 3, 0.97
MEANING = (
    "How many times as many particles would give the same agreement with the truth (FSC within a tight, fixed, soft "
    "mask about the true map, every shell with the amplitude of the truth), against the prior-free map that "
    "`cryoprior map` writes. Worth: geometric mean over the shells where the half maps' FSC that belongs to the "
    "prior-free agreement in that mask lies between .95 and .143, with the standard error over data sets. >= 1.5: "
    "share of these shells. Least: of any of these shells, and of any above .143, which takes in the coarse ones. "
    "Said: what the referee says of the gated map in its own generous mask, where the prior also clears the solvent; "
    "it is another number than the worth within the molecule."
)


def worths(rows: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Return the worth of every map in every data set: logarithm of the mean, share of shells, least, shells."""
    table = pd.DataFrame(rows)
    keys = ["molecule", "snr", "seed", "kind"]
    found = []
    for where, group in table.groupby(keys, sort=False):
        curves = {row["method"]: np.array(row["fsc"].split(), float) for _, row in group.iterrows()}
        free = _power(curves[FREE])
        half = free / (2 - free)
        known = half > LOWER
        known[0] = False
        counted = known & (half < UPPER)
        for _, row in group.iterrows():
            if not counted.any():
                continue
            own = _power(curves[row["method"]])
            worth = own / (1 - own) * (1 - free) / free
            found.append(
                {
                    **dict(zip(keys, where, strict=True)),
                    "method": row["method"],
                    "log": float(np.log(worth[counted]).mean()),
                    "above": float((worth[counted] >= GOAL).mean()),
                    "least": float(worth[known].min()),
                    "least_counted": float(worth[counted].min()),
                    "shells": int(counted.sum()),
                    "said": float(row["said"] or "nan"),
                }
            )
    return pd.DataFrame(found)


def page(rows: Sequence[Mapping[str, str]], kinds: Mapping[str, str], n: int, words: Sequence[str]) -> str:
    """Return the page; ``kinds`` say what each molecule is."""
    found = worths(rows)
    by_method = _lines(found, ["kind", "method"], lambda key: key[1] != FREE)
    gated = found[found["method"] == GATED].assign(what=lambda t: t["molecule"] + ", " + t["molecule"].map(kinds))
    by_molecule = _lines(gated, ["what", "kind"], lambda key: True)
    full = gated[gated["kind"] == FULL]
    passed = [
        f"{what}: {'reached' if group['above'].mean() >= SHARE and group['least'].min() >= LEAST else 'missed'}"
        for what, group in full.groupby("what", sort=False)
    ]
    columns = ["worth", ">= 1.5", "least of these", "least", "said", "data sets"]
    sets = len(found.groupby(["molecule", "snr", "seed"]))
    facts = (
        f"{machine(1)}. {n} particles of 48 pixels of 3.5 Å a data set, CTF, coloured noise, known poses; {sets} data "
        f"sets of {found['molecule'].nunique()} molecules, SNR {', '.join(sorted(found['snr'].unique()))}, "
        f"{found['seed'].nunique()} seed(s)."
    )
    goal = (
        "Goal: the gated map of full particles worth 1.5 or more in at least a third of the shells, and in no shell "
        f"below .97. {'; '.join(passed)}."
    )
    return (
        "# What the embedded map prior is worth on molecules whose families trained nothing\n\n"
        f"{MEANING}\n\n{goal}\n\n## By way of measuring\n\n{markdown(['kind', 'map', *columns], by_method)}\n"
        f"## The gated map by molecule\n\n{markdown(['molecule', 'kind', *columns], by_molecule)}\n"
        f"{facts}\n\n    {command('maps.map_prior', list(words))}\n"
    )


def _lines(found: pd.DataFrame, keys: list[str], wanted: Callable[[tuple[str, str]], bool]) -> list[list[str]]:
    lines = []
    for key, group in found.groupby(keys, sort=False):
        if not wanted(key):
            continue
        mean = group["log"].mean()
        error = group["log"].std() / len(group) ** 0.5 if len(group) > 1 else float("nan")
        said = np.exp(np.log(group["said"]).mean())
        lines.append(
            [
                *key,
                f"{np.exp(mean):.2f} ± {np.exp(mean) * error:.2f}",
                f"{group['above'].mean():.2f}",
                f"{group['least_counted'].min():.2f}",
                f"{group['least'].min():.2f}",
                "" if np.isnan(said) else f"{said:.2f}",
                str(len(group)),
            ]
        )
    return lines


def _power(curve: np.ndarray) -> np.ndarray:
    square: np.ndarray = np.clip(curve, 1e-4, 1 - 1e-9) ** 2
    return square
