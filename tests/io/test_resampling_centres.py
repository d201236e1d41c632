"""Whatever changes a box or a voxel size keeps what it shows in place, or its origins say where it went.

All that changes a grid, with the test that holds its centre:

- ``ParticleStack.resized``, fourier and bicubic: here; with it ``measure``, ``convert``, ``evaluate``, ``bench`` and
  ``heterogeneity``, which resize by it alone
- ``resized_as_measured``, by which references follow measured particles: here
- ``ImageArray.resized``, images of training, which have no origins: here
- ``resample_volume``, maps that particles are simulated from: here
- ``crop_volume_transform``, maps that are aligned: here
- ``fourier_crop_volume``, potentials of atomic models: ``tests/image/test_potential.py``, and here
- operators ``bin`` and ``crop``, and block sums: their images lie on the full grid: here
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.image.potential import fourier_crop_volume
from cryoprior.image.volume_filters import crop_volume_transform
from cryoprior.io import ParticleStack, read_measurements, read_particles, write_map, write_stack, write_star
from cryoprior.io.resize import resample_volume
from cryoprior.measurement import command as measure
from cryoprior.measurement.reading import resized_as_measured
from cryoprior.operators import parse_operator
from cryoprior.simulation.states import read_states
from cryoprior.training.arrays import ImageArray

PIXEL, OLD = 1.5, 48
PLACES = np.array([[4.0, -3.0], [-2.3, 5.6], [0.0, 0.0], [7.1, 6.2]])
"""Where each particle lies: y, x in angstrom from the image's centre, pixel box // 2."""
TABLES = ("angles", "origins", "in-plane", "nothing")


def blobs(box: int, pixel: float, places: np.ndarray, sigma: float = 6.0) -> np.ndarray:
    """Return images of Gaussian blobs whose grey values do not depend on the grid; the centre is pixel box // 2."""
    axis = (np.arange(box) - box // 2) * pixel
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * sigma**2)) for at in places])


def found(images: np.ndarray, pixel: float) -> np.ndarray:
    """Return where blobs lie in angstrom from pixel box // 2, (n, 2): the centroid of their upper part."""
    box = images.shape[-1]
    axis = (np.arange(box) - box // 2) * pixel
    places = []
    for image in images.astype(np.float64):
        weight = np.clip(image - 0.2 * image.max(), 0, None)
        places.append([(weight.sum(1) @ axis) / weight.sum(), (weight.sum(0) @ axis) / weight.sum()])
    return np.array(places)


def written(folder: Path, kind: str, box: int = OLD) -> Path:
    """Return a star file of blobs; its table has angles and origins, origins alone, with psi, or nothing."""
    places = np.zeros_like(PLACES) if kind == "nothing" else PLACES  # without origins particles are centred
    write_stack(folder / "a.mrcs", blobs(box, PIXEL, places).astype(np.float32), PIXEL)
    n = len(PLACES)
    columns: dict[str, object] = {"rlnImageName": [f"{i + 1:06d}@a.mrcs" for i in range(n)], "rlnOpticsGroup": 1}
    if kind == "angles":
        columns |= {"rlnAngleRot": 10.0, "rlnAngleTilt": 20.0}
    if kind in ("angles", "in-plane"):
        columns["rlnAnglePsi"] = 30.0
    if kind != "nothing":  # the image is moved by minus the origin
        columns |= {"rlnOriginXAngst": -places[:, 1], "rlnOriginYAngst": -places[:, 0]}
        columns |= {"rlnOriginXPriorAngst": -places[:, 1], "rlnOriginYPriorAngst": -places[:, 0]}
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [box]})
    write_star(folder / "a.star", pd.DataFrame(columns), optics)
    return folder / "a.star"


def check(stack: ParticleStack) -> None:
    pixel = float(stack.pixel_size[0])
    where = found(stack.read(), pixel)
    names = ("rlnOriginYAngst", "rlnOriginXAngst")
    origins = stack.table[list(names)].to_numpy() if names[0] in stack.table.columns else np.zeros((len(stack), 2))
    np.testing.assert_allclose(-origins / pixel, where / pixel, atol=0.05)  # pixels
    if "rlnOriginXPriorAngst" in stack.table.columns:
        prior = stack.table[["rlnOriginYPriorAngst", "rlnOriginXPriorAngst"]].to_numpy()
        np.testing.assert_allclose(prior, origins, atol=1e-12)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("method", ["fourier", "bicubic"])
@pytest.mark.parametrize(("old", "new"), [(48, 32), (48, 25), (47, 32), (47, 25), (32, 48), (33, 48), (48, 72)])
def test_origins_point_to_the_particle(tmp_path: Path, kind: str, method: str, old: int, new: int) -> None:
    check(read_particles(written(tmp_path, kind, old)).resized(new, method))


@pytest.mark.parametrize("kind", TABLES)
def test_so_they_do_through_two_resizings(tmp_path: Path, kind: str) -> None:
    check(read_particles(written(tmp_path, kind)).resized(35, "bicubic").resized(52, "bicubic").resized(31, "fourier"))


