"""Resolution against particles: B-factors of closed form and of noisy maps, and particles that replace others."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.metrics.fsc import fsc, resolution, volume_shells
from cryoprior.metrics.particle_number import fit_b_factor, particle_exchange

N = 100.0 * 2.0 ** np.arange(7)


def reached(n: np.ndarray, b_factor: float, constant: float = 2.0) -> np.ndarray:
    """Resolutions where ln N = constant + B / (2 d^2)."""
    return (2 * (np.log(n) - constant) / b_factor) ** -0.5


def noisy_resolution(n: float, b_factor: float, seed: int, d: int = 48, pixel: float = 2.0) -> float:
    """Resolution of two half maps of white noise that falls as 1 / N, and a signal with a B-factor."""
    drawn = torch.Generator().manual_seed(seed)
    shells = volume_shells(d).double() / (d * pixel)
    white = torch.fft.rfftn(torch.randn(d, d, d, generator=drawn, dtype=torch.float64))
    signal = torch.fft.irfftn(white * torch.exp(-b_factor / 4 * shells.square()), s=(d, d, d))
    noise = [torch.randn(d, d, d, generator=drawn, dtype=torch.float64) * (60 / n) ** 0.5 for _ in range(2)]
    found = resolution(fsc(signal + noise[0], signal + noise[1]), d, pixel)
    assert not found.nyquist_limited
    return found.angstrom


def test_a_line_gives_its_own_b_factor_without_error_in_any_order() -> None:
    for order in (slice(None), slice(None, None, -1)):
        fit = fit_b_factor(N[order], reached(N, 150.0)[order])
        assert fit.b_factor == pytest.approx(150)
        assert fit.error == pytest.approx(0, abs=1e-9)
        assert fit.points == 7
        np.testing.assert_allclose(fit.inverse_square(N), reached(N, 150.0) ** -2)


def test_half_maps_of_known_signal_and_noise_give_its_b_factor_within_the_error() -> None:
    n = N[:6]
    fits = [
        fit_b_factor(n, np.array([noisy_resolution(value, 220.0, 100 * run + i) for i, value in enumerate(n)]))
        for run in range(4)
    ]
    off = np.array([(fit.b_factor - 220) / fit.error for fit in fits])
    assert np.abs(off).max() < 4
    assert np.mean([fit.b_factor for fit in fits]) == pytest.approx(220, rel=0.06)
    assert max(fit.error for fit in fits) < 30


def test_the_factor_that_is_left_out_adds_about_the_square_of_the_resolution() -> None:
    d = np.linspace(3.0, 3.3, 5)
    fit = fit_b_factor(np.exp(100 / (2 * d**2)) / d, d)
    assert fit.b_factor == pytest.approx(100 + 3.15**2, rel=0.01)


def test_no_line_is_drawn_through_two_points_or_through_one_that_falls() -> None:
    with pytest.raises(InputError, match="2 usable points of 2 numbers of particles; expected at least 3"):
        fit_b_factor(N[:2], reached(N[:2], 100.0))
    with pytest.raises(InputError, match="3 usable points of 1 numbers"):
        fit_b_factor(np.full(3, 100.0), np.array([8.0, 9.0, 10.0]))
    with pytest.raises(InputError, match="does not get finer with more particles"):
        fit_b_factor(N, reached(N, 100.0)[::-1])


def test_a_curve_is_worth_itself_and_half_of_it_a_half() -> None:
    d = reached(N, 150.0) + 0.01 * np.sin(N)
    same = particle_exchange(N, d, N, d)
    assert same is not None
    assert (same.ratio, same.low, same.high, same.resolutions) == pytest.approx((1, 1, 1, 7))
    halves = particle_exchange(2 * N, d, N, d)
    assert halves is not None
    assert (halves.ratio, halves.low, halves.high) == pytest.approx((0.5, 0.5, 0.5))
    back = particle_exchange(N, d, 2 * N, d)
    assert back is not None
    assert back.ratio == pytest.approx(2)


def test_between_points_a_curve_is_linear_in_the_logarithm_and_beyond_them_it_is_not_read() -> None:
    fine, coarse = reached(N, 150.0), reached(3 * N, 150.0)
    exchange = particle_exchange(N, coarse, N, fine)  # three times as good as the reference
    assert exchange is not None
    assert (exchange.ratio, exchange.low, exchange.high) == pytest.approx((3, 3, 3))
    within = (coarse >= fine.min()).sum() + (fine <= coarse.max()).sum()
    assert exchange.resolutions == within < 14
    assert particle_exchange(N, reached(1000 * N, 150.0), N, fine) is None
    assert particle_exchange(N[:0], N[:0], N, fine) is None


def test_a_curve_that_turns_back_widens_the_range() -> None:
    turning = np.array([10.0, 8.0, 9.0, 7.0])
    exchange = particle_exchange(N[:4], turning, N[:4], turning)
    assert exchange is not None
    assert exchange.ratio == pytest.approx(1)
    assert exchange.low < 0.5
    assert exchange.high > 2
