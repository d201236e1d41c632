"""The verdict by shell as columns of a CSV table and of a STAR file."""

from __future__ import annotations

import pandas as pd

from cryoprior.referee.result import Audit

STAR_NAMES = {
    "shell": "rlnSpectralIndex",
    "angstrom": "rlnAngstromResolution",
    "fsc_halves": "rlnFourierShellCorrelation",
}
"""What RELION has a name for; the other columns have ours, ``cryopriorWorth`` and so on."""


def verdict_table(audit: Audit) -> pd.DataFrame:
    """Return the numbers and the verdict of every shell but 0; NaN is unknown."""
    return pd.DataFrame(audit.rows())


def star_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table under RELION's names where it has one; what is unknown is 0 with the verdict ``unknown``."""
    columns = {name: STAR_NAMES.get(name, _camel(name)) for name in table.columns if name != "verdict"}
    star = table[list(columns)].rename(columns=columns).astype({columns["shell"]: int})
    star = star.astype({name: float for name in star.columns if name != columns["shell"]}).fillna(0.0)
    star.insert(1, "rlnResolution", 1 / table["angstrom"])
    return star.assign(cryopriorVerdict=table["verdict"].str.replace(" ", "_"))


def beside_curves(audit: Audit) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the columns that a table of shells 0 .. d // 2 gets for a map prior, for CSV and for STAR.

    Of shell 0 nothing is known: the prior-free map is taken.
    """
    table = verdict_table(audit)
    nothing = {"weight_free": 1.0, "weight_prior": 0.0, "verdict": "unknown"}
    whole = pd.concat([pd.DataFrame([{"shell": 0, **nothing}]), table], ignore_index=True)
    star = star_table(whole.assign(angstrom=whole["angstrom"].fillna(1.0)))
    ours = [name for name in star.columns if name.startswith("cryoprior")]
    return whole.drop(columns=["shell", "angstrom"]), star[ours]


def _camel(name: str) -> str:
    return "cryoprior" + "".join(part.capitalize() for part in name.split("_"))