@pytest.mark.parametrize("method", ["fourier", "bicubic"])
def test_measured_particles_and_their_references_move_alike(tmp_path: Path, method: str) -> None:
    star, y = written(tmp_path, "origins"), tmp_path / "y.zarr"
    given = {"particles": star, "output": y, "operator": "pixel:block=8,masks=64", "box": 32, "resize": method}
    measure.run(measure.Options(**given, threads=1))
    measured = read_measurements(y)
    reference = resized_as_measured(read_particles(star), measured)
    check(reference)
    table, _ = measured.particles
    for name in ("rlnOriginXAngst", "rlnOriginYAngst"):
        np.testing.assert_allclose(table[name], reference.table[name], atol=1e-9)


@pytest.mark.parametrize("method", ["fourier", "bicubic"])
def test_images_in_memory_are_resized_as_those_of_files(tmp_path: Path, method: str) -> None:
    stack = read_particles(written(tmp_path, "nothing"))
    array = ImageArray(stack.read(), stack.pixel_size, tmp_path)
    both = [source.resized(32, method).read(range(4)) for source in (array, stack)]
    np.testing.assert_allclose(np.asarray(both[0]), np.asarray(both[1]), atol=1e-6)


def ball(size: int, voxel: float, centre: tuple[float, float, float]) -> np.ndarray:
    axis = (np.arange(size) - size // 2) * voxel
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.exp(-((z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2) / (2 * 9.0**2))


CENTRE = (4.0, -3.0, 6.0)


@pytest.mark.parametrize("old", [32, 33])
@pytest.mark.parametrize("box", [24, 27, 40])
@pytest.mark.parametrize("new", [4.0, 3.7, 3.3, 3.0, 2.0])
def test_a_map_on_a_new_grid_is_the_same_map(old: int, box: int, new: float) -> None:
    resampled = resample_volume(ball(old, 3.0, CENTRE), 3.0, new, box)
    reach = np.abs((np.arange(box) - box // 2) * new) <= 3.0 * (old // 2 - 1)
    inside = np.ix_(reach, reach, reach)
    np.testing.assert_allclose(resampled[inside], ball(box, new, CENTRE)[inside], atol=2e-3)
    outside = np.abs((np.arange(box) - box // 2) * new) > 3.0 * (old // 2)
    assert not resampled[outside].any()


@pytest.mark.parametrize("size", [8, 9])
def test_the_same_grid_is_the_same_volume(size: int) -> None:
    volume = np.random.default_rng(0).normal(size=(size, size, size))
    np.testing.assert_allclose(resample_volume(volume, 2.0, 2.0, size), volume, atol=1e-6)
    np.testing.assert_allclose(resample_volume(volume, 2.0, 2.0, size + 4)[2:-2, 2:-2, 2:-2], volume, atol=1e-6)


@pytest.mark.parametrize(("size", "pixel"), [(32, 3.7), (33, 4.0), (31, 3.3)])
def test_states_of_a_map_are_simulated_at_the_pixel_size_that_was_asked_for(
    tmp_path: Path, size: int, pixel: float
) -> None:
    write_map(tmp_path / "a.mrc", ball(size, 3.0, CENTRE), 3.0)
    (state,) = read_states(tmp_path / "a.mrc", 22, pixel, (), (), 0.0)
    reach = np.abs((np.arange(22) - 11) * pixel) <= 3.0 * (size // 2 - 1)
    inside = np.ix_(reach, reach, reach)
    np.testing.assert_allclose(state.volume[inside], ball(22, pixel, CENTRE)[inside], atol=2e-3)


@pytest.mark.parametrize(("old", "new"), [(32, 24), (33, 24), (40, 16)])
def test_cropped_maps_keep_the_centre(old: int, new: int) -> None:
    voxel = 3.0 * old / new
    small = crop_volume_transform(torch.from_numpy(ball(old, 3.0, CENTRE)), new).numpy()
    np.testing.assert_allclose(small, ball(new, voxel, CENTRE), atol=5e-3)


@pytest.mark.parametrize(("old", "new"), [(48, 24), (48, 16)])
def test_cropped_potentials_keep_voxel_0(old: int, new: int) -> None:
    fine = np.roll(ball(old, 2.0, CENTRE), -(old // 2), (0, 1, 2))
    coarse = np.roll(ball(new, 2.0 * old / new, CENTRE), -(new // 2), (0, 1, 2))
    np.testing.assert_allclose(fourier_crop_volume(fine.astype(np.float32), new), coarse, atol=5e-3)


@pytest.mark.parametrize(
    "spec", ["bin:factor=2", "bin:factor=4", "crop:size=24", "crop:size=25", "pixel:block=4,masks=16"]
)
def test_images_of_operators_lie_on_the_full_grid(spec: str) -> None:
    operator = parse_operator(f"{spec},box={OLD}")
    images = torch.from_numpy(blobs(OLD, 1.0, PLACES, 4.0))
    again = operator.pinv(operator.forward(images)).numpy()
    axis, total = np.arange(OLD) - OLD // 2, again.sum((1, 2))
    centroids = np.stack([(again.sum(2) @ axis) / total, (again.sum(1) @ axis) / total], 1)
    np.testing.assert_allclose(centroids, PLACES, atol=0.05)
