"""Pictures of models: which residues a line joins, and that any model, however poor, has a picture."""

from __future__ import annotations

import numpy as np
import pytest

from cryoprior.models.figures import ModelTrace, confidence_histogram, model_traces, pair_distributions
from cryoprior.models.page import BuildPage, text
from cryoprior.report.page import render_page

PNG = b"\x89PNG"


def line(n: int, step: float) -> np.ndarray:
    return np.stack([step * np.arange(n), np.zeros(n), np.zeros(n)], 1)


def test_neighbours_are_joined_and_gaps_are_not() -> None:
    trace = line(6, 3.8)
    trace[3:] += [3.8, 0, 0]  # a residue is left out
    broken = trace.copy()
    broken[1] = np.nan
    confidence = np.array([10.0, 20, 30, 40, 50, 60])
    lines, values = ModelTrace("a", [trace], [confidence]).segments()
    np.testing.assert_allclose(lines[:, 0, 0], [0, 3.8, 15.2, 19.0])
    np.testing.assert_array_equal(values, [15, 25, 45, 55])
    assert len(ModelTrace("a", [broken], [confidence]).segments()[0]) == 2
    assert len(ModelTrace("a", [line(5, 6.4)], [confidence[:5]]).segments()[0]) == 4  # phosphates lie farther apart
    assert len(ModelTrace("a", [line(5, 11.0)], [confidence[:5]]).segments()[0]) == 0


@pytest.mark.parametrize("chains", [[line(5, 3.8), line(1, 3.8)], [], [np.full((3, 3), np.nan)]])
def test_every_model_has_a_picture(chains: list[np.ndarray]) -> None:
    known = ModelTrace("a", chains, [np.full(len(c), 60.0) for c in chains])
    unknown = ModelTrace("b", chains, [np.full(len(c), np.nan) for c in chains])
    for models in ([known], [known, unknown]):
        assert model_traces(models).startswith(PNG)


def test_one_value_and_equal_values_have_distributions() -> None:
    for values in (np.array([2.0]), np.full(3, 1.5)):
        assert pair_distributions(values, 10 * values, values / 10).startswith(PNG)
        assert confidence_histogram({"a": (values, np.ones(len(values)))}).startswith(PNG)


def test_the_page_says_what_may_not_be_trusted_and_escapes_names() -> None:
    page = render_page("x", BuildPage({"bundle": "<b>", "mean_confidence": 61.23456, "raw": None}, PNG, PNG).sections())
    assert "&lt;b&gt;" in page
    assert "61.23" in page
    assert "no measurement" in page
    assert "needs checking" in page
    assert (text(None), text(3), text(0.123456)) == ("–", "3", "0.1235")
