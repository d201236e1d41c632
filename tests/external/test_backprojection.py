"""Maps against those of relion_reconstruct and cryodrgn backproject_voxel, made of the same particles."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.external import cryodrgn
from cryoprior.external.relion import reconstruct
from cryoprior.image import ctf_image
from cryoprior.image.projection import project_particles
from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import read_map, read_particles, write_stack, write_star
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.sources import FullParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.metrics.fsc import fsc, resolution, volume_shell_sums

pytestmark = pytest.mark.external
BOX, PIXEL, N = 64, 4.0, 600
SPHERE = sphere_mask(BOX, 0.36 * BOX, 0.06 * BOX)
"""Both programs end their maps by a soft sphere of about the box; this one is inside of it."""


def volume() -> np.ndarray:
    """Return an asymmetric map of narrow bright blobs."""
    rng = np.random.default_rng(0)
    axis = np.arange(BOX) - BOX // 2
    centres, weights = rng.normal(scale=BOX / 12, size=(40, 3)), rng.uniform(0.5, 2, 40)
    x, y, z = (np.exp(-((axis - centres[:, i, None]) ** 2) / 2) for i in range(3))
    return np.einsum("n,nz,ny,nx->zyx", weights, z, y, x).astype(np.float32)


def write_views(folder: Path, noise: float = 0.0, *, ctf: bool = True) -> Path:
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
    table[list(ANGLES)] = euler_of_matrix(Rotation.random(N, rng=rng).as_matrix())
    table[list(ORIGINS)] = rng.normal(scale=2 * PIXEL, size=(N, 2))
    table["rlnRandomSubset"] = np.arange(N) % 2 + 1
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["one"], "rlnImagePixelSize": [PIXEL]})
    optics = optics.assign(rlnImageSize=BOX, rlnImageDimensionality=2)
    optics = optics.assign(rlnVoltage=300.0, rlnSphericalAberration=2.7, rlnAmplitudeContrast=0.1)
    transfer = None
    if ctf:
        u = rng.uniform(8e3, 25e3, N)
        table["rlnDefocusU"], table["rlnDefocusV"], table["rlnDefocusAngle"] = u, u - 300, 30.0
        same = {"defocus_angle_deg": 30.0, "voltage_kv": 300.0, "cs_mm": 2.7, "amplitude_contrast": 0.1}
        parameters = {"defocus_u_angstrom": u, "defocus_v_angstrom": u - 300, "phase_shift_deg": 0 * u}
        parameters |= {key: np.full(N, value) for key, value in same.items()}
        tensors = {key: torch.from_numpy(value) for key, value in parameters.items()}
        transfer = ctf_image(tensors, torch.full((N,), PIXEL).double(), BOX)
    euler, origin = (torch.from_numpy(table[list(names)].to_numpy(copy=True)) for names in (ANGLES, ORIGINS))
    images = project_particles(torch.from_numpy(volume()), euler, origin / PIXEL, transfer).numpy()
    folder.mkdir()
    write_stack(folder / "p.mrcs", (images + noise * rng.normal(size=images.shape)).astype(np.float32), PIXEL)
    write_star(folder / "p.star", table, optics)
    return folder / "p.star"


def ours(star: Path) -> MapSet:
    return solve_maps(FullParticles(read_particles(star)), MapSettings())


def theirs(path: Path) -> torch.Tensor:
    found, size = read_map(path)
    assert size == pytest.approx(PIXEL)
    return torch.from_numpy(found)


def within(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return fsc(a * SPHERE, b * SPHERE)


def slopes(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    a, b = (torch.fft.rfftn((v * SPHERE).double()) for v in (found, truth))
    return volume_shell_sums((a * b.conj()).real) / volume_shell_sums(b.abs().square())


@pytest.fixture
def relion() -> None:
    if not shutil.which("relion_reconstruct"):
        pytest.skip("no relion_reconstruct on the PATH")


@pytest.fixture
def drgn() -> Path:
    """Return cryoDRGN's executable."""
    try:
        return cryodrgn.CRYODRGN.find()
    except InputError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("relion")
@pytest.mark.parametrize("ctf", [True, False])
def test_maps_of_clean_particles_are_those_of_relion(tmp_path: Path, ctf: bool) -> None:
    star = write_views(tmp_path / "set", ctf=ctf)
    other, mine = theirs(reconstruct(star, tmp_path / "relion.mrc", ctf=ctf)), ours(star).full
    last, truth = int(0.9 * (BOX // 2)), torch.from_numpy(volume())
    assert float(within(mine, other)[: last + 1].min()) > 0.98
    curves = [within(one, truth)[: last + 1] for one in (mine, other)]
    assert float(curves[0].min()) > 0.98
    assert float((curves[1] - curves[0]).max()) < 0.015  # without noise lambda is at its lower bound
    # their map is low by a fifth in the lowest two shells
    torch.testing.assert_close(slopes(mine, other)[3:last], torch.ones(last - 3).double(), rtol=0, atol=0.12)


@pytest.mark.usefixtures("relion")
def test_a_symmetric_map_is_that_of_relion(tmp_path: Path) -> None:
    star = write_views(tmp_path / "set", 1.0)
    mine = solve_maps(FullParticles(read_particles(star)), MapSettings(symmetry="D2")).full
    other = theirs(reconstruct(star, tmp_path / "relion.mrc", "D2"))
    assert float(within(mine, other)[: BOX // 4].min()) > 0.99


@pytest.mark.usefixtures("relion")
def test_half_maps_of_noisy_particles_resolve_at_least_as_those_of_relion(tmp_path: Path) -> None:
    star = write_views(tmp_path / "set", 3.0)
    maps, halves = ours(star), [theirs(reconstruct(star, tmp_path / f"h{i}.mrc", half=i)) for i in (1, 2)]
    shells = []
    for a, b in ((maps.half_1, maps.half_2), halves):
        found = resolution(within(a, b), BOX, PIXEL)
        assert not found.nyquist_limited
        shells.append(BOX * PIXEL / found.angstrom)
    assert shells[1] - 0.5 < shells[0] < shells[1] + 2
    assert 8 < shells[0] < BOX // 2


@pytest.mark.parametrize("ctf", [True, False])
def test_maps_of_clean_particles_are_those_of_cryodrgn(tmp_path: Path, drgn: Path, ctf: bool) -> None:
    star = write_views(tmp_path / "set", ctf=ctf)
    path = cryodrgn.backproject(read_particles(star), tmp_path / "drgn", executable=drgn, regularisation=0.01)
    other, mine = theirs(path), ours(star).full
    found = within(mine, other)
    last = int(0.9 * (BOX // 2))
    assert float(found[: last + 1].min()) > 0.98
    # no finer grid and no envelope divided out: their map falls towards its border, and is low for it
    torch.testing.assert_close(slopes(other, mine)[2:last], torch.ones(last - 2).double(), rtol=0, atol=0.12)
