"""The files of a plan: candidates and spectrum as CSV, the numbers of its summary."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.tables import read_csv_table
from cryoprior.planning.expecting import Expected
from cryoprior.planning.plan import Plan, Planned
from cryoprior.planning.words import recommendation

COLUMNS = ("angstrom", "snr")


def plan_summary(plan: Plan) -> dict[str, Any]:
    """Return what ``summary.json`` holds."""
    front = {row.candidate.name for row in plan.front}
    return {
        "says": recommendation(plan),
        "n": plan.n,
        "box": plan.spectrum.box,
        "pixel_size_angstrom": plan.spectrum.pixel_size,
        "b_factor_angstrom2": plan.spectrum.b_factor,
        "last_known_angstrom": plan.spectrum.box * plan.spectrum.pixel_size / plan.spectrum.last,
        "recommended": plan.chosen.candidate.name,
        "device": plan.rates.device,
        "candidates": [_row(row, row.candidate.name in front, plan.n) for row in plan.rows],
    }


def write_plan(folder: Path, plan: Plan) -> None:
    """Write candidates.csv and spectrum.csv."""
    front = {row.candidate.name for row in plan.front}
    rows = [_row(row, row.candidate.name in front, plan.n) for row in plan.rows]
    pd.DataFrame(rows).to_csv(folder / "candidates.csv", index=False, float_format="%.6g")
    spectrum, shells = plan.spectrum, np.arange(1, len(plan.spectrum.snr))
    table = pd.DataFrame(
        {
            "shell": shells,
            "angstrom": spectrum.box * spectrum.pixel_size / shells,
            "snr_of_one": spectrum.mean()[1:],
            "deviation": spectrum.deviation[1:],
            "known": shells <= spectrum.last,
        }
    )
    table.to_csv(folder / "spectrum.csv", index=False, float_format="%.6g")


def read_spectrum(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return resolution in angstrom and signal over noise of images from a CSV with the columns angstrom and snr.

    Raises
    ------
    InputError: another file, columns that are missing, fewer than 2 rows, values that are no numbers above 0.
    """
    expected = "a CSV with the columns angstrom and snr"
    table = read_csv_table(path, expected)
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: without {', '.join(missing)}; expected {expected}; add it")
    columns = [pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in COLUMNS]
    bad = ~np.all([np.isfinite(values) & (values > 0) for values in columns], axis=0)
    if bad.any():
        raise InputError(f"{path}: row {int(bad.argmax()) + 1} holds no numbers above 0; expected {expected}; mend it")
    if len(table) < 2 or len(np.unique(columns[0])) < len(table):
        raise InputError(f"{path}: {len(table)} rows; expected 2 or more of different resolution; add them")
    return columns[0], columns[1]


def _row(row: Planned, front: bool, n: int) -> dict[str, Any]:
    return {
        "name": row.candidate.name,
        "kind": row.candidate.kind,
        "compression": row.candidate.compression,
        "bytes": row.bytes_per_particle,
        "bytes_in_all": row.bytes_per_particle * n,
        **_expected("resolution", row.expected),
        **_expected("with_map_prior", row.with_prior),
        "nyquist_limited": row.expected.nyquist_limited,
        "effective_particles": row.effective_particles,
        "hours_to_move": row.hours_to_move,
        "hours_to_map": row.hours_to_map,
        "hours_to_reconstruct": row.hours_to_reconstruct,
        "on_the_front": front,
    }


def _expected(name: str, expected: Expected | None) -> dict[str, float | None]:
    keys = (f"{name}_angstrom", f"{name}_finest", f"{name}_coarsest")
    values = (expected.angstrom, expected.finest, expected.coarsest) if expected is not None else (math.nan,) * 3
    return {key: value if math.isfinite(value) else None for key, value in zip(keys, values, strict=True)}
