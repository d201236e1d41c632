"""What one particle adds to a map, from half maps and from images; and the resolution that follows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.planning.expecting import effective_particles, expected_resolution, half_map_curve
from cryoprior.planning.spectrum import SnrSpectrum, of_half_maps, of_images

BOX, PIXEL, SHARE = 64, 4.0, 0.1
SHELLS = np.arange(BOX // 2 + 1)
A, B = -4.0, 0.012


def truth() -> np.ndarray:
    snr = np.exp(A - B * SHELLS**2) / np.maximum(SHELLS, 1)
    snr[0] = 0
    return snr


def pilot(n: int = 400) -> SnrSpectrum:
    curve = half_map_curve(truth(), n, np.ones(len(SHELLS)))
    return of_half_maps(torch.from_numpy(curve), n, SHARE, BOX, PIXEL)


def test_a_pilot_finds_the_line_and_what_lies_beyond() -> None:
    found = pilot()
    assert found.last < BOX // 2 - 4
    np.testing.assert_allclose(found.line, [A, B], rtol=0.02)
    np.testing.assert_allclose(found.mean()[3:], truth()[3:], rtol=0.06)
    assert found.b_factor == pytest.approx(2 * B * (BOX * PIXEL) ** 2, rel=0.02)


@pytest.mark.parametrize("n", [400, 4_000, 100_000])
def test_the_resolution_of_more_particles_follows(n: int) -> None:
    found = expected_resolution(pilot(), n, np.ones(len(SHELLS)))
    ratio = n / 2 * truth()
    shell = np.interp(0.143, (ratio / (1 + ratio))[:2:-1], SHELLS[:2:-1])
    assert found.angstrom == pytest.approx(BOX * PIXEL / shell, rel=0.01)
    assert found.finest <= found.angstrom <= found.coarsest


def test_beyond_the_pilot_less_is_known() -> None:
    near, far = (expected_resolution(pilot(), n, np.ones(len(SHELLS))) for n in (400, 100_000))
    assert (far.coarsest - far.finest) / far.angstrom > (near.coarsest - near.finest) / near.angstrom > 0


def test_half_of_every_particle_is_as_good_as_half_of_the_particles() -> None:
    ones = np.ones(len(SHELLS))
    half = expected_resolution(pilot(), 4000, 0.5 * ones)
    fewer = expected_resolution(pilot(), 2000, ones)
    doubled = expected_resolution(pilot(), 2000, 0.5 * ones, worth=(2.0, 0.0))
    assert half.angstrom == pytest.approx(fewer.angstrom)
    assert doubled.angstrom == pytest.approx(fewer.angstrom)
    assert effective_particles(pilot(), 4000, 0.5 * ones) == pytest.approx(2000)


def test_particles_count_by_the_shells_in_which_more_would_show() -> None:
    kept = np.where(SHELLS < 8, 1.0, 0.25)  # of so many particles the first shells are known as well as can be
    assert effective_particles(pilot(), 400_000, kept) == pytest.approx(100_000, rel=0.3)


def test_nothing_kept_gives_no_map() -> None:
    found = expected_resolution(pilot(), 4000, np.zeros(len(SHELLS)))
    assert found.angstrom == found.coarsest == np.inf


def test_signal_over_noise_of_images_is_that_of_the_map() -> None:
    known = SHELLS[2:20]
    image = 2 * known * SHARE * truth()[known]
    found = of_images(BOX * PIXEL / known, image, BOX, PIXEL, SHARE)
    np.testing.assert_allclose(found.mean()[3:], truth()[3:], rtol=0.06)


def test_a_pilot_that_shows_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"pilot of 20 particles: its half maps agree in \d shells"):
        of_half_maps(torch.zeros(BOX // 2 + 1), 20, SHARE, BOX, PIXEL)
    with pytest.raises(InputError, match="spectrum: it ends at 100 angstrom"):
        of_images(np.array([200.0, 100.0]), np.array([1.0, 0.5]), BOX, PIXEL, SHARE)
