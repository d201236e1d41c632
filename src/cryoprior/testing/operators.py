"""The laws of an operator: against its own adjoint, autograd, a dense matrix, and its text."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.operators import Operator, format_operator, parse_operator
from cryoprior.testing.closeness import TOLERANCE, normal, require, require_equal, require_same_product

PARTICLES = [4, 0, 7, 3, 3]
WEIGHTS = (0.01, 1.0, 30.0)
BOXES = (7, 32)
FLAT = 1e-6
"""Below this amplitude a coordinate's image holds nothing at a frequency."""

Law = Callable[[Operator, torch.dtype], None]


def check_operator(operator: Operator) -> None:
    """Raise AssertionError for the first law that an operator breaks, in float64 and in float32.

    An operator that says it is not linear is held to the laws that ask for no matrix.

    Parameters
    ----------
    operator: of a small box, 7 to 16 pixels a side: a law forms A as a matrix. Take several mask sets if it has any.
    """
    low, high = BOXES
    require(low <= operator.box <= high, f"the laws are tried on boxes of {low} to {high} pixels", operator.box)
    for name, law in OPERATOR_LAWS.items():
        if operator.linear or name in LAWS_OF_ALL:
            for dtype in types_of(name):
                law(operator, dtype)


def types_of(law: str) -> tuple[torch.dtype, ...]:
    """Return the types in which a law is tried."""
    return (torch.float64,) if law in ("matrix", "groups", "text", "counts") else tuple(TOLERANCE)


def images(operator: Operator, dtype: torch.dtype, seed: int = 0) -> Float[Tensor, "b box box"]:
    """Return one image per particle of PARTICLES."""
    return normal(len(PARTICLES), operator.box, operator.box, seed=seed, dtype=dtype)


def measured(operator: Operator, dtype: torch.dtype) -> Float[Tensor, "b m"]:
    """Return any vectors that the operator may give back: zero where a mask set is padded."""
    y = normal(len(PARTICLES), operator.m, seed=1, dtype=dtype)
    return torch.where(operator.forward(images(operator, dtype, 9), PARTICLES) != 0, y, 0)


def adjoint(operator: Operator, dtype: torch.dtype) -> None:
    """<A x, y> = <x, A^T y>."""
    x, y = images(operator, dtype), measured(operator, dtype)
    seen = operator.forward(x, PARTICLES)
    left = (seen.double() * y.double()).sum()
    right = (x.double() * operator.adjoint(y, PARTICLES).double()).sum()
    scale = TOLERANCE[dtype] / TOLERANCE[torch.float64] * seen.double().norm() * y.double().norm()
    require_same_product(left, right, scale, "adjoint: <A x, y> = <x, A^T y>")


def gradient(operator: Operator, dtype: torch.dtype) -> None:
    """The gradient of <A x, y> with respect to x is A^T y."""
    x, y = images(operator, dtype).requires_grad_(), measured(operator, dtype)
    (derivative,) = torch.autograd.grad((operator.forward(x, PARTICLES) * y).sum(), x)
    require_equal(derivative, operator.adjoint(y, PARTICLES), "gradient: that of <A x, y> is A^T y")


def linearity(operator: Operator, dtype: torch.dtype) -> None:
    """A (2 x - 3 z) = 2 A x - 3 A z."""
    x, z = images(operator, dtype), images(operator, dtype, 2)
    expected = 2 * operator.forward(x, PARTICLES) - 3 * operator.forward(z, PARTICLES)
    law = "linearity: A (2 x - 3 z) = 2 A x - 3 A z"
    require_equal(operator.forward(2 * x - 3 * z, PARTICLES), expected, law)


def batch(operator: Operator, dtype: torch.dtype) -> None:
    """A particle is measured alike alone, in any batch and in any order, by mask set ``particle mod sets``."""
    x = images(operator, dtype)
    y, law = operator.forward(x, PARTICLES), "batch: a particle does not depend on its batch mates or their order"
    shape = (len(PARTICLES), operator.m)
    require(tuple(y.shape) == shape, "batch: m numbers per particle", f"{tuple(y.shape)}, expected {shape}")
    require_equal(operator.forward(x.flip(0), PARTICLES[::-1]).flip(0), y, law)
    back = operator.pinv(y, PARTICLES)
    for i, particle in enumerate(PARTICLES):
        one = slice(i, i + 1)
        require_equal(operator.forward(x[one], [particle]), y[one], law)
        require_equal(operator.pinv(y[one], [particle]), back[one], law, factor=10)
        set_alone = operator.forward(x[one], [particle % operator.sets])
        require_equal(set_alone, y[one], "batch: particle i is measured with mask set i mod sets")


def pseudo_inverse(operator: Operator, dtype: torch.dtype) -> None:
    """A A+ A x = A x."""
    y = operator.forward(images(operator, dtype), PARTICLES)
    again = operator.forward(operator.pinv(y, PARTICLES), PARTICLES)
    require_equal(again, y, "pseudo-inverse: A A+ A = A", factor=10)


