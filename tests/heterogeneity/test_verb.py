"""agreement in Python: what the command reports of the same latents, number for number, and no file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.heterogeneity import agreement
from cryoprior.heterogeneity.command import Options, run

N = 200
QUICK: dict[str, Any] = {"embedding": "pca", "starts": 1, "seeds": 2, "clusters": 3}


def latents(seed: int, n: int = N) -> np.ndarray:
    """Return latents about three overlapping corners, deviation 1."""
    values = np.random.default_rng(seed).normal(size=(n, 4))
    values[:, :2] += 3.0 * np.array([[0, 0], [0, 1], [1, 0]])[np.arange(n) % 3]
    return values


def test_it_is_what_the_command_reports(tmp_path: Path) -> None:
    arrays = {name: latents(seed) for seed, name in enumerate(("a", "b", "c"))}
    for name, values in arrays.items():
        np.save(tmp_path / f"{name}.npy", values)
    pd.DataFrame({"state": np.arange(N) % 3}).to_csv(tmp_path / "labels.csv", index=False)
    paths = {"labels": tmp_path / "labels.csv", "ceiling": tmp_path / "c.npy"}
    run(Options(tmp_path / "a.npy", tmp_path / "b.npy", tmp_path / "out", **paths, **QUICK))
    reported = json.loads((tmp_path / "out" / "summary.json").read_text())
    made = cryoprior.agreement(
        torch.from_numpy(arrays["a"]), arrays["b"], np.arange(N) % 3, ceiling=arrays["c"], **QUICK
    )
    summary = json.loads(json.dumps(made.summary()))
    summary["labels"]["column"] = "state"  # an array has no name
    assert {name: reported[name] for name in summary} == summary
    assert made.overall == reported["agreement"]
    clusters = pd.read_csv(tmp_path / "out" / "clusters.csv")
    assert (clusters["reconstructed"] == made.matched + 1).all()
    assert repr(made).startswith(f"Agreement({100 * made.overall:.1f} % of {N} particles in 3 clusters, ARI ")
    assert len(repr(made)) < 120


def test_what_cannot_be_compared_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    a = latents(0)
    for change, message in (
        ({"reconstructed": a[1:]}, "reconstructed: latents of 199 particles; original has 200"),
        ({"reconstructed": a * np.nan}, "reconstructed: an array of 200 x 4; expected finite latents"),
        ({"original": a[:, 0]}, "original: an array of 200; expected finite latents, n x z"),
        ({"labels": ["one"]}, "labels: labels of 1 particles; the latents have 200"),
        ({"embedding": "tsne"}, "embedding 'tsne': expected one of umap, pca, none"),
        ({"clusters": 21}, "21 clusters need at least 210"),
    ):
        with pytest.raises(InputError, match=message):
            agreement(**{"original": a, "reconstructed": a} | QUICK | change)
