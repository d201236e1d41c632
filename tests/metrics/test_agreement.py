"""Clusters and their agreement: closed forms, laws of names, order and exchange, chance, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.heterogeneity.clusters import ClusterSettings, cluster_latents, fit_mixture
from cryoprior.heterogeneity.embedding import EmbeddingSettings, check_embedding, embed, principal_components
from cryoprior.metrics.agreement import chance, cluster_agreement, match
from cryoprior.output.record import installed_version

N, K = 600, 4
PCA, NONE = (ClusterSettings(EmbeddingSettings(method), starts=3) for method in ("pca", "none"))
external = pytest.mark.external


def draws(seed: int, n: int = N, k: int = K) -> np.ndarray:
    return np.random.default_rng(seed).choice(k, n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))


def blobs(state: np.ndarray, distance: float = 12.0, seed: int = 0) -> np.ndarray:
    """Return latents about the corners of a square in the first two dimensions, deviation 1, as (n, 5)."""
    latents = np.random.default_rng(seed).normal(size=(len(state), 5))
    latents[:, :2] += distance * np.array([[0, 0], [0, 1], [1, 0], [1.3, 1.2]])[state]
    return latents


def test_a_clustering_agrees_with_itself_wholly() -> None:
    found = cluster_agreement(draws(0), draws(0), K, K)
    assert (found.overall, found.ari, found.nmi) == (1, pytest.approx(1), pytest.approx(1))
    np.testing.assert_array_equal(found.by_row, 1)
    np.testing.assert_array_equal(found.table, np.diag(np.bincount(draws(0))))


def test_a_table_by_hand() -> None:
    table = np.array([[1, 7, 2], [5, 0, 1], [1, 2, 11]])
    first, second = (np.repeat(axis.ravel(), table.ravel()) for axis in np.indices((3, 3)))
    found = cluster_agreement(first, second, 3, 3)
    assert found.column_of_row.tolist() == [1, 0, 2]
    assert found.overall == pytest.approx(23 / 30)
    np.testing.assert_allclose(found.by_row, [0.7, 5 / 6, 11 / 14])
    np.testing.assert_allclose(found.by_column, [7 / 9, 5 / 7, 11 / 14])  # the paper's figure counts these
    np.testing.assert_array_equal(found.table, table[:, [1, 0, 2]])
    np.testing.assert_array_equal(np.bincount(first * 3 + found.rename(second)).reshape(3, 3), found.table)

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1) / 2).sum())

    rows, columns = pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * columns / pairs(np.array([30]))
    assert found.ari == pytest.approx((pairs(table) - expected) / ((rows + columns) / 2 - expected))
    p = table / 30
    entropies = [-(m * np.log(m)).sum() for m in (p.sum(0), p.sum(1))]
    outer = np.outer(p.sum(1), p.sum(0))
    information = (p[p > 0] * np.log(p[p > 0] / outer[p > 0])).sum()
    assert found.nmi == pytest.approx(information / np.mean(entropies))


def test_no_other_matching_has_more_particles() -> None:
    table = np.random.default_rng(1).integers(0, 50, (4, 4))
    best = max(sum(table[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(4)))
    assert table[np.arange(4), match(table)].sum() == best


@pytest.mark.parametrize("names", [[3, 1, 0, 2], [1, 0, 3, 2]])
def test_names_of_clusters_and_the_order_of_particles_do_not_matter(names: list[int]) -> None:
    first, second = draws(0), np.where(np.random.default_rng(5).random(N) < 0.7, draws(0), draws(1))
    before = cluster_agreement(first, second, K, K)
    after = cluster_agreement(first, np.array(names)[second], K, K)
    renamed = cluster_agreement(np.array(names)[first], second, K, K)
    order = np.random.default_rng(2).permutation(N)
    shuffled = cluster_agreement(first[order], second[order], K, K)
    for found in (after, renamed, shuffled):
        assert found.overall == before.overall
        assert (found.ari, found.nmi) == (pytest.approx(before.ari), pytest.approx(before.nmi))
    np.testing.assert_array_equal(after.by_row, before.by_row)
    np.testing.assert_array_equal(shuffled.by_row, before.by_row)
    np.testing.assert_array_equal(renamed.by_row[names], before.by_row)
    assert 0.6 < before.overall < 0.9


def test_exchange_turns_the_table_and_leaves_the_whole() -> None:
    first, second = draws(0), np.where(np.random.default_rng(5).random(N) < 0.7, draws(0), draws(1))
    one, other = cluster_agreement(first, second, K, K), cluster_agreement(second, first, K, K)
    assert (one.overall, one.ari, one.nmi) == (other.overall, pytest.approx(other.ari), pytest.approx(other.nmi))
    np.testing.assert_array_equal(one.table.trace(), other.table.trace())


def test_more_labels_than_clusters_and_the_reverse() -> None:
    first = np.repeat([0, 1, 2], [10, 20, 30])
    merged = np.repeat([0, 0, 1], [10, 20, 30])
    fewer = cluster_agreement(first, merged, 3, 2)
    assert fewer.overall == pytest.approx(50 / 60)
    np.testing.assert_array_equal(fewer.by_row, [0, 1, 1])
    np.testing.assert_array_equal(fewer.by_column, [np.nan, 20 / 30, 1])
    assert fewer.column_of_row.tolist() == [-1, 0, 1]
    more = cluster_agreement(merged, first, 2, 3)
    assert more.overall == pytest.approx(50 / 60)
    np.testing.assert_allclose(more.by_row, [2 / 3, 1])
    np.testing.assert_array_equal(more.table, [[20, 0, 10], [0, 30, 0]])
    assert sorted(set(more.rename(first).tolist())) == [0, 1, 2]


def test_an_empty_cluster_has_no_agreement() -> None:
    found = cluster_agreement(np.array([0, 0, 2, 2]), np.array([0, 0, 1, 1]), 3, 3)
    assert found.overall == 1
    assert np.isnan(found.by_row[1])


@pytest.mark.parametrize(("n", "m"), [(4, 5), (0, 0)])
def test_particles_that_are_not_the_same_are_refused(n: int, m: int) -> None:
    with pytest.raises(InputError, match=f"clusters of {n} and of {m} particles"):
        cluster_agreement(np.zeros(n, int), np.zeros(m, int), 1, 1)


def test_chance_is_that_of_sorted_shares() -> None:
    first, second = draws(0, 40000), draws(1, 40000)
    found = chance(first, np.array([2, 0, 3, 1])[second], K, K, seed=0, shuffles=30)
    shares = np.arange(1, K + 1) / 10
    assert found.overall == pytest.approx((shares**2).sum(), abs=0.01)
    np.testing.assert_allclose(found.by_row, shares, atol=0.02)
    assert found.overall < found.highest < 0.33
    assert cluster_agreement(first, second, K, K).overall == pytest.approx(found.overall, abs=0.02)
    again = chance(first, np.array([2, 0, 3, 1])[second], K, K, seed=0, shuffles=30)
    assert again.overall == found.overall
    assert chance(first, second, K, K, seed=1, shuffles=30).overall != found.overall


@pytest.mark.parametrize("settings", [PCA, NONE], ids=["pca", "none"])
def test_separate_blobs_are_found_whatever_order_scale_and_frame(settings: ClusterSettings) -> None:
    state = draws(0)
    latents = blobs(state)
    found = cluster_latents(latents, settings, 0)
    assert found.converged
    assert cluster_agreement(state, found.cluster, K, K).overall == 1
    assert found.probability.min() > 0.9
    order = np.random.default_rng(1).permutation(N)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    for changed in (latents[order], 1e-4 * latents, 1e5 * latents - 1e7, latents @ turn):
        other = cluster_latents(changed, settings, 3).cluster
        expected = state[order] if changed[0, 0] == latents[order][0, 0] else state
        assert cluster_agreement(expected, other, K, K).overall == 1


def test_blobs_that_overlap_agree_in_part() -> None:
    state = draws(0)
    found = [cluster_latents(blobs(state, 2.5, seed), PCA, 0).cluster for seed in (0, 1)]
    assert 0.4 < cluster_agreement(*found, K, K).overall < 0.95


@pytest.mark.parametrize("settings", [PCA, NONE], ids=["pca", "none"])
def test_the_same_state_gives_the_same_clusters(settings: ClusterSettings) -> None:
    latents = blobs(draws(0), 2.0)
    one, other = (cluster_latents(latents, settings, 7) for _ in range(2))
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.cluster, other.cluster)


def test_more_starts_are_never_less_likely() -> None:
    values = np.random.default_rng(0).normal(size=(400, 2))
    likelihoods = [fit_mixture(values, 6, starts, 5)[2] for starts in (1, 10)]
    assert likelihoods[1] >= likelihoods[0] - 1e-6


def test_principal_components() -> None:
    values = np.random.default_rng(0).normal(size=(500, 4)) * [1, 5, 0.1, 3]
    found = principal_components(values)
    expected = np.linalg.svd(values - values.mean(0), full_matrices=False)
    np.testing.assert_allclose(abs(found), abs(expected[0] * expected[1])[:, :2], atol=1e-9)
    np.testing.assert_allclose(found, principal_components(values[::-1])[::-1], atol=1e-9)
    assert principal_components(values[:, :1]).shape == (500, 1)


def test_few_particles_are_refused() -> None:
    with pytest.raises(InputError, match="latents of 39 particles; 4 clusters need at least 40"):
        cluster_latents(blobs(draws(0)[:39]), PCA, 0)


def test_latents_of_few_values_do_not_fail() -> None:
    latents = np.repeat(np.eye(3), 30, 0)
    found = cluster_latents(latents, NONE, 0)
    assert cluster_agreement(np.repeat(np.arange(3), 30), found.cluster, 3, K).overall > 0.6


@pytest.mark.skipif(installed_version("umap-learn") is not None, reason="umap-learn is installed")
def test_umap_that_is_not_installed_says_how_to_get_it() -> None:
    for call in (check_embedding, lambda s: embed(blobs(draws(0)), s, 0)):
        with pytest.raises(InputError, match=r"pip install 'cryoprior\[heterogeneity\]', or pass embedding=pca"):
            call(EmbeddingSettings())


@external
@pytest.mark.slow
@pytest.mark.skipif(installed_version("umap-learn") is None, reason="umap-learn is not installed")
def test_umap_keeps_separate_blobs_and_is_the_same_again() -> None:
    state = draws(0)
    one, other = (cluster_latents(blobs(state), ClusterSettings(), 4) for _ in range(2))
    assert cluster_agreement(state, one.cluster, K, K).overall == 1
    np.testing.assert_array_equal(one.embedding, other.embedding)
    np.testing.assert_array_equal(one.probability, other.probability)
    with pytest.raises(InputError, match="UMAP with 15 neighbours needs more"):
        embed(blobs(state)[:15], EmbeddingSettings(), 0)