def projection(operator: Operator, dtype: torch.dtype) -> None:
    """``project`` is A+ A, a projection, and symmetric."""
    x, z = images(operator, dtype), images(operator, dtype, 3)
    seen = operator.project(x, PARTICLES)
    require_equal(operator.project(seen, PARTICLES), seen, "projection: project twice is project once")
    back = operator.pinv(operator.forward(x, PARTICLES), PARTICLES)
    require_equal(back, seen, "projection: project = A+ A", factor=10)
    left = (z.double() * seen.double()).sum()
    right = (operator.project(z, PARTICLES).double() * x.double()).sum()
    scale = TOLERANCE[dtype] / TOLERANCE[torch.float64] * x.double().norm() * z.double().norm()
    require_same_product(left, right, scale, "projection: <z, project x> = <project z, x>")


def solve(operator: Operator, dtype: torch.dtype) -> None:
    """(A^T A + w I) solve(r, w) = r."""
    rhs = images(operator, dtype)
    for weight in WEIGHTS:
        x = operator.solve(rhs, weight, PARTICLES).double()
        back = operator.adjoint(operator.forward(x, PARTICLES), PARTICLES) + weight * x
        allowed = TOLERANCE[dtype] * (1 + operator.singular_range[1] ** 2 / weight)
        law = f"solve: (A^T A + {weight:g} I) solve(r, {weight:g}) = r"
        require_equal(back, rhs.double(), law, tolerance=allowed)


def coordinates(operator: Operator, dtype: torch.dtype) -> None:
    """A = U S V^T: what ``analyse``, ``synthesise``, ``coordinates`` and ``uncoordinates`` say of it agrees."""
    x = images(operator, dtype)
    y, z = operator.forward(x, PARTICLES), operator.analyse(x, PARTICLES)
    s = operator.singular_values(PARTICLES, like=x)
    shape = (len(PARTICLES), operator.r)
    shapes = (tuple(z.shape), tuple(s.shape))
    require(shapes == (shape, shape), "coordinates: r numbers per particle", f"{shapes}, expected {shape}")
    require(bool((z[s == 0] == 0).all()), "coordinates: V^T x is 0 where s is 0", z[s == 0])
    require_equal(operator.coordinates(y, PARTICLES), z, "coordinates: S^+ U^T A x = V^T x", factor=10)
    require_equal(operator.uncoordinates(z, PARTICLES), y, "coordinates: U S V^T x = A x")
    back = operator.synthesise(z, PARTICLES)
    require_equal(back, operator.project(x, PARTICLES), "coordinates: V V^T x = A+ A x")
    require_equal(operator.analyse(back, PARTICLES), z, "coordinates: V^T V z = z")
    gram = operator.synthesise(s**2 * z, PARTICLES)
    require_equal(gram, operator.adjoint(y, PARTICLES), "coordinates: V S^2 V^T x = A^T A x")


def matrix(operator: Operator, dtype: torch.dtype) -> None:
    """All of it is that of A as a matrix, column by column, and of the matrix's own pseudo-inverse and SVD."""
    for particle in (0, 1):
        basis = torch.eye(operator.n, dtype=torch.float64).reshape(-1, operator.box, operator.box)
        a = operator.forward(basis, [particle] * operator.n).T
        x, any_y = images(operator, torch.float64)[:1], normal(1, operator.m, seed=0)
        y, inverse = x.reshape(1, -1) @ a.T, torch.linalg.pinv(a, rtol=1e-9)
        require_equal(operator.forward(x, [particle]), y, "matrix: A x")
        require_equal(operator.adjoint(y, [particle]).reshape(1, -1), y @ a, "matrix: A^T y")
        for numbers in (y, any_y):
            back = operator.pinv(numbers, [particle]).reshape(1, -1)
            require_equal(back, numbers @ inverse.T, "matrix: A+ y", factor=10)
        s = operator.singular_values([particle], like=x)[0].sort(descending=True).values
        expected = torch.linalg.svdvals(a)
        rank, kept = int((s > 0).sum()), int((expected > 1e-9 * expected[0]).sum())
        require(rank == kept, "matrix: the rank", f"{rank} singular values above 0, expected {kept}")
        require_equal(s[:rank], expected[:rank], "matrix: the singular values")


