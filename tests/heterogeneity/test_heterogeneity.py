"""heterogeneity: what it reports of latents of known relation, what it writes and refuses, and the published pair."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.heterogeneity.clusters import Clustering
from cryoprior.heterogeneity.command import Options, run
from cryoprior.heterogeneity.scores import by_size, compare
from cryoprior.output.record import installed_version
from kit.folders import shown as visible

N = 400
QUICK: dict[str, Any] = {"embedding": "pca", "starts": 1, "seeds": 2}
FILES = [
    "agreement.png",
    "clusters.csv",
    "confusion.csv",
    "confusion.png",
    "confusion_reconstructed.png",
    "embedding.csv",
    "embedding.png",
    "provenance.json",
    "report.html",
    "seeds.csv",
    "summary.json",
]
needs_umap = pytest.mark.skipif(installed_version("umap-learn") is None, reason="umap-learn is not installed")


@pytest.fixture
def numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out tables and pictures, which take longer than the numbers."""
    monkeypatch.setattr("cryoprior.heterogeneity.files.write_results", lambda *_: None)


def states(n: int = N) -> np.ndarray:
    return np.random.default_rng(0).choice(4, n, p=[0.1, 0.2, 0.3, 0.4])


def latents(seed: int, distance: float = 12.0, dimensions: int = 5, n: int = N) -> np.ndarray:
    """Return latents about the corners of a skew square in the first two dimensions, deviation 1."""
    values = np.random.default_rng(seed).normal(size=(n, dimensions))
    values[:, :2] += distance * np.array([[0, 0], [0, 1], [1, 0], [1.3, 1.2]])[states(n)]
    return values.astype(np.float32)


def saved(folder: Path, name: str, values: object) -> Path:
    with (folder / name).open("wb") as file:
        pickle.dump(values, file)
    return folder / name


def compared(folder: Path, a: np.ndarray, b: np.ndarray, **changes: Any) -> dict[str, Any]:
    paths = {"original": saved(folder, "a.pkl", a), "reconstructed": saved(folder, "b.pkl", b)}
    return run(Options(**paths, output=folder / "out", **(QUICK | {"overwrite": True} | changes)))


