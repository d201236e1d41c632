"""The resolution to which a curve of FRC is at least a half, as headlines have it."""

from __future__ import annotations

import pytest
import torch

from cryoprior.evaluation import evaluate
from cryoprior.metrics.rings import frc_reach_angstrom

BOX, PIXEL = 16, 2.0


def curve(*values: float) -> torch.Tensor:
    return torch.tensor([1.0, *values])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.9, 0.7, 0.3, 0.9), 32 / 2.5),  # half way between shells 2 and 3; what comes back later does not count
        ((0.5, 0.4), 32 / 1.0),
        ((0.9, 0.5, 0.5, 0.6), 32 / 4.0),  # to the last shell
        ((0.49, 1.0), None),
        ((-0.1, 0.9), None),
        ((float("nan"), 0.9), None),
    ],
)
def test_it_is_where_the_curve_first_falls_below(values: tuple[float, ...], expected: float | None) -> None:
    found = frc_reach_angstrom(curve(*values), BOX, PIXEL)
    assert found == (None if expected is None else pytest.approx(expected))


def test_another_level_is_another_resolution() -> None:
    assert frc_reach_angstrom(curve(0.9, 0.1), BOX, PIXEL, 0.143) == pytest.approx(32 / (1 + 0.757 / 0.8))


def test_evaluate_says_it_in_angstrom_of_every_image() -> None:
    draw = torch.Generator().manual_seed(0)
    clean = torch.randn(6, 32, 32, generator=draw)
    close = clean + 0.3 * torch.randn(6, 32, 32, generator=draw)
    far = clean + 5.0 * torch.randn(6, 32, 32, generator=draw)
    found = evaluate(close, far, clean, pixel_size=3.0, lpips="off").summary["clean"]
    assert found["frc_half_angstrom"] == pytest.approx(6.0)  # Nyquist
    assert found["full_image"]["frc_half_angstrom"] is None
