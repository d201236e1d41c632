"""Maps of few bits: their grey scale is that of whole images, and a particle is worth what Van Vleck's law says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cryoprior.maps import MapSet, make_maps
from cryoprior.measurement import fit_levels, measure
from cryoprior.metrics.fsc import volume_shell_sums
from cryoprior.simulation import SimulatedParticles, simulate

BOX, N = 32, 900
SHELLS = slice(4, 12)
WORTHS = {1: (0.52, 0.70), 2: (0.80, 0.93), 3: (0.92, 1.0)}
"""Bits, and the worth that is expected: .637, .883 and .965 by the law, less where single images show their signal."""


@pytest.fixture(scope="module")
def made() -> SimulatedParticles:
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres = np.random.default_rng(2).normal(scale=4, size=(40, 3))
    blobs = sum(np.exp(-((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2) / 1.5) for a, b, c in centres)
    return simulate(np.asarray(blobs, np.float32), N, pixel_size=4.0, snr=0.05, seed=4, device="cpu")


@pytest.fixture(scope="module")
def whole(made: SimulatedParticles) -> MapSet:
    return mapped(made, images=made.images)


def mapped(made: SimulatedParticles, **values: Any) -> MapSet:
    poses = {"euler_deg": made.euler_deg, "origin_pixel": made.origin_pixel, "ctf": made.ctf}
    return make_maps(**values, **poses, pixel_size=made.pixel_size, device="cpu")


def of_bits(made: SimulatedParticles, bits: int) -> MapSet:
    operator = fit_levels(made.images, f"quantize:bits={bits}")
    return mapped(made, y=measure(made.images, operator), operator=operator)


def signal(maps: MapSet, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return by shell the amplitude of the truth in the unregularised map, and its signal over its noise."""
    assert maps.unregularised is not None
    found, true = (torch.fft.rfftn(v.double()) for v in (sum(maps.unregularised) / 2, truth))
    cross, power = (volume_shell_sums((a * true.conj()).real) for a in (found, true))
    slope = cross / power
    noise = volume_shell_sums(found.abs().square()) - slope.square() * power
    return slope[SHELLS], (slope.square() * power / noise)[SHELLS]


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_grey_scale_is_that_of_whole_images(made: SimulatedParticles, whole: MapSet, bits: int) -> None:
    truth = made.volumes[0]
    slopes = [signal(maps, truth)[0] for maps in (of_bits(made, bits), whole)]
    assert float((slopes[0] / slopes[1]).median()) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_particles_are_worth_what_the_law_says(made: SimulatedParticles, whole: MapSet, bits: int) -> None:
    ratios = [signal(maps, made.volumes[0])[1] for maps in (of_bits(made, bits), whole)]
    low, high = WORTHS[bits]
    assert low < float((ratios[0] / ratios[1]).median()) < high
