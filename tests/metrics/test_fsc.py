"""Fourier shells: sums over the full transform, closed forms, phase randomisation and the resolution of a curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.metrics.fsc import fsc, fsc_curves, randomise_phases, resolution


def volume(seed: int, d: int = 24) -> torch.Tensor:
    return torch.randn(d, d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def falling(seed: int, d: int = 48, radius: float = 5.0) -> torch.Tensor:
    """White noise under a Gaussian fall of its transform, of deviation 1."""
    k = torch.fft.fftfreq(d, 1 / d, dtype=torch.float64)
    r2 = k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2
    found = torch.fft.ifftn(torch.fft.fftn(volume(seed, d)) * torch.exp(-r2 / (2 * radius**2))).real
    return found / found.std()


def ball(d: int = 48, radius: float = 14.0) -> torch.Tensor:
    axis = torch.arange(d, dtype=torch.float64) - d // 2
    r = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2).sqrt()
    return 0.5 * (1 + torch.cos(torch.pi * ((r - radius) / 4).clamp(0, 1)))


@pytest.mark.parametrize("d", [16, 17])
def test_fsc_equals_sums_over_the_full_transform(d: int) -> None:
    a, b = volume(0, d), volume(1, d) + 0.3 * volume(0, d)
    fa, fb = np.fft.fftn(a.numpy()), np.fft.fftn(b.numpy())
    k = np.fft.fftfreq(d, 1 / d)
    shell = np.rint(np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k[None, None, :] ** 2)).astype(int)
    expected = []
    for index in range(d // 2 + 1):
        ring = shell == index
        cross = (fa * fb.conj())[ring].sum().real
        expected.append(cross / np.sqrt((abs(fa[ring]) ** 2).sum() * (abs(fb[ring]) ** 2).sum()))
    np.testing.assert_allclose(fsc(a, b).numpy(), expected, atol=1e-12)


def test_fsc_of_a_map_with_itself_is_one_and_with_its_negative_minus_one() -> None:
    a = volume(0).float()
    torch.testing.assert_close(fsc(a, 3 * a), torch.ones(13, dtype=torch.float64))
    torch.testing.assert_close(fsc(a, -a), -torch.ones(13, dtype=torch.float64))
    torch.testing.assert_close(fsc(a, a * 0), torch.zeros(13, dtype=torch.float64))


def test_fsc_of_two_noisy_halves_approaches_its_closed_form() -> None:
    signal = volume(0, 64)
    curve = fsc(signal + volume(1, 64), signal + volume(2, 64))  # power of the signal over that of signal and noise
    assert float(curve[12:].mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("d", [16, 17])
def test_randomised_phases_keep_amplitudes_and_the_shells_below(d: int) -> None:
    a = volume(0, d)
    b = randomise_phases(a, 5, seed=1)
    fa, fb = torch.fft.fftn(a), torch.fft.fftn(b)
    torch.testing.assert_close(fb.abs(), fa.abs())
    curve = fsc(a, b)
    torch.testing.assert_close(curve[:5], torch.ones(5, dtype=torch.float64))
    assert float(curve[5:].abs().max()) < 0.3
    assert float((fa - fb).abs()[d // 2, d // 2, :].min()) > 0  # the corners too


def test_streams_of_random_phases() -> None:
    a = volume(0).float()
    assert torch.equal(randomise_phases(a, 3, seed=1), randomise_phases(a, 3, seed=1))
    assert randomise_phases(a, 3, seed=1).dtype == torch.float32
    for other in (randomise_phases(a, 3, seed=2), randomise_phases(a, 3, seed=1, half=1)):
        assert float(fsc(randomise_phases(a, 3, seed=1), other)[3:].abs().max()) < 0.3


def test_a_soft_mask_leaves_nothing_to_correct_beyond_the_signal() -> None:
    signal, mask = falling(0) * ball(), ball(radius=16)
    halves = [signal + 0.3 * volume(i, 48) for i in (1, 2)]
    curves = fsc_curves(*halves, mask, seed=3)
    start = curves.randomised_from
    assert start is not None
    assert float(curves.unmasked[start]) < 0.8 <= float(curves.unmasked[1:start].min())
    torch.testing.assert_close(curves.corrected[: start + 2], curves.masked[: start + 2])
    expected = (curves.masked - curves.randomised) / (1 - curves.randomised)
    torch.testing.assert_close(curves.corrected[start + 2 :], expected[start + 2 :])
    assert float(curves.randomised[start + 2 :].abs().max()) < 0.15
    assert float((curves.masked - curves.unmasked)[1:].mean()) > 0.02  # the mask takes noise away


def test_a_mask_that_shapes_the_noise_is_corrected() -> None:
    rough = (volume(7, 48) > 0.5).double()  # a hard, rough mask correlates the halves' noise through its own shape
    offset = 4 * ball()
    halves = [offset + volume(i, 48) for i in (1, 2)]
    curves = fsc_curves(*halves, rough)
    start = curves.randomised_from
    assert start is not None
    assert float(curves.masked[start + 4 :].mean()) > 0.1
    assert abs(float(curves.corrected[start + 4 :].mean())) < 0.03


def test_identical_halves_are_not_randomised() -> None:
    curves = fsc_curves(falling(0), falling(0), ball())
    assert curves.randomised_from is None
    torch.testing.assert_close(curves.corrected, curves.masked)


def test_resolution_is_linear_in_frequency_between_shells() -> None:
    curve = torch.tensor([1.0, 1.0, 0.9, 0.6, 0.2, 0.3, 0.0, 0.5, 0.6], dtype=torch.float64)
    found = resolution(curve, 16, 2.0, 0.5)
    assert found.angstrom == pytest.approx(32 / 3.25)
    assert not found.nyquist_limited
    assert resolution(curve, 16, 2.0, 0.143).angstrom == pytest.approx(32 / (5 + 0.157 / 0.3))


def test_resolution_at_the_ends_of_a_curve() -> None:
    ones = torch.ones(9)
    assert resolution(ones, 16, 2.0, 0.143).angstrom == 4.0
    assert resolution(ones, 16, 2.0, 0.143).nyquist_limited
    assert resolution(ones, 17, 2.0, 0.143).angstrom == pytest.approx(34 / 8)
    nothing = resolution(-ones, 16, 2.0, 0.5)
    assert (nothing.angstrom, nothing.nyquist_limited) == (math.inf, False)


def test_a_curve_that_is_none() -> None:
    with pytest.raises(InputError, match="9 shells for a box of 20: expected 11"):
        resolution(torch.ones(9), 20, 1.0, 0.5)
    with pytest.raises(InputError, match="finite"):
        resolution(torch.full((9,), math.nan), 16, 1.0, 0.5)
