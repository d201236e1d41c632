"""Pooled agreement with clean images: what it does not see, what adds up, and that its errors are the textbook's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cryoprior.evaluation.pooled import PairSums, jackknife, pooled_gain, pooled_scores


def images(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return noisy and clean images of a blob of varying height, (n, 32, 32), float64."""
    draw = torch.Generator().manual_seed(seed)
    axis = torch.arange(32, dtype=torch.float64) - 16
    blob = torch.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / 30)
    clean = blob * (1 + 0.5 * torch.rand(n, 1, 1, generator=draw, dtype=torch.float64))
    return clean + 0.5 * torch.randn(n, 32, 32, generator=draw, dtype=torch.float64), clean


def test_the_correlation_is_that_of_all_pixels_together() -> None:
    noisy, clean = images(7)
    a, c = (x - x.mean((1, 2), keepdim=True) for x in (noisy, clean))
    expected = float(torch.corrcoef(torch.stack([a.flatten(), c.flatten()]))[0, 1])
    assert pooled_scores(PairSums.of(noisy, clean))["correlation"] == pytest.approx(expected, rel=1e-12)


def test_an_image_agrees_with_itself() -> None:
    _, clean = images(4)
    assert pooled_scores(PairSums.of(clean, clean)) == pytest.approx({"correlation": 1.0, "frc": 1.0})


def test_scale_and_offset_of_all_images_do_not_matter_and_the_sign_does() -> None:
    noisy, clean = images(40)
    found = pooled_scores(PairSums.of(noisy, clean))
    assert pooled_scores(PairSums.of(3 * noisy + 7, clean)) == pytest.approx(found, rel=1e-9)
    assert pooled_scores(PairSums.of(noisy, 0.1 * clean - 2)) == pytest.approx(found, rel=1e-9)
    assert pooled_scores(PairSums.of(-noisy, clean))["correlation"] == pytest.approx(-found["correlation"])


def test_the_first_are_those_of_the_first_images() -> None:
    noisy, clean = images(6)
    few, expected = PairSums.of(noisy, clean).first(4), PairSums.of(noisy[:4], clean[:4])
    assert len(few.products) == 4
    assert pooled_scores(few) == pytest.approx(pooled_scores(expected), rel=1e-12)
    assert pooled_scores(few) != pytest.approx(pooled_scores(PairSums.of(noisy, clean)), rel=1e-6)


def test_two_sets_of_images_of_the_same_particles_are_pooled() -> None:
    noisy, clean = images(6)
    other = 2 * clean + images(6, seed=1)[0]
    pooled = PairSums.of(noisy, clean) + PairSums.of(other, clean)
    together = PairSums.of(torch.cat([noisy, other]), torch.cat([clean, clean]))
    assert len(pooled.products) == 6
    assert pooled_scores(pooled) == pytest.approx(pooled_scores(together), rel=1e-12)


def test_jackknife_of_a_mean_is_the_standard_error() -> None:
    values = torch.randn(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left_out = (values.sum() - values) / 49
    assert float(jackknife(left_out)) == pytest.approx(float(values.std()) / 50**0.5)


def test_the_error_of_a_gain_is_paired() -> None:
    noisy, clean = images(40)
    itself, other = PairSums.of(clean, clean), PairSums.of(noisy, clean)
    difference, error = pooled_gain(itself, other)["correlation"]
    assert difference == pytest.approx(1 - pooled_scores(other)["correlation"])
    assert 0 < error < 0.1 * difference
    assert pooled_gain(other, other)["frc"] == [0.0, 0.0]
    slightly = PairSums.of(noisy + 1e-3 * clean, clean)  # alike: what both have in common is in no error
    assert pooled_gain(slightly, other)["correlation"][1] < 1e-2 * error


def test_a_gain_turns_its_sign_with_its_sides() -> None:
    noisy, clean = images(10)
    better, worse = PairSums.of(noisy + clean, clean), PairSums.of(noisy, clean)
    for name, (difference, error) in pooled_gain(better, worse).items():
        assert difference > 0
        assert pooled_gain(worse, better)[name] == pytest.approx([-difference, error])
