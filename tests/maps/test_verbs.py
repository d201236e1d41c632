"""make_maps, judge_maps and compare_maps from arrays: bit for bit what the commands write, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

import cryoprior
from cryoprior import compare_maps, judge_maps, make_maps
from cryoprior.errors import InputError
from cryoprior.image.projection import project_particles
from cryoprior.io import (
    ReconstructionWriter,
    read_map,
    read_measurements,
    read_particles,
    write_map,
    write_stack,
    write_star,
)
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps import command, compare_command
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Subset
from cryoprior.maps.sources import MeasuredParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement import command as measure
from cryoprior.operators import parse_operator

N, BOX, PIXEL = 40, 16, 8.0
OPERATOR = "pixel:block=8,masks=16,rows=hadamard,sets=8"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with particles, their first 30 measured, and a reconstruction of these."""
    folder, rng = tmp_path_factory.mktemp("verbs"), np.random.default_rng(0)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
    table[list(ANGLES)] = euler_of_matrix(Rotation.random(N, rng=rng).as_matrix())
    table[list(ORIGINS)] = rng.normal(scale=PIXEL, size=(N, 2))
    table["rlnDefocusU"] = rng.uniform(15e3, 40e3, N)
    table["rlnDefocusV"], table["rlnDefocusAngle"] = table["rlnDefocusU"] - 300, 30.0
    table["rlnRandomSubset"] = rng.permutation(N) % 2 + 1
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [BOX]})
    optics = optics.assign(rlnVoltage=300.0, rlnSphericalAberration=2.7, rlnAmplitudeContrast=0.1)
    volume = torch.from_numpy(rng.normal(size=(BOX,) * 3).astype(np.float32))
    volume = torch.nn.functional.avg_pool3d(volume[None], 3, 1, 1)[0]
    euler, origin = (torch.from_numpy(table[list(names)].to_numpy()) for names in (ANGLES, ORIGINS))
    images = project_particles(volume, euler, origin / PIXEL).numpy() + 0.1 * rng.normal(size=(N, BOX, BOX))
    write_stack(folder / "p.mrcs", images.astype(np.float32), PIXEL)
    write_star(folder / "p.star", table, optics)
    write_map(folder / "truth.mrc", volume.numpy(), PIXEL)
    measure.run(measure.Options(particles=folder / "p.star", output=folder / "y.zarr", operator=OPERATOR))
    measurements = read_measurements(folder / "y.zarr")
    with ReconstructionWriter(folder / "recon", *measurements.particles) as writer:
        writer.write(images.astype(np.float32))
    (folder / "recon" / "summary.json").write_text(json.dumps({"measurements": str(folder / "y.zarr")}))
    return folder


def poses(stack: Any) -> dict[str, Any]:
    """Return the arrays that a stack or measurements hold beside their images."""
    euler, origin = stack.poses()
    table = stack.particles[0] if hasattr(stack, "particles") else stack.table
    return {
        "euler_deg": euler,
        "origin_pixel": origin / stack.pixel_size[:, None],
        "pixel_size": float(stack.pixel_size.mean()),
        "ctf": stack.ctf_parameters(),
        "half": table["rlnRandomSubset"].to_numpy(),
    }


def same_as_written(maps: Any, folder: Path) -> None:
    for name, volume in (("half1", maps.half_1), ("half2", maps.half_2), ("map", maps.full)):
        np.testing.assert_array_equal(volume.numpy(), read_map(folder / f"{name}.mrc")[0], err_msg=name)


def test_images_give_the_maps_and_the_judgement_of_the_command(made: Path, tmp_path: Path) -> None:
    stack = read_particles(made / "p.star")
    options: dict[str, Any] = {"truth": made / "truth.mrc", "symmetry": "C2", "seed": 3}
    summary = command.run(command.Options(particles=made / "p.star", output=tmp_path / "map", **options))
    for images in (stack.read(slice(None)), torch.from_numpy(stack.read(slice(None)))):
        maps = make_maps(images, **poses(stack), symmetry="C2")
        same_as_written(maps, tmp_path / "map")
    same_as_written(make_maps(stack, symmetry="C2"), tmp_path / "map")
    judgement = judge_maps(maps, truth=read_map(made / "truth.mrc")[0], seed=3)
    assert judgement.summary() == {key: summary[key] for key in judgement.summary()}
    np.testing.assert_array_equal(judgement.mask.numpy(), read_map(tmp_path / "map" / "mask.mrc")[0])


def test_measurements_give_the_maps_of_the_command(made: Path, tmp_path: Path) -> None:
    measurements = read_measurements(made / "y.zarr")
    command.run(command.Options(particles=made / "y.zarr", output=tmp_path / "map", invert=True))
    operator = parse_operator(OPERATOR, box=BOX)
    same_as_written(make_maps(measurements, invert=True), tmp_path / "map")
    y = measurements.y(slice(None))
    for known in (operator, f"{OPERATOR},box={BOX}"):
        same_as_written(make_maps(y=y, operator=known, **poses(measurements), invert=True), tmp_path / "map")


