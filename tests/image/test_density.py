"""Which sign a particle has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.image.density import is_dark

BOX, VOXEL = 32, 4.0


def particle() -> torch.Tensor:
    """Return an L of density, off the centre, by no symmetry like its own negative."""
    volume = torch.zeros(BOX, BOX, BOX)
    volume[10:20, 12:17, 14:18] = volume[10:14, 12:24, 14:18] = 1.0
    return volume


@pytest.mark.parametrize("level", [0.0, -3.0, 5.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_a_particle_is_dark_where_it_is_below_the_solvent(level: float, scale: float) -> None:
    assert not is_dark(scale * (particle() + level), VOXEL)
    assert is_dark(scale * (level - particle()), VOXEL)


def test_noise_of_twice_the_density_does_not_hide_the_sign() -> None:
    for seed in range(5):
        noise = torch.from_numpy(np.random.default_rng(seed).normal(size=(BOX,) * 3)).float() * 2
        assert not is_dark(particle() + noise, VOXEL)
        assert is_dark(noise - particle(), VOXEL)


def test_what_lies_in_the_corners_does_not_count() -> None:
    volume = particle()
    volume[:4, :4, :4] = -20
    assert not is_dark(volume, VOXEL)
