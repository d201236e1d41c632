"""Image scores against skimage, and the laws that every score keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from cryoprior.metrics import METRICS, correlation, map_to_interval, psnr, relative_residual, ssim, ssim_range2

IMAGE_METRICS = [name for name, m in METRICS.items() if m.compares == "images" and not m.needs_weights]


def images(seed: int, b: int = 3, box: int = 32) -> torch.Tensor:
    return torch.randn(b, box, box, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ORIGINAL = 40 + 7 * images(0)
ESTIMATE = ORIGINAL + 3 * images(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("ours", "interval"), [(ssim, (0, 1)), (ssim_range2, (-1, 1))])
def test_ssim_equals_skimage(ours, interval, dtype) -> None:
    scores = ours(ESTIMATE.to(dtype), ORIGINAL.to(dtype))
    for score, x, original in zip(scores, ESTIMATE, ORIGINAL, strict=True):
        u, v = (map_to_interval(t[None], original[None], interval)[0].numpy() for t in (x, original))
        theirs = structural_similarity(u, v, data_range=interval[1] - interval[0])
        assert float(score) == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize(("ours", "interval"), [(ssim, (0, 1)), (ssim_range2, (-1, 1))])
def test_ssim_of_faint_images_equals_skimage(ours, interval) -> None:
    # One bright pixel makes the range: variances are then of the size of the constants, and whose they are counts.
    u, v = 0.03 * images(2, 1), 0.03 * images(3, 1)
    v[0, 5, 5], u = 1.0, u + v
    mapped = (map_to_interval(t, v, interval)[0].numpy() for t in (u, v))
    theirs = structural_similarity(*mapped, data_range=interval[1] - interval[0])
    assert float(ours(u, v)) == pytest.approx(theirs, abs=1e-9)


def test_psnr_equals_skimage_and_does_not_depend_on_the_interval() -> None:
    scores = psnr(ESTIMATE, ORIGINAL)
    for score, x, original in zip(scores, ESTIMATE, ORIGINAL, strict=True):
        data_range = float(original.max() - original.min())
        theirs = peak_signal_noise_ratio(original.numpy(), x.numpy(), data_range=data_range)
        assert float(score) == pytest.approx(theirs, abs=1e-6)
    torch.testing.assert_close(scores, psnr(ESTIMATE, ORIGINAL, (-1, 1)))


def test_the_intervals_differ_in_ssim() -> None:
    assert not torch.allclose(ssim(ESTIMATE, ORIGINAL), ssim_range2(ESTIMATE, ORIGINAL), atol=1e-3)


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_no_score_depends_on_the_grey_scale_and_equal_images_score_best(name: str) -> None:
    metric = METRICS[name].function
    torch.testing.assert_close(metric(2 * ESTIMATE - 5, 2 * ORIGINAL - 5), metric(ESTIMATE, ORIGINAL))
    best = metric(ORIGINAL, ORIGINAL)
    assert not bool((best == metric(ESTIMATE, ORIGINAL)).any())
    assert all(
        METRICS[name].reaches(a, float(b)) for a, b in zip(best.tolist(), metric(ESTIMATE, ORIGINAL), strict=True)
    )
    expected = 138.47 if name == "psnr" else 1.0
    assert best.tolist() == pytest.approx([expected] * 3, abs=1e-2)


def test_correlation_is_that_of_numpy_and_zero_for_a_constant() -> None:
    expected = [
        np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(ESTIMATE.numpy(), ORIGINAL.numpy(), strict=True)
    ]
    assert correlation(ESTIMATE, ORIGINAL).tolist() == pytest.approx(expected)
    assert correlation(torch.ones_like(ORIGINAL), ORIGINAL).tolist() == [0, 0, 0]


def test_relative_residual() -> None:
    y = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0]])
    predicted = torch.tensor([[3.0, 3.5], [0.0, 0.0], [1.0, 0.0]])
    assert relative_residual(predicted, y).tolist() == [pytest.approx(0.1), 0, float("inf")]


@pytest.mark.parametrize("original", [torch.ones(1, 16, 16), torch.full((1, 16, 16), float("nan"))])
def test_an_original_without_a_range_is_refused(original: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="constant or not finite"):
        psnr(torch.rand(1, 16, 16), original)


def test_ssim_refuses_images_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(images(0, 1, 6), images(1, 1, 6))