def test_mask_sets_are_numbered_by_the_places_in_the_whole_stack(made: Path) -> None:
    measurements, operator = read_measurements(made / "y.zarr"), parse_operator(OPERATOR, box=BOX)
    rows = np.arange(5, N)
    source = Subset(MeasuredParticles(measurements, operator), rows)
    geometry = source.geometry
    arrays = {name: getattr(geometry, name) for name in ("euler_deg", "origin_pixel", "pixel_size", "ctf", "half")}
    y = measurements.y(rows)
    expected = solve_maps(source, MapSettings())
    torch.testing.assert_close(make_maps(y=y, operator=operator, particles=rows, **arrays).full, expected.full)
    wrong = make_maps(y=y, operator=operator, **arrays)
    assert float((wrong.full - expected.full).abs().max()) > 0.1 * float(expected.full.abs().max())


def test_reconstructions_give_the_maps_of_the_command(made: Path, tmp_path: Path) -> None:
    star = made / "recon" / "particles.star"
    command.run(command.Options(particles=star, output=tmp_path / "map", prior_weight=0.25))
    stack, operator = read_particles(star), parse_operator(OPERATOR, box=BOX)
    same_as_written(make_maps(stack, operator=operator, prior_weight=0.25), tmp_path / "map")
    images = stack.read(slice(None))
    same_as_written(make_maps(images, **poses(stack), operator=OPERATOR, prior_weight=0.25), tmp_path / "map")


def test_maps_are_compared_as_by_the_command(made: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a = read_map(made / "truth.mrc")[0]
    b = (a + 0.05 * rng.normal(size=a.shape)).astype(np.float32)
    mask = np.zeros_like(a)
    mask[3:-3, 3:-3, 3:-3] = 1
    for name, volume in (("a", a), ("b", b), ("mask", mask)):
        write_map(tmp_path / f"{name}.mrc", volume, PIXEL)
    files = {name: tmp_path / f"{name}.mrc" for name in ("a", "b", "mask")}
    summary = compare_command.run(compare_command.Options(**files, level=0.1, output=tmp_path / "out"))
    comparison = compare_maps(a, torch.from_numpy(b), PIXEL, mask, level=0.1)
    assert comparison.summary() == summary
    table = pd.read_csv(tmp_path / "out" / "fsc.csv")
    np.testing.assert_allclose(table["fsc"], comparison.fsc, rtol=1e-5)
    np.testing.assert_allclose(table["fsc_unmasked"], comparison.fsc_unmasked, rtol=1e-5)


def test_representations_are_one_short_line(made: Path) -> None:
    stack = read_particles(made / "p.star")
    maps = make_maps(stack)
    judgement = judge_maps(maps, truth=maps.full)
    assert repr(maps) == f"MapSet({maps.n_half_1} + {maps.n_half_2} particles, 16 voxels of 8.000 A a side)"
    assert repr(judgement).startswith("Judgement(")
    for shown in (maps, judgement, judgement.truth, compare_maps(maps.half_1, maps.half_2, PIXEL)):
        assert len(repr(shown)) < 130
        assert "tensor" not in repr(shown)


def test_what_cannot_be_mapped_is_refused_by_name(made: Path) -> None:
    stack = read_particles(made / "p.star")
    arrays, images = poses(stack), stack.read(slice(None))
    bad = images.copy()
    bad[3, 2, 1] = np.nan
    operator = parse_operator(OPERATOR, box=BOX)
    cases: dict[str, dict[str, Any]] = {
        "expected either images or y": {},
        r"images: an array of shape .*expected \(particles, box, box\)": {"images": images[0]},
        "images: row 3 holds values that are not finite": {"images": bad},
        "images: 39 rows; euler_deg has 40": {"images": images[1:]},
        "y without its operator": {"y": images[:, 0]},
        "y: an array of shape": {"y": images, "operator": operator},
        "a prior_weight without an operator": {"images": images, "prior_weight": 0.5},
        "expected box 16 and a weight from 0 to 1": {"images": images, "operator": operator, "prior_weight": 2.0},
        "euler_deg of shape": {"images": images, "euler_deg": arrays["euler_deg"][:, :2]},
        "arrays without poses": {"images": images, "euler_deg": None},
        "pixel_size None": {"images": images, "pixel_size": None},
        "origin_pixel of shape": {"images": images, "origin_pixel": np.zeros((N, 3))},
        "ctf: without .*voltage_kv": {"images": images, "ctf": {"defocus_u_angstrom": 1e4}},
        "half holds 3": {"images": images, "half": np.full(N, 3)},
        "p.star: .*euler_deg.* given beside it": {"images": stack},
    }
    with pytest.raises(InputError, match=r"y\.zarr: measured with operator digest"):
        make_maps(read_measurements(made / "y.zarr"), operator=OPERATOR.replace("masks=16", "masks=12"))
    for message, changed in cases.items():
        with pytest.raises(InputError, match=message):
            make_maps(**(arrays | changed))
    with pytest.raises(InputError, match=r"mask of shape \(8, 8, 8\): expected a cube of 16 voxels"):
        judge_maps(make_maps(stack), np.ones((8, 8, 8)))
    with pytest.raises(InputError, match=r"b of shape \(8, 8, 8\): expected a cube of 16 voxels"):
        compare_maps(np.ones((16, 16, 16)), np.ones((8, 8, 8)), PIXEL)


@pytest.mark.parametrize("name", cryoprior.maps.__all__)
def test_the_workshop_names_what_is_public(name: str) -> None:
    assert getattr(cryoprior.maps, name) is not None
