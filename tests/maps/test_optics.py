"""Maps of particles with every optical column: as good as those of plain particles, from images and measurements."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.projection import project_particles
from cryoprior.image.transfer import particle_transfer
from cryoprior.io.euler import euler_of_matrix
from cryoprior.maps.arrays import array_geometry, images_in_memory
from cryoprior.maps.making import make_maps
from cryoprior.maps.sources import FullParticles
from cryoprior.maps.sums import MapSettings, sum_halves
from cryoprior.metrics.fsc import fsc
from cryoprior.operators import parse_operator
from kit.projected_views import draw_blobs

BOX, PIXEL, N = 32, 3.0, 160
GROUP = np.arange(N) % 2 == 0
MATRIX = np.array([[1.08, 0.04], [-0.03, 0.9]])


def first(value: Any, other: Any) -> np.ndarray:
    """Return the value for the first group of particles and the other for the second, n rows."""
    rows = [np.asarray(value if one else other) for one in GROUP]
    return np.stack(rows)


OPTICS: dict[str, dict[str, np.ndarray]] = {
    "plain": {},
    "damped": {"bfactor_angstrom2": np.linspace(0, 150, N), "scale": np.linspace(0.3, 1, N)},
    "tilt": {"beam_tilt_x_mrad": first(18.0, -18.0), "beam_tilt_y_mrad": first(9.0, -9.0)},
    "odd": {"odd_zernike": first([0, 0, 400.0, 0, 0, 200.0], [0, 0, -300.0, 100.0, 0, 0])},
    "even": {"even_zernike": first([0.3, 5, 0, 9, 300.0, -200, 150, 80, 50], [0.0] * 9)},
    "phase plate": {"phase_shift_deg": np.linspace(20, 120, N)},
    "magnified": {"magnification": first(MATRIX, np.eye(2))},
    "premultiplied": {"premultiplied": first(True, False)},
    "flipped": {"phase_flipped": first(False, True)},
}
MIXED = ("odd", "even", "magnified", "premultiplied", "flipped")
OPTICS["mixed"] = {key: values for kind in MIXED for key, values in OPTICS[kind].items()}
SHELLS = 10
"""Shells that are compared: where the map itself is good; the blobs have little beyond."""


@pytest.fixture(scope="module")
def truth() -> Tensor:
    return torch.from_numpy(draw_blobs(BOX, 0, n=20, spread=4.5, variance=1.0))


def particles(kind: str) -> dict[str, Any]:
    """Return poses and transfer of the particles, the same in every kind but for its optics."""
    rng = np.random.default_rng(0)
    u = rng.uniform(9e3, 2.2e4, N)
    ctf = {"defocus_u_angstrom": u, "defocus_v_angstrom": u - 400, "defocus_angle_deg": np.full(N, 30.0)}
    ctf |= {"voltage_kv": np.full(N, 300.0), "cs_mm": np.full(N, 2.7), "amplitude_contrast": np.full(N, 0.1)}
    euler = euler_of_matrix(Rotation.random(N, rng=rng).as_matrix())
    origin = rng.normal(scale=1.0, size=(N, 2))
    ctf |= {"phase_shift_deg": np.zeros(N), **OPTICS[kind]}
    return {"euler_deg": euler, "origin_pixel": origin, "pixel_size": PIXEL, "ctf": ctf}


def images(truth: Tensor, given: dict[str, Any]) -> Tensor:
    """Return the images as the optics make them, without noise."""
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in given["ctf"].items()}
    tensors = {key: value if value.dtype == torch.bool else value.float() for key, value in tensors.items()}
    transfer = particle_transfer(tensors, torch.full((N,), PIXEL), BOX)
    euler, origin = (torch.from_numpy(given[name]) for name in ("euler_deg", "origin_pixel"))
    return project_particles(truth, euler, origin, transfer.image, tensors.get("magnification"))


def curve(found: Tensor, truth: Tensor) -> Tensor:
    return fsc(found, truth)[1 : SHELLS + 1]


@pytest.fixture(scope="module")
def plain(truth: Tensor) -> Tensor:
    given = particles("plain")
    return curve(make_maps(images(truth, given), **given).full, truth)


@pytest.mark.parametrize("kind", ["damped", "tilt", "odd", "even", "phase plate", "magnified", "mixed"])
def test_the_map_is_as_good_as_that_of_plain_particles(kind: str, truth: Tensor, plain: Tensor) -> None:
    given = particles(kind)
    pictures = images(truth, given)
    found = curve(make_maps(pictures, **given).full, truth)
    assert float((plain - found).max()) < 0.06
    without = {**given, "ctf": particles("plain")["ctf"]}
    ignored = make_maps(pictures, **without).full
    assert float((found - curve(ignored, truth)).max()) > 0.05 or kind == "damped"
    if kind == "damped":  # correlation forgives it, the amplitude does not
        assert float(ignored.std() / truth.std()) < 0.8


def test_premultiplied_images_give_the_map_of_the_images_that_were_multiplied(truth: Tensor) -> None:
    """The numerator is c X either way and the weight c^2, so the sums agree to rounding, noise and all.

    The noise beside the particle does not quite: multiplied by a CTF it spreads.
    """
    given, rng = particles("plain"), np.random.default_rng(1)
    noisy = images(truth, given) + torch.from_numpy(rng.normal(size=(N, BOX, BOX)).astype(np.float32))
    tensors = {key: torch.from_numpy(value).float() for key, value in given["ctf"].items()}
    ctf = particle_transfer(tensors, torch.full((N,), PIXEL), BOX).ctf
    for flag, factor in (("premultiplied", ctf), ("phase_flipped", ctf.sign())):
        treated = torch.fft.irfft2(torch.fft.rfft2(noisy) * factor, s=(BOX, BOX))
        flagged = {**given, "ctf": {**given["ctf"], flag: np.ones(N, bool)}}
        sources = [
            FullParticles(images_in_memory(x, array_geometry(**how))) for x, how in ((noisy, given), (treated, flagged))
        ]
        one, two = (sum_halves(source, MapSettings()).halves[0] for source in sources)
        torch.testing.assert_close(one.target(), two.target(), rtol=0, atol=2e-4 * float(one.target().abs().max()))
        torch.testing.assert_close(one.equations().kernel, two.equations().kernel)
        maps = [make_maps(noisy, **given).full, make_maps(treated, **flagged).full]
        torch.testing.assert_close(*maps, rtol=0, atol=0.01 * float(maps[0].abs().max()))


FOURIER, PIXEL_SUMS = "fourier:pattern=uniform,compression=2,sets=8", "pixel:block=8,masks=32,rows=hadamard,sets=8"


@pytest.fixture(scope="module")
def measured(truth: Tensor) -> Callable[[str, str], Tensor]:
    """Return the curve of the map of measured particles of a kind; those of one kind are made once."""

    @lru_cache
    def found(kind: str, operator: str) -> Tensor:
        given, device = particles(kind), parse_operator(operator, box=BOX)
        y = device.forward(images(truth, given), list(range(N)))
        return curve(make_maps(y=y, operator=device, **given).full, truth)

    return found


@pytest.mark.parametrize(
    ("kind", "operator"),
    [
        ("premultiplied", FOURIER),
        ("mixed", FOURIER),
        *(
            pytest.param(kind, PIXEL_SUMS, marks=pytest.mark.slow)
            for kind in ("premultiplied", "odd", "magnified", "mixed")
        ),
    ],
)
def test_measured_particles_too(kind: str, operator: str, measured: Callable[[str, str], Tensor]) -> None:
    assert float((measured("plain", operator) - measured(kind, operator)).max()) < 0.1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"b_factor": np.ones(N)}, "ctf: with b_factor; expected defocus_u_angstrom, .* and of bfactor_angstrom2"),
        ({"odd_zernike": np.ones(N)}, "ctf odd_zernike of shape"),
        ({"magnification": np.ones((N, 2))}, "ctf magnification of shape"),
    ],
)
def test_optics_in_memory_are_checked(more: dict[str, np.ndarray], message: str, truth: Tensor) -> None:
    given = particles("plain")
    with pytest.raises(InputError, match=message):
        make_maps(images(truth, given), **{**given, "ctf": {**given["ctf"], **more}})


def test_a_file_that_would_change_the_map_is_refused(tmp_path: Path, truth: Tensor) -> None:
    from cryoprior.io import read_particles, write_stack, write_star
    from kit.projected_views import draw_views, project_views

    table, optics = draw_views(np.random.default_rng(0), "p.mrcs", 8, BOX, PIXEL)
    write_stack(tmp_path / "p.mrcs", project_views(truth.numpy(), table, optics), PIXEL)
    write_star(tmp_path / "p.star", table.assign(rlnIsFlip=[0, 0, 1, 0, 0, 0, 0, 0]), optics)
    with pytest.raises(InputError, match=r"p\.star: particle 3 has rlnIsFlip 1; expected 0, since mirrored images"):
        make_maps(read_particles(tmp_path / "p.star"))