def fourier_diagonal(operator: Operator, dtype: torch.dtype) -> None:
    """``fourier_diagonal`` is given exactly where the FFT diagonalises A^T A, and is its eigenvalues."""
    x, box = images(operator, dtype), operator.box
    grid = torch.arange(box, dtype=torch.float64)
    wave = torch.cos(2 * torch.pi * (2 * grid[:, None] + 3 * grid) / box + 0.3).to(dtype).expand_as(x).contiguous()
    seen, gram = (operator.adjoint(operator.forward(v, PARTICLES), PARTICLES) for v in (wave, x))
    gain = torch.fft.rfft2(gram) / torch.fft.rfft2(x)
    diagonal = operator.fourier_diagonal(PARTICLES, like=x)
    if diagonal is None:
        mixed = float(gain.imag.abs().max()) > 1e3 * TOLERANCE[dtype] * float(gain.abs().max())
        require(mixed, "fourier_diagonal: it is given where the FFT diagonalises A^T A", "none where it does")
        return
    expected = (diagonal * torch.fft.rfft2(x)).abs()
    require_equal(torch.fft.rfft2(gram).abs(), expected, "fourier_diagonal: |F A^T A x| = d |F x|")
    difference = float((seen - diagonal[:, 2, 3, None, None] * wave).norm() / wave.norm())
    law = "fourier_diagonal: a wave is an eigenvector of A^T A"
    require(difference <= TOLERANCE[dtype], law, f"a relative difference of {difference:.3g}")


def groups(operator: Operator, dtype: torch.dtype) -> None:
    """Coordinates are of one group exactly where they are parts of one Fourier coefficient, and of no other."""
    numbers, pair = operator.groups(PARTICLES), conjugate_pairs(operator.box)
    shape = (len(PARTICLES), operator.r)
    require(tuple(numbers.shape) == shape, "groups: one number per coordinate", f"{tuple(numbers.shape)}")
    for particle, together in zip(PARTICLES, numbers, strict=True):
        alone = operator.groups([particle])[0]
        require(bool((alone == together).all()), "groups: a particle does not depend on its batch", alone)
        known = operator.singular_values([particle])[0] > 0
        basis = torch.eye(operator.r, dtype=torch.float64)[known]
        waves = operator.synthesise(basis, [particle] * len(basis))
        there = torch.fft.fft2(waves, norm="ortho").abs().flatten(1) > FLAT
        at = pair[there.int().argmax(1)]
        single = ~(there & (pair != at[:, None])).any(1)
        expected = (at[:, None] == at) & single[:, None] & single | torch.eye(len(basis), dtype=torch.bool)
        same = together[known][:, None] == together[known]
        wrong = int((same != expected).sum())
        require(wrong == 0, "groups: one group per Fourier coefficient", f"{wrong} pairs that are not so")


def conjugate_pairs(box: int) -> Int[Tensor, " n"]:
    """Return for every frequency of the full plane the smaller of its own place and that of its negative, (n,)."""
    place = torch.arange(box**2).reshape(box, box)
    negative = place.flip((0, 1)).roll((1, 1), (0, 1))
    return torch.minimum(place, negative).flatten()


def text(operator: Operator, dtype: torch.dtype) -> None:
    """Its text reads back as the same operator, and its digest changes with its mask sets and with nothing else."""
    try:
        again = parse_operator(format_operator(operator))
    except InputError as error:
        raise AssertionError(f"text: its text reads back as the operator: found {error}") from error
    require(again == operator, "text: its text reads back as the operator", again)
    require(again.digest() == operator.digest(), "text: equal operators have one digest", again.digest())
    more = dataclasses.replace(operator, sets=operator.sets + 1)
    require(more.digest() != operator.digest(), "text: another number of mask sets, another digest", more.digest())
    same = all(bool((a == b).all()) for a, b in zip(more.arrays(0), operator.arrays(0), strict=True))
    require(same, "text: a mask set does not depend on how many there are", "other arrays of set 0")


def counts(operator: Operator, dtype: torch.dtype) -> None:
    """Rank, compressions and sizes are those of the singular values."""
    ranks = [int((operator.values(index) > 0).sum()) for index in range(operator.sets)]
    rank = sum(ranks) / len(ranks)
    stated = {name: getattr(operator, name) for name in ("rank", "effective_compression", "compression", "stored")}
    require(abs(operator.rank - rank) < 1e-9, "counts: rank, the mean over mask sets", f"{stated}, expected {rank}")
    require(operator.rank <= operator.r <= operator.n, "counts: rank <= r <= n", stated)
    effective = stated["effective_compression"] * rank / operator.n
    require(abs(effective - 1) < 1e-9, "counts: effective compression n / rank", stated)
    require(operator.condition >= 1 and operator.compression >= 1, "counts: condition, compression >= 1", stated)
    require(0 < operator.stored <= operator.m, "counts: 0 < stored <= m", stated)
    require(bool(operator.nominal) and operator.set_bytes > 0, "counts: nominal and set_bytes say something", stated)


LAWS_OF_ALL: dict[str, Law] = {"batch": batch, "text": text, "counts": counts}
"""Those that ask for no matrix."""
OPERATOR_LAWS: dict[str, Law] = {
    "adjoint": adjoint,
    "gradient": gradient,
    "linearity": linearity,
    "pseudo-inverse": pseudo_inverse,
    "projection": projection,
    "solve": solve,
    "coordinates": coordinates,
    "matrix": matrix,
    "fourier_diagonal": fourier_diagonal,
    "groups": groups,
    **LAWS_OF_ALL,
}
