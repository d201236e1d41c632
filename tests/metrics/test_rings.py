"""Fourier rings: closed forms, pooling, and agreement with sums over the full plane."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.metrics import (
    frc,
    frc_mean,
    pooled_frc,
    power_ratio,
    shell_coefficients,
    shell_powers,
    shell_resolution_angstrom,
)


def images(seed: int, b: int = 4, box: int = 24) -> torch.Tensor:
    return torch.randn(b, box, box, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("box", [24, 25])
def test_frc_equals_sums_over_the_full_plane(box: int) -> None:
    a, b = images(0, 1, box), images(1, 1, box)
    fa, fb = np.fft.fft2(a[0].numpy()), np.fft.fft2(b[0].numpy())
    k = np.fft.fftfreq(box, 1 / box)
    shell = np.rint(np.hypot(k[:, None], k[None, :])).astype(int)
    for index in range(box // 2 + 1):
        ring = shell == index
        cross = (fa * fb.conj())[ring].sum().real
        expected = cross / np.sqrt((abs(fa[ring]) ** 2).sum() * (abs(fb[ring]) ** 2).sum())
        assert float(frc(a, b)[0, index]) == pytest.approx(expected, abs=1e-12)
        assert int(shell_coefficients(box)[index]) == ring.sum()


def test_frc_of_an_image_with_itself_is_one_and_with_its_negative_minus_one() -> None:
    a = images(0)
    torch.testing.assert_close(frc(a, 3 * a), torch.ones(4, 13, dtype=torch.float64))
    torch.testing.assert_close(frc(a, -a), -torch.ones(4, 13, dtype=torch.float64))


def test_frc_of_signal_and_signal_plus_noise_approaches_its_closed_form() -> None:
    signal, noise = images(0, 200), images(1, 200)
    curve = pooled_frc(signal + 2 * noise, signal)
    assert float(frc_mean(curve, 24)) == pytest.approx(1 / 5**0.5, abs=0.01)


def test_pooling_sums_numerators_and_denominators_and_batches_add_up() -> None:
    a, b = images(0), images(1) + images(0)
    a[0] *= 100
    b[0] *= 100
    torch.testing.assert_close(pooled_frc(a, b), frc(a[:1], b[:1])[0], atol=0.05, rtol=0)
    both = shell_powers(a[:2], b[:2]).pooled() + shell_powers(a[2:], b[2:]).pooled()
    torch.testing.assert_close(both.frc[0], pooled_frc(a, b))


def test_an_empty_image_has_frc_and_power_zero() -> None:
    a = images(0)
    assert float(frc(torch.zeros_like(a), a).abs().max()) == 0
    assert float(power_ratio(torch.zeros_like(a), a).abs().max()) == 0
    torch.testing.assert_close(power_ratio(3 * a, a), torch.full((13,), 9.0, dtype=torch.float64))


def test_the_mean_weights_shells_with_their_coefficients_and_leaves_shell_zero_out() -> None:
    curve = torch.zeros(13)
    curve[0], curve[12] = 5, 1
    count = shell_coefficients(24)
    assert float(frc_mean(curve, 24)) == pytest.approx(float(count[12] / count[1:].sum()))


def test_resolution_of_the_last_shell_is_twice_the_pixel_size() -> None:
    resolution = shell_resolution_angstrom(64, 3.0)
    assert float(resolution[-1]) == 6.0
    assert float(resolution[0]) == float("inf")
