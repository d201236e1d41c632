"""Laws of every registered operator, in float64 and float32, against its definition, autograd and a dense matrix."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from cryoprior.operators import OPERATORS, Operator, Pixel, format_operator, parse_operator

SPECS = (
    "pixel:block=4,masks=7,rows=hadamard",
    "pixel:block=4,masks=16,rows=hadamard",
    "pixel:block=2,masks=1,rows=hadamard",
    "pixel:block=2,masks=2,rows=hadamard",
    "pixel:block=4,masks=16,rows=hadamard,keep_ones=false",
    "pixel:block=2,masks=4,rows=bernoulli",
    "pixel:block=4,masks=9,rows=bernoulli,sets=3",
    "pixel:block=8,masks=24,sets=2",
    "pixel:box=16,block=8,masks=64",
    "pixel:box=16,block=8,masks=3",
    "pixel:block=8,masks=2",
    "pixel:box=16,block=8,masks=1",
    "fourier:compression=2",
    "fourier:compression=1",
    "fourier:compression=2.5,pattern=ring,sets=3",
    "fourier:compression=3,pattern=spoke",
    "fourier:compression=2,symmetry=published,sets=3",
    "fourier:compression=4,symmetry=published,pattern=ring",
    "fourier:compression=4,symmetry=published,pattern=spoke",
    "fourier:compression=2,box=7",
    "fourier:compression=1,box=7,symmetry=published",
    "identity",
    "identity:sets=2",
    "bin:factor=2",
    "crop:size=5",
    "crop:size=4",
    "crop:size=8",
    "quantize:bits=4",
)
PARTICLES = [4, 0, 7, 3, 3]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5}

linear = pytest.mark.parametrize("spec", [s for s in SPECS if OPERATORS[s.partition(":")[0]].linear])
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def build(spec: str) -> Operator:
    return parse_operator(spec, box=None if "box=" in spec else 8, seed=5)


def draw(*shape: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def images(operator: Operator, dtype: torch.dtype, seed: int = 0) -> Tensor:
    return draw(len(PARTICLES), operator.box, operator.box, dtype=dtype, seed=seed)


def measured(operator: Operator, dtype: torch.dtype, seed: int = 1) -> Tensor:
    """Return any vector that the operator may give back: zero where a set is padded."""
    y = draw(len(PARTICLES), operator.m, dtype=dtype, seed=seed)
    used = operator.forward(draw(len(PARTICLES), operator.box, operator.box, dtype=dtype, seed=9), PARTICLES) != 0
    return torch.where(used, y, 0)


def assert_equal(found: Tensor, expected: Tensor, *, factor: float = 1.0) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    scale = expected.double().norm() + 1e-30
    assert (found.double() - expected.double()).norm() <= factor * TOLERANCE[found.dtype] * scale


def dense(operator: Operator, particle: int) -> Tensor:
    """Return A as a matrix, column by column from the definition, (m, n)."""
    basis = torch.eye(operator.n, dtype=torch.float64).reshape(-1, operator.box, operator.box)
    return operator.forward(basis, [particle] * operator.n).T


def check_adjoint(operator: Operator, dtype: torch.dtype) -> None:
    x, y = images(operator, dtype), measured(operator, dtype)
    left = (operator.forward(x, PARTICLES).double() * y.double()).sum()
    right = (x.double() * operator.adjoint(y, PARTICLES).double()).sum()
    scale = operator.forward(x, PARTICLES).double().norm() * y.double().norm()
    assert abs(left - right) <= TOLERANCE[dtype] * scale


def check_pseudo_inverse(operator: Operator, dtype: torch.dtype) -> None:
    x = images(operator, dtype)
    y = operator.forward(x, PARTICLES)
    assert_equal(operator.forward(operator.pinv(y, PARTICLES), PARTICLES), y, factor=10)


def test_every_operator_is_under_the_laws() -> None:
    assert {spec.partition(":")[0] for spec in SPECS} == set(OPERATORS)


@linear
@dtypes
def test_adjoint(spec: str, dtype: torch.dtype) -> None:
    check_adjoint(build(spec), dtype)


@linear
@dtypes
def test_adjoint_is_the_gradient(spec: str, dtype: torch.dtype) -> None:
    operator = build(spec)
    x, y = images(operator, dtype).requires_grad_(), measured(operator, dtype)
    (operator.forward(x, PARTICLES) * y).sum().backward()
    assert x.grad is not None
    assert_equal(x.grad, operator.adjoint(y, PARTICLES))


@linear
@dtypes
def test_linearity(spec: str, dtype: torch.dtype) -> None:
    operator = build(spec)
    x, z = images(operator, dtype), images(operator, dtype, seed=2)
    y = operator.forward(2 * x - 3 * z, PARTICLES)
    assert_equal(y, 2 * operator.forward(x, PARTICLES) - 3 * operator.forward(z, PARTICLES))


@pytest.mark.parametrize("spec", SPECS)
@dtypes
def test_a_particle_does_not_depend_on_its_batch(spec: str, dtype: torch.dtype) -> None:
    operator = build(spec)
    x = images(operator, dtype)
    y = operator.forward(x, PARTICLES)
    assert y.shape == (len(PARTICLES), operator.m)
    backward = operator.forward(x.flip(0), PARTICLES[::-1]).flip(0)
    assert_equal(backward, y)
    for i, particle in enumerate(PARTICLES):
        assert_equal(operator.forward(x[i : i + 1], [particle]), y[i : i + 1])
        assert_equal(operator.pinv(y[i : i + 1], [particle]), operator.pinv(y, PARTICLES)[i : i + 1], factor=10)
        other = operator.forward(x[i : i + 1], [particle % operator.sets])
        assert_equal(other, y[i : i + 1])


@linear
@dtypes
def test_pseudo_inverse_of_a_measurement(spec: str, dtype: torch.dtype) -> None:
    check_pseudo_inverse(build(spec), dtype)


@linear
@dtypes
def test_projection(spec: str, dtype: torch.dtype) -> None:
    operator = build(spec)
    x, z = images(operator, dtype), images(operator, dtype, seed=3)
    seen = operator.project(x, PARTICLES)
    assert_equal(operator.project(seen, PARTICLES), seen)
    assert_equal(operator.pinv(operator.forward(x, PARTICLES), PARTICLES), seen, factor=10)
    left, right = (z.double() * seen.double()).sum(), (operator.project(z, PARTICLES).double() * x.double()).sum()
    assert abs(left - right) <= TOLERANCE[dtype] * x.double().norm() * z.double().norm()


@linear
@dtypes
@pytest.mark.parametrize("weight", [0.01, 1.0, 30.0])
def test_solve(spec: str, dtype: torch.dtype, weight: float) -> None:
    operator = build(spec)
    rhs = images(operator, dtype)
    x = operator.solve(rhs, weight, PARTICLES).double()
    back = operator.adjoint(operator.forward(x, PARTICLES), PARTICLES) + weight * x
    condition = 1 + operator.singular_range[1] ** 2 / weight
    assert (back - rhs).norm() <= TOLERANCE[dtype] * condition * rhs.norm()


@linear
@dtypes
def test_coordinates(spec: str, dtype: torch.dtype) -> None:
    operator = build(spec)
    x = images(operator, dtype)
    y, z = operator.forward(x, PARTICLES), operator.analyse(x, PARTICLES)
    s = operator.singular_values(PARTICLES, like=x)
    assert z.shape == s.shape == (len(PARTICLES), operator.r)
    assert (z[s == 0] == 0).all()
    assert_equal(operator.coordinates(y, PARTICLES), z, factor=10)
    assert_equal(operator.uncoordinates(z, PARTICLES), y)
    assert_equal(operator.synthesise(z, PARTICLES), operator.project(x, PARTICLES))
    assert_equal(operator.analyse(operator.synthesise(z, PARTICLES), PARTICLES), z)
    gram = operator.synthesise(s**2 * z, PARTICLES)
    assert_equal(gram, operator.adjoint(y, PARTICLES))


@linear
@pytest.mark.parametrize("particle", [0, 1])
def test_dense_matrix(spec: str, particle: int) -> None:
    operator = build(spec)
    a = dense(operator, particle)
    x = images(operator, torch.float64)[:1]
    y = x.reshape(1, -1) @ a.T
    inverse = torch.linalg.pinv(a, rtol=1e-9)
    assert_equal(operator.forward(x, [particle]), y)
    assert_equal(operator.adjoint(y, [particle]).reshape(1, -1), y @ a)
    assert_equal(operator.pinv(y, [particle]).reshape(1, -1), y @ inverse.T, factor=10)
    any_y = draw(1, operator.m, dtype=torch.float64)
    assert_equal(operator.pinv(any_y, [particle]).reshape(1, -1), any_y @ inverse.T, factor=10)
    found = operator.singular_values([particle], like=x)[0].sort(descending=True).values
    expected = torch.linalg.svdvals(a)
    rank = int((found > 0).sum())
    assert rank == int((expected > 1e-9 * expected[0]).sum())
    assert_equal(found[:rank], expected[:rank])


@linear
@dtypes
def test_fourier_diagonal(spec: str, dtype: torch.dtype) -> None:
    operator = build(spec)
    x = images(operator, dtype)
    diagonal = operator.fourier_diagonal(PARTICLES, like=x)
    if diagonal is None:
        assert isinstance(operator, Pixel) or operator.name == "bin"
        return
    assert diagonal.dtype == dtype
    gram = operator.adjoint(operator.forward(x, PARTICLES), PARTICLES)
    assert_equal(torch.fft.rfft2(gram).abs(), (diagonal * torch.fft.rfft2(x)).abs())
    grid = torch.arange(operator.box, dtype=torch.float64)
    wave = torch.cos(2 * torch.pi * (2 * grid[:, None] + 3 * grid) / operator.box + 0.3).to(dtype).expand_as(x)
    seen = operator.adjoint(operator.forward(wave.contiguous(), PARTICLES), PARTICLES)
    difference = seen - diagonal[:, 2, 3, None, None] * wave
    assert difference.norm() <= TOLERANCE[dtype] * wave.norm()


@linear
def test_groups_are_the_numbers_of_one_complex_measurement(spec: str) -> None:
    operator = build(spec)
    groups = operator.groups(PARTICLES)
    assert groups.shape == (len(PARTICLES), operator.r)
    for particle, numbers in zip(PARTICLES, groups, strict=True):
        assert torch.equal(operator.groups([particle])[0], numbers)
        known = operator.singular_values([particle])[0] > 0
        basis = torch.eye(operator.r, dtype=torch.float64)[known]
        waves = operator.synthesise(basis, [particle] * len(basis))
        found = numbers[known]
        same = found[:, None] == found
        if operator.name in ("fourier", "crop"):  # Re and Im of a coefficient are images of the same one frequency
            there = torch.fft.rfft2(waves, norm="ortho").abs().flatten(1) > 1e-6
            assert torch.equal(same, (there[:, None] & there).any(-1))
            assert int(same.sum(1).max()) == 2
        else:
            assert torch.equal(same, torch.eye(len(found), dtype=torch.bool))


@pytest.mark.parametrize("spec", SPECS)
def test_text_and_digest(spec: str) -> None:
    operator = build(spec)
    again = parse_operator(format_operator(operator))
    assert again == operator
    assert again.digest() == operator.digest()
    assert len(operator.digest()) == 64
    more = dataclasses.replace(operator, sets=operator.sets + 1)
    assert more.digest() != operator.digest()
    assert (more.arrays(0)[0] == operator.arrays(0)[0]).all()


@pytest.mark.parametrize("spec", SPECS)
def test_counts(spec: str) -> None:
    operator = build(spec)
    ranks = [(operator.values(index) > 0).sum().item() for index in range(operator.sets)]
    assert operator.rank == pytest.approx(sum(ranks) / len(ranks))
    assert operator.rank <= operator.r <= operator.n
    assert operator.effective_compression == pytest.approx(operator.n / operator.rank)
    assert operator.condition >= 1
    assert operator.compression >= 1
    assert operator.stored <= operator.m
    assert operator.nominal
    assert operator.set_bytes > 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Broken(Pixel):
    """Measures one pixel twice as strongly as its adjoint and its singular system say."""

    def forward(self, x: Tensor, particles: object = None) -> Tensor:
        heavier = x.clone()
        heavier[:, 0, 0] *= 2
        return super().forward(heavier, PARTICLES[: len(x)])


@pytest.mark.parametrize("check", [check_adjoint, check_pseudo_inverse])
def test_laws_fail_on_a_broken_operator(check: object) -> None:
    broken = Broken(box=8, block=4, masks=7)
    with pytest.raises(AssertionError):
        check(broken, torch.float64)  # type: ignore[operator]
