"""Every metric keeps its laws, and every law fails on a metric that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cryoprior.metrics import METRICS, Lpips, Metric
from cryoprior.testing import METRIC_LAWS, check_metric


def random_weights() -> dict[str, Tensor]:
    """Return weights of LPIPS that nothing has trained."""
    shapes = [(64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3)]
    stream = torch.Generator().manual_seed(0)
    weights = {}
    for i, (out, channels, *kernel) in enumerate(shapes):
        size = (channels * kernel[0] * kernel[1]) ** -0.5
        weights[f"conv{i}.weight"] = size * torch.randn(out, channels, *kernel, generator=stream)
        weights[f"conv{i}.bias"] = torch.zeros(out)
        weights[f"head{i}.weight"] = torch.rand(1, out, 1, 1, generator=stream)
    return weights


@pytest.mark.parametrize("law", METRIC_LAWS)
@pytest.mark.parametrize("name", METRICS)
def test_law(name: str, law: str) -> None:
    metric = METRICS[name]
    METRIC_LAWS[law](replace(metric, function=Lpips(random_weights())) if metric.needs_weights else metric)


def error(x: Tensor, reference: Tensor) -> Tensor:
    return (x - reference).abs().flatten(1).mean(1)


GOOD = Metric("mae", "Mean absolute error", False, 4, error)
BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("shape", {"function": lambda x, r: error(x, r).mean()}, "shape: one number per particle: found ()"),
    ("shape", {"function": lambda x, r: error(x, r) / 0}, "shape: finite numbers: found [inf"),
    ("batch", {"function": lambda x, r: error(x, r).cumsum(0)}, "batch: a score does not depend on the order"),
    (
        "batch",
        {"function": lambda x, r: error(x, r) / error(x, r).sum()},
        "batch: a score does not depend on the batch",
    ),
    ("best", {"higher_is_better": True}, "best: equal images score best, higher is better: found [0.0, 0.0, 0.0]"),
    ("best", {"function": lambda x, r: 0 * error(x, r)}, "best: equal images score best, lower is better"),
    ("words", {"name": "Mean error"}, "words: a name of small letters, digits and underscores: found 'Mean error'"),
    ("words", {"title": " "}, "words: a title"),
    ("words", {"digits": -1}, "words: decimals to show: found -1"),
]


def test_every_law_is_broken_here() -> None:
    assert {law for law, *_ in BROKEN} == set(METRIC_LAWS)
    check_metric(GOOD)


@pytest.mark.parametrize(("law", "change", "words"), BROKEN)
def test_the_law_fails_on_a_metric_that_breaks_it(law: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(AssertionError) as failed:
        METRIC_LAWS[law](replace(GOOD, **change))
    assert str(failed.value).startswith(words), failed.value
    with pytest.raises(AssertionError):
        check_metric(replace(GOOD, **change))


def test_a_metric_says_how_it_is_shown() -> None:
    assert (GOOD.heading, METRICS["psnr"].heading) == ("Mean absolute error ↓", "PSNR (dB) ↑")
    assert (GOOD.text(0.12345), METRICS["psnr"].text(-0.001)) == ("0.1235", "0.00")
    assert GOOD.reaches(0.1, 0.1)
    assert not GOOD.reaches(0.2, 0.1)
    assert METRICS["ssim"].reaches(0.9, 0.8)
