"""Floors know nothing they should not, and the noise has the spectrum it should have."""

from __future__ import annotations

import pytest
import torch

from cryoprior.evaluation.floors import constant_image, least_squares, radial_spectrum, spectrum_noise
from cryoprior.metrics import correlation
from cryoprior.metrics.rings import shell_sums
from cryoprior.operators import parse_operator
from cryoprior.random import ParticleNoise

BOX = 24


def coloured(n: int) -> torch.Tensor:
    white = torch.randn(n, BOX, BOX, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gain = 1 / (1 + torch.hypot(torch.fft.fftfreq(BOX, 1 / BOX)[:, None], torch.arange(BOX // 2 + 1)[None, :]))
    return torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=(BOX, BOX)) + 3


def shell_power(x: torch.Tensor) -> torch.Tensor:
    return shell_sums(torch.fft.rfft2(x - 3, norm="ortho").abs().square()).mean(0)


def test_the_constant_image_has_the_originals_mean() -> None:
    original = coloured(2)
    floor = constant_image(original)
    torch.testing.assert_close(floor.mean((-2, -1)), original.mean((-2, -1)))
    assert float(floor.std((-2, -1)).max()) == 0


def test_noise_has_the_mean_and_the_spectrum_of_the_stack_and_no_knowledge_of_its_images() -> None:
    stack = coloured(400)
    spectrum, mean = radial_spectrum(stack.split(150))
    floor = spectrum_noise(spectrum, mean, ParticleNoise(1, "test", range(400)))
    assert mean == pytest.approx(3, abs=0.02)
    torch.testing.assert_close(shell_power(floor), shell_power(stack), rtol=0.1, atol=0)
    assert abs(float(correlation(floor, stack).mean())) < 0.03


def test_the_noise_of_a_particle_does_not_depend_on_its_batch() -> None:
    spectrum, mean = radial_spectrum([coloured(5)])
    together = spectrum_noise(spectrum, mean, ParticleNoise(1, "test", [0, 1, 2]))
    alone = spectrum_noise(spectrum, mean, ParticleNoise(1, "test", [2]))
    torch.testing.assert_close(together[2:], alone)


def test_an_empty_stack_has_no_spectrum() -> None:
    with pytest.raises(ValueError, match="empty stack"):
        radial_spectrum([])


def test_least_squares_fits_the_measurements() -> None:
    operator = parse_operator("fourier:pattern=uniform,compression=2,symmetry=hermitian", box=BOX, seed=0)
    y = operator.forward(coloured(2))
    torch.testing.assert_close(operator.forward(least_squares(y, operator)), y)