def labelled(folder: Path, values: np.ndarray) -> Path:
    path = folder / "labels.csv"
    pd.DataFrame({"particle": np.arange(len(values)), "state": values}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("embedding", ["pca", "none"])
def test_separate_states_agree_wholly_and_are_true(tmp_path: Path, embedding: str) -> None:
    summary = compared(
        tmp_path, latents(1), latents(2), labels=labelled(tmp_path, states()), embedding=embedding, seeds=2
    )
    for scores in (summary, summary["ceiling"]):
        assert scores["agreement"] == scores["ari"] == 1
        assert scores["nmi"] == pytest.approx(1)
        assert scores["agreement_by_cluster"] == [1] * 4
    assert summary["spread"]["agreement"] == {"min": 1, "max": 1, "std": 0}
    assert summary["agreement_by_reconstructed_cluster"] == [1] * 4
    assert summary["cluster_sizes"] == sorted(np.bincount(states()), reverse=True)
    for name in ("original", "reconstructed"):
        assert summary["labels"][name]["accuracy"] == 1
        assert summary["labels"][name]["accuracy_by_label"] == [1] * 4
    shares = np.bincount(states()) / N
    assert summary["chance"]["agreement"] == pytest.approx((shares**2).sum(), abs=0.05)
    assert summary["labels"]["chance"]["accuracy"] == pytest.approx((shares**2).sum(), abs=0.05)
    assert summary["labels"]["names"] == ["0", "1", "2", "3"]


def test_what_is_written(tmp_path: Path) -> None:
    summary = compared(tmp_path, latents(1, 3.0), latents(2, 3.0), labels=labelled(tmp_path, states()), seeds=3)
    folder = tmp_path / "out"
    assert sorted(visible(folder)) == FILES
    assert json.loads((folder / "summary.json").read_text())["agreement"] == summary["agreement"]
    assert json.loads((folder / "provenance.json").read_text())["command"] == "heterogeneity"
    assert 0.5 < summary["agreement"] < 0.99
    seeds = pd.read_csv(folder / "seeds.csv")
    assert len(seeds) == len(summary["seconds_by_seed"]) == 3
    assert summary["agreement"] == pytest.approx(seeds["agreement"].median(), abs=1e-5)
    assert summary["spread"]["ari"]["min"] == pytest.approx(seeds["ari"].min(), abs=1e-5)
    for k in range(4):
        column = seeds[f"agreement_{k + 1}"]
        assert summary["agreement_by_cluster"][k] == pytest.approx(column.median(), abs=1e-5)
    shown = seeds[seeds["shown"]].iloc[0]
    assert shown["seed"] == summary["shown_seed"]
    clusters = pd.read_csv(folder / "clusters.csv")
    assert (clusters["original"] == clusters["reconstructed"]).mean() == pytest.approx(shown["agreement"], abs=1e-5)
    assert clusters["label"].tolist() == states().tolist()
    assert clusters["original"].value_counts().sort_index().tolist() == summary["cluster_sizes"]
    assert clusters[["probability_original", "probability_reconstructed"]].to_numpy().min() > 0.25
    confusion = pd.read_csv(folder / "confusion.csv").set_index("original").to_numpy()
    assert confusion.sum() == N
    assert confusion.trace() / N == pytest.approx(shown["agreement"], abs=1e-5)
    assert len(pd.read_csv(folder / "embedding.csv").columns) == 5
    page = (folder / "report.html").read_text()
    assert "does not prove that the states are right" in page
    assert "A second training of cryoDRGN on the original particles will likely differ by more" in page


@pytest.mark.usefixtures("numbers_only")
def test_identical_latents_agree_wholly_however_they_overlap(tmp_path: Path) -> None:
    summary = compared(tmp_path, latents(1, 1.5), latents(1, 1.5))
    assert summary["agreement"] == summary["spread"]["agreement"]["min"] == 1


@pytest.mark.usefixtures("numbers_only")
def test_shuffled_particles_agree_by_chance(tmp_path: Path) -> None:
    order = np.random.default_rng(9).permutation(N)
    summary = compared(tmp_path, latents(1), latents(1)[order])
    assert summary["agreement"] == pytest.approx(summary["chance"]["agreement"], abs=0.06)
    assert abs(summary["ari"]) < 0.03


@pytest.mark.usefixtures("numbers_only")
def test_the_order_of_the_particles_does_not_matter(tmp_path: Path) -> None:
    order = np.random.default_rng(9).permutation(N)
    a, b = latents(1, 5.0), latents(2, 5.0)
    one, other = (compared(tmp_path, a[rows], b[rows], starts=5) for rows in (slice(None), order))
    assert one["agreement"] == pytest.approx(other["agreement"], abs=0.01)
    np.testing.assert_allclose(one["agreement_by_cluster"], other["agreement_by_cluster"], atol=0.03)


@pytest.mark.usefixtures("numbers_only")
def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    a, b = latents(1, 2.0), latents(2, 2.0)
    one, other = (compared(tmp_path, a, b, clusters=5) for _ in range(2))
    for summary in (one, other):
        del summary["seconds"], summary["seconds_by_seed"]
    assert one == other
    assert compared(tmp_path, a, b, clusters=5, seed=1)["agreement"] != one["agreement"]


@pytest.mark.usefixtures("numbers_only")
def test_another_training_is_the_ceiling(tmp_path: Path) -> None:
    other = saved(tmp_path, "other.pkl", latents(3, 3.0))
    summary = compared(tmp_path, latents(1, 3.0), latents(2, 2.0), ceiling=other)
    assert summary["ceiling"]["kind"] == "another training"
    assert summary["agreement"] < summary["ceiling"]["agreement"] < 0.99
    direct = compared(tmp_path, latents(1, 3.0), latents(3, 3.0))
    assert direct["agreement"] == summary["ceiling"]["agreement"]
    assert direct["ceiling"]["kind"] == "another seed of embedding and mixture"


def test_dimensions_may_differ_and_one_is_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    line = (20 * states()[:, None] + latents(4, 0.0)[:, :1]).astype(np.float32)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        summary = compared(tmp_path, latents(1), line, seeds=1)
    assert summary["agreement"] == 1
    assert summary["latent_dimensions"] == {"original": 5, "reconstructed": 1}
    assert summary["spread"]["agreement"]["std"] is None
    assert "b.pkl: 1 latent dimensions" in caplog.text


def test_fewer_states_than_clusters(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    merged = np.minimum(states(), 2)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        summary = compared(tmp_path, latents(1), latents(2), labels=labelled(tmp_path, merged), seeds=1)
    assert "3 states, and 4 clusters" in caplog.text
    assert summary["labels"]["matched"] == 3
    smaller = np.bincount(states())[2:].min()
    assert summary["labels"]["original"]["accuracy"] == pytest.approx(1 - smaller / N)
    assert "States and clusters differ in number" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.usefixtures("numbers_only")
def test_labels_of_more_particles_need_indices(tmp_path: Path) -> None:
    every = np.repeat(states(), 2)
    with pytest.raises(InputError, match=r"labels of 800 particles; the latents have 400.*indices"):
        compared(tmp_path, latents(1), latents(2), labels=labelled(tmp_path, every))
    indices = saved(tmp_path, "ind.pkl", np.arange(0, 2 * N, 2))
    summary = compared(tmp_path, latents(1), latents(2), labels=labelled(tmp_path, every), indices=indices, seeds=1)
    assert summary["labels"]["reconstructed"]["accuracy"] == 1


@pytest.mark.usefixtures("numbers_only")
def test_clusters_that_are_none_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapeless = np.random.default_rng(0).normal(size=(N, 6))
    with caplog.at_level(logging.WARNING, "cryoprior"):
        compared(tmp_path, shapeless, shapeless, clusters=6, starts=1, embedding="none")
    assert "agree with themselves by" in caplog.text


def test_clusters_keep_their_names_over_seeds_and_the_median_seed_is_shown() -> None:
    rng = np.random.default_rng(0)

    def named(cluster: np.ndarray, wrong: int) -> Clustering:
        cluster = np.where(np.arange(N) < wrong, 3, rng.permutation(4)[cluster])
        return Clustering(np.zeros((N, 2)), cluster, np.ones(N), 0.0, True, 0.0)

    mistakes = {"original": [0, 0, 0, 0, 0], "reconstructed": [30, 10, 20, 0, 40], "other": [0, 0, 0, 0, 0]}
    clusterings = {name: [named(states(), wrong) for wrong in values] for name, values in mistakes.items()}
    results = compare(clusterings, 4, 0, None, retrained=False)
    assert results.shown == np.argsort(results.scores.overall)[2]
    sizes = sorted(np.bincount(states()), reverse=True)
    for original in results.original:
        assert np.bincount(original).tolist() == sizes
    np.testing.assert_array_equal(results.ceiling.by_row, 1)
    assert results.scores.overall[3] == 1
    assert (results.matched == results.original[results.shown]).mean() == results.scores.overall[results.shown]


def test_by_size() -> None:
    assert by_size(np.array([2, 2, 2, 0, 1, 1]), 4).tolist() == [0, 0, 0, 2, 1, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reconstructed": "b.star"}, r"b.star: no latents .* or train=small"),
        ({"reconstructed": "b.star", "train": "small", "train_ceiling": True}, "in the place of ceiling; pass"),
        ({"train": "small"}, "leave out train"),
        ({"original": "a.star", "reconstructed": "b.star"}, "pass cryoDRGN's z.N.pkl, or train=small"),
        ({"label_column": "state"}, "belong to labels"),
        ({"embedding": "tsne"}, "expected one of umap, pca, none"),
        ({"clusters": 1}, "clusters 1: expected at least 2"),
        ({"seeds": 0}, "seeds 0: expected at least 1"),
    ],
)
def test_options_that_do_not_go_together(changes: dict[str, Any], message: str) -> None:
    paths = {"original": "a.pkl", "reconstructed": "b.pkl", "output": "out"}
    given = {name: Path(value) if name in paths else value for name, value in (paths | changes).items()}
    with pytest.raises(InputError, match=message):
        Options(**given)


@pytest.mark.usefixtures("numbers_only")
def test_latents_that_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"b\.pkl: latents of 399 particles; .*a\.pkl has 400; .*--ind"):
        compared(tmp_path, latents(1), latents(2)[1:])
    with pytest.raises(InputError, match="4 clusters need at least 40"):
        compared(tmp_path, latents(1)[:30], latents(2)[:30])
    with pytest.raises(InputError, match="NaN or infinite"):
        compared(tmp_path, latents(1), latents(2) * np.nan)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_an_output_in_use_is_kept(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="in use"):
        compared(tmp_path, latents(1), latents(2), overwrite=False)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(installed_version("umap-learn") is not None, reason="umap-learn is installed")
