"""cryoprior.measure: the command without its files, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.io import read_measurements, read_particles
from cryoprior.measurement import command as measure
from kit.stacks import BOX, N, write_particles


@pytest.mark.parametrize(
    "operator", ["pixel:block=4,masks=6,sets=3", "fourier:compression=3,sets=2", "quantize:bits=4"]
)
def test_the_verb_and_the_command_give_the_same_bits(tmp_path: Path, operator: str) -> None:
    particles, _, _ = write_particles(tmp_path)
    y = tmp_path / "y.zarr"
    measure.run(measure.Options(particles=particles, output=y, operator=operator, sigma=0.3, seed=5))
    images = read_particles(particles).read(slice(None))
    written = read_measurements(y).y(slice(None))
    for x in (images, torch.from_numpy(images)):
        np.testing.assert_array_equal(cryoprior.measure(x, operator, 0.3, seed=5).numpy(), written)


def test_a_particle_keeps_its_mask_and_its_noise_in_any_part() -> None:
    x = torch.randn(N, BOX, BOX, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    operator = cryoprior.parse_operator("pixel:block=4,masks=6,sets=3", box=BOX)
    whole = cryoprior.measure(x, operator, 1.0)
    part = cryoprior.measure(x[[5, 2]], operator, 1.0, particles=[5, 2])
    assert part.dtype == torch.float64
    torch.testing.assert_close(part, whole[[5, 2]])
    assert not torch.allclose(cryoprior.measure(x[[5, 2]], operator, 1.0), part)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((BOX, BOX)), {}, r"images: an array of shape \(16, 16\); expected \(particles, box, box\)"),
        (np.zeros((2, 16, 8)), {}, "images: images of 16 x 8 pixels; expected square ones"),
        (np.full((2, 16, 16), np.inf), {}, "images: row 0 holds values that are not finite"),
        (np.zeros((2, 12, 12)), {"operator": "pixel:block=8,masks=6"}, "block"),
        (np.zeros((2, 16, 16)), {"sigma": -1.0}, "sigma -1.0: expected at least 0"),
        (np.zeros((2, 16, 16)), {"particles": [1]}, "particles: 1 numbers for 2 rows"),
    ],
)
def test_what_cannot_be_measured_is_refused(images: np.ndarray, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cryoprior.measure(images, **{"operator": "identity", **options})
