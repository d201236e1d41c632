"""What a measurement leaves of each frequency, against A+ A as a dense matrix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.operators import Operator, measured_transfer, parse_operator

PIXEL = [
    ("pixel:block=4,masks=5,rows=hadamard,sets=3", 8),
    ("pixel:block=8,masks=24,rows=hadamard,sets=2", 16),
    ("pixel:block=4,masks=4,rows=hadamard,keep_ones=false,sets=2", 8),
    ("pixel:block=4,masks=9,rows=bernoulli,sets=3", 8),
    ("pixel:block=3,masks=4,rows=bernoulli,sets=2", 9),
]
FOURIER = [
    "fourier:pattern=uniform,compression=4,sets=5",
    "fourier:pattern=ring,compression=3,sets=2",
    "fourier:symmetry=published,compression=3,sets=2",
]


def dense_transfer(operator: Operator, index: int) -> torch.Tensor:
    """Return the diagonal of F A+ A F^H, F the orthonormal fft2, on the rfft2 grid."""
    box, n = operator.box, operator.n
    unit = torch.eye(n, dtype=torch.float64).reshape(n, box, box)
    projector = operator.project(unit, [index] * n).reshape(n, n).T
    fourier = torch.fft.fft2(unit.to(torch.complex128), norm="ortho").reshape(n, n).T
    diagonal = torch.einsum("kp,pq,kq->k", fourier, projector.to(fourier.dtype), fourier.conj())
    assert float(diagonal.imag.abs().max()) < 1e-10
    return diagonal.real.reshape(box, box)[:, : box // 2 + 1]


def half_plane_mean(values: torch.Tensor, box: int) -> float:
    """Return the mean over the whole plane of values on the rfft2 grid."""
    column = torch.arange(box // 2 + 1)
    twice = 1 + ((column > 0) & (2 * column != box)).double()
    return float((values * twice).sum() / box**2)


@pytest.mark.parametrize(("spec", "box"), PIXEL)
def test_sums_of_pixels_leave_the_diagonal_of_their_projector(spec: str, box: int) -> None:
    operator = parse_operator(spec, box=box)
    expected = torch.stack([dense_transfer(operator, index) for index in range(operator.sets)]).mean(0)
    found = measured_transfer(operator, [4, 0], like=torch.empty(0, dtype=torch.float64))
    assert found.shape == (1, box, box // 2 + 1)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-6)
    assert half_plane_mean(found[0], box) == pytest.approx(operator.rank / operator.n, abs=1e-6)
    assert float(found.std()) > 0.01


def test_it_is_one_for_an_operator_that_sees_all() -> None:
    operator = parse_operator("pixel:block=4,masks=16", box=8)
    torch.testing.assert_close(measured_transfer(operator), torch.ones(1, 8, 5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("spec", FOURIER)
@pytest.mark.parametrize("box", [8, 15])
def test_fourier_masks_leave_one_where_they_measured_and_nothing_elsewhere(spec: str, box: int) -> None:
    operator = parse_operator(spec, box=box)
    particles = [0, 3, 1]
    found = measured_transfer(operator, particles, like=torch.empty(0, dtype=torch.float64))
    expected = torch.stack([dense_transfer(operator, index % operator.sets) for index in particles])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert set(np.unique(found.numpy())) == {0.0, 1.0}


def test_it_is_in_the_type_that_was_asked_for() -> None:
    operator = parse_operator("pixel:block=4,masks=5", box=8)
    assert measured_transfer(operator).dtype == torch.float32
    assert measured_transfer(operator, like=torch.empty(0, dtype=torch.float64)).dtype == torch.float64


def test_of_many_sets_the_first_eight_stand_for_all() -> None:
    operator = parse_operator("pixel:block=4,masks=5,sets=40", box=8)
    first = torch.stack([dense_transfer(operator, index) for index in range(8)]).mean(0)
    others = torch.stack([dense_transfer(operator, index) for index in range(8, 40)]).mean(0)
    found = measured_transfer(operator, [39])[0].double()
    torch.testing.assert_close(found, first, rtol=0, atol=1e-6)
    assert float((found - others).abs().max()) < 0.12
