"""What is known of a Gaussian image has a closed form: the evidence is held against dense matrices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, pixel_variance
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import parse_operator
from cryoprior.prior.evidence import Evidence, evidence_of_image, evidence_of_measurement

BOX = 16
PIXELS = BOX**2
PIXEL = ("pixel:block=4,masks=6,rows=hadamard", "pixel:block=4,masks=6,rows=bernoulli")
FOURIER = ("fourier:compression=3,symmetry=hermitian", "fourier:compression=2,symmetry=published")
Make = Callable[..., Any]
EACH_OPERATOR = pytest.mark.parametrize("text", PIXEL + FOURIER)
EACH_CASE = pytest.mark.parametrize(("text", "sigma"), [(t, sigma) for t in PIXEL + FOURIER for sigma in (0.0, 0.5)])


def known(case: Any, y: Tensor, x: Tensor | None, *, keep: Tensor | None = None, tolerance: float = 1e-6) -> Evidence:
    measurement = case.measurement(y, keep)
    return evidence_of_measurement(measurement, x, case.tau, case.signal, case.noise, tolerance=tolerance)


def rms(images: Tensor) -> float:
    return float(images.square().mean().sqrt())


def same(found: Evidence, expected: Evidence) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tau", [None, 1.0])
@EACH_CASE
def test_the_linear_estimate_is_the_conditional_mean_and_the_error_is_its_own(
    dense: Make, text: str, sigma: float, tau: float | None
) -> None:
    case = dense(text, sigma, tau)
    exact = text in FOURIER
    s, _, y, x = case.draw(200 if exact else 80)
    found = known(case, y, x)
    torch.testing.assert_close(found.linear, case.mean(case.signal, y, x), rtol=1e-4, atol=1e-4)
    # of pixel masks the measured subspace is taken as a random one, its share told by four images
    within = 0.02 if exact else 0.1
    assert float(found.error[0]) == pytest.approx(rms(found.linear - s), rel=within)
    assert float(found.error[0]) == pytest.approx(case.error(case.signal), rel=1e-6 if exact else within)
    assert float(found.deviation[0]) == pytest.approx(rms(found.linear), rel=2 * within)
    assert rms(found.pivot) == pytest.approx(0 if x is None else 1, rel=2 * within)
    assert torch.equal(found.error, found.error[:1].expand(len(y)))


@EACH_OPERATOR
def test_without_noise_what_is_seen_is_the_least_squares_image(dense: Make, text: str) -> None:
    case = dense(text)
    _, _, y, _ = case.draw(2)
    deviation = pixel_variance(case.signal + case.noise).sqrt()
    found = known(case, y, None)
    torch.testing.assert_close(found.seen, case.operator.pinv(y, range(2)) / deviation)
    assert not found.pivot.any()


def test_noisy_coordinates_are_damped_in_what_is_seen(dense: Make) -> None:
    case = dense("identity", 0.5)
    _, _, y, _ = case.draw(2)
    variance = pixel_variance(case.signal + case.noise)
    expected = y.reshape(2, BOX, BOX) * variance.sqrt() / (variance + 0.25)
    torch.testing.assert_close(known(case, y, None).seen, expected)


@pytest.mark.parametrize("tau", [0.1, 1.0, 6.0])
def test_an_image_with_white_noise_has_the_level_of_its_measurement(dense: Make, tau: float) -> None:
    case = dense("identity", tau)
    _, _, y, _ = case.draw(2)
    x = y.reshape(2, BOX, BOX)
    of_image = evidence_of_image(x, case.signal, (case.noise + tau**2).expand(2, -1, -1))
    of_measurement = known(case, y, None)
    assert of_image.seen is None
    torch.testing.assert_close(of_measurement.level, of_image.level, rtol=0, atol=1)
    for name in ("linear", "error", "deviation"):
        torch.testing.assert_close(getattr(of_measurement, name), getattr(of_image, name))
    assert float(of_image.level[0]) == pytest.approx(500 + 50 * float(pixel_variance(case.noise + tau**2).log()))
    deviation = pixel_variance(case.signal + case.noise + tau**2).sqrt()
    torch.testing.assert_close(of_image.pivot, x / deviation)


def test_the_more_is_measured_the_lower_is_the_level(dense: Make) -> None:
    levels = []
    for text in ("fourier:compression=8", "fourier:compression=2", "identity"):
        for sigma in (2.0, 0.5, 0.0):
            case = dense(text, sigma)
            levels.append(known(case, case.draw(1)[2], None).level)
    found = torch.stack(levels).reshape(3, 3)
    assert bool((found.diff(dim=0) < 0).all())
    assert bool((found.diff(dim=1) < 0).all())


@pytest.mark.parametrize("tau", [None, 1.0])
@EACH_OPERATOR
def test_the_evidence_of_a_particle_is_its_own(dense: Make, text: str, tau: float | None) -> None:
    case = dataclasses.replace(dense(text, 0.5, tau), operator=parse_operator(f"{text},sets=3", box=BOX, seed=1))
    s, n, _, x = case.draw(4)
    particles = [7, 2, 3, 6]
    y = case.operator.forward(s + n, particles)

    def of(rows: list[int]) -> Evidence:
        measurement = Measurement(case.operator, y[rows], 0.5, [particles[row] for row in rows], "a test")
        noisy = None if x is None else x[rows]
        return evidence_of_measurement(measurement, noisy, tau, case.signal, case.noise)

    whole, alone = of([0, 1, 2, 3]), of([2])
    same(Evidence(*(None if part is None else part[2:3] for part in whole)), alone)


@pytest.mark.parametrize("text", [PIXEL[1], FOURIER[0]])
def test_every_image_of_a_batch_may_have_its_own_noise(dense: Make, text: str) -> None:
    case = dense(text, 0.5, 1.0)
    _, _, y, x = case.draw(2)
    noises = torch.stack([case.noise, 3 * case.noise])
    whole = evidence_of_measurement(case.measurement(y), x, 1.0, case.signal, noises, tolerance=1e-9)
    for i in range(2):
        measurement = Measurement(case.operator, y[i : i + 1], 0.5, [i], "a test")
        alone = evidence_of_measurement(measurement, x[i : i + 1], 1.0, case.signal, noises[i], tolerance=1e-9)
        same(Evidence(*(None if part is None else part[i : i + 1] for part in whole)), alone)


@pytest.mark.parametrize(("sigma", "whole"), [(0.0, True), (0.5, True), (0.5, False)])
@EACH_OPERATOR
def test_coordinates_that_are_left_out_were_not_measured(dense: Make, text: str, sigma: float, whole: bool) -> None:
    case = dense(text, sigma, 1.0)
    _, _, y, x = case.draw(1)
    r = case.operator.r
    stream = torch.Generator().manual_seed(4)
    draw = torch.rand(r, generator=stream)
    if whole:  # both numbers of a Fourier coefficient are kept or left out together
        draw = torch.rand(PIXELS, generator=stream)[case.operator.groups([0])[0]]
    kept = draw < 0.6
    keep = kept.double()[None]
    v = case.operator.synthesise(torch.eye(r, dtype=torch.float64), [0] * r).flatten(1)[kept]
    s = case.operator.singular_values([0], like=y)[0, kept]
    fewer = dataclasses.replace(case, a=s[:, None] * v)
    told = case.operator.coordinates(y, [0])[:, kept] * s
    found = known(case, y, x, keep=keep)
    torch.testing.assert_close(found.linear, fewer.mean(case.signal, told, x), rtol=1e-4, atol=1e-4)
    exact = whole and text in FOURIER
    assert float(found.error) == pytest.approx(fewer.error(case.signal), rel=1e-6 if exact else 0.1)
    spoilt = y + case.operator.uncoordinates((1 - keep) * 100, [0])
    same(known(case, spoilt, x, keep=keep), found)


@EACH_OPERATOR
def test_keeping_all_changes_nothing(dense: Make, text: str) -> None:
    case = dense(text, 0.5, 1.0)
    _, _, y, x = case.draw(2)
    same(known(case, y, x, keep=torch.ones(2, case.operator.r, dtype=torch.float64)), known(case, y, x))


def test_a_kept_part_is_conditioned_on_as_a_measurement_of_less(dense: Make) -> None:
    case = dense(PIXEL[1])
    _, _, y, _ = case.draw(2)
    keep = torch.zeros(2, case.operator.r, dtype=torch.float64)
    guess = apply_filter(torch.ones(2, BOX, BOX, dtype=torch.float64), case.signal)
    nothing = case.measurement(y, keep)
    assert not nothing.synthesise(torch.ones_like(keep)).any()
    assert torch.equal(nothing.condition(guess, case.signal), guess)
    assert torch.equal(nothing.fit(guess), guess)
    assert torch.equal(nothing.silent.condition(guess, case.signal), guess)


def test_in_single_precision_it_is_the_same(dense: Make) -> None:
    case = dense(FOURIER[0], 0.5, 1.0)
    _, _, y, x = case.draw(2)
    found, single = known(case, y, x), known(case, y, x).float()
    for a, b in zip(found, single, strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a.float(), b)
