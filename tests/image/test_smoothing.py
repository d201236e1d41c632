"""What anybody can make of an image without a prior: low-passed, and summed in blocks."""

from __future__ import annotations

import pytest
import torch

from cryoprior.image.smoothing import SUMMED, low_passed, smoothed_views, summed


@pytest.mark.parametrize("box", [8, 10, 17])
def test_blocks_hold_their_mean(box: int) -> None:
    x = torch.randn(3, box, box, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = summed(x)
    assert found.shape == x.shape
    for top in range(0, box, SUMMED):
        for left in range(0, box, SUMMED):
            block = (slice(None), slice(top, top + SUMMED), slice(left, left + SUMMED))
            expected = x[block].mean((1, 2), keepdim=True).expand_as(x[block])
            torch.testing.assert_close(found[block], expected)


def test_smoothing_leaves_an_even_image_and_its_mean() -> None:
    even = torch.full((2, 16, 16), 3.0)
    for view in smoothed_views(even).values():
        torch.testing.assert_close(view, even)
    x = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(1))
    for view in (low_passed(x), summed(x)):
        torch.testing.assert_close(view.mean((1, 2)), x.mean((1, 2)))
        assert (view.var((1, 2)) < 0.3 * x.var((1, 2))).all()