def test_umap_that_is_missing_is_told_first(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pip install 'cryoprior\[heterogeneity\]', or pass embedding=pca"):
        compared(tmp_path, latents(1), latents(2), embedding="umap")


@pytest.mark.external
@pytest.mark.slow
@needs_umap
def test_umap_is_the_same_in_one_process_and_in_two(tmp_path: Path) -> None:
    tables = []
    for processes in (1, 2):
        summary = compared(tmp_path, latents(1), latents(2), embedding="umap", seeds=1, processes=processes)
        assert summary["agreement"] == 1
        tables.append((tmp_path / "out" / "embedding.csv").read_bytes())
    assert tables[0] == tables[1]


@pytest.mark.external
@pytest.mark.slow
@needs_umap
def test_the_published_pair(tmp_path: Path, shared_data: Path) -> None:
    original, reconstructed = (shared_data / "published" / f"{name}_z.99.pkl" for name in ("original", "cryogen"))
    summary = run(Options(original, reconstructed, tmp_path / "out", seeds=2))
    assert summary["n"] == 26380
    assert summary["agreement"] == pytest.approx(0.88, abs=0.015)
    assert summary["ari"] == pytest.approx(0.71, abs=0.02)
    assert all(0.80 < share < 0.92 for share in summary["agreement_by_cluster"])
    assert summary["ceiling"]["agreement"] > 0.98
    assert summary["chance"]["agreement"] == pytest.approx(0.27, abs=0.02)
