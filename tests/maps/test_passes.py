"""Maps with the operator in their equations, maps that particles do not determine, and views that are missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import starfile
import torch
from scipy.spatial.transform import Rotation

from cryoprior.image.projection import project_particles
from cryoprior.io import write_stack, write_star
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps import judge_maps, make_maps, view_distribution, view_warning
from cryoprior.maps.command import Options, run
from cryoprior.maps.judgement import agree_beyond_noise
from cryoprior.maps.making import source_of
from cryoprior.maps.passes import RESIDUAL, ParticlePasses
from cryoprior.maps.sums import MapSettings, sum_halves
from cryoprior.metrics.fsc import fsc, volume_shell_sums
from cryoprior.operators import parse_operator
from kit.projected_views import draw_blobs

BOX, N, PIXEL = 24, 80, 4.0
PIXEL_SUMS = "pixel:block=8,masks=16,rows=hadamard,sets=5"
CASE = Path(__file__).parents[2].parent / "shared/data/cases/27-preferred-orientation/poses.star"


def poses(n: int = N, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    euler = euler_of_matrix(Rotation.random(n, rng=rng).as_matrix())
    same = {"defocus_angle_deg": 30.0, "voltage_kv": 300.0, "cs_mm": 2.7, "amplitude_contrast": 0.1}
    u = rng.uniform(1e4, 3e4, n)
    ctf = {"defocus_u_angstrom": u, "defocus_v_angstrom": u - 300} | {k: np.full(n, v) for k, v in same.items()}
    return {"euler_deg": euler, "origin_pixel": rng.normal(size=(n, 2)), "pixel_size": PIXEL, "ctf": ctf}


def source(given: dict[str, Any], images: torch.Tensor, operator: str) -> Any:
    device = parse_operator(operator, box=BOX)
    geometry = {name: given.get(name) for name in ("pixel_size", "origin_pixel", "ctf", "half")}
    y = device.forward(images, list(range(len(images))))
    return source_of(None, given["euler_deg"], y, device, None, 0.0, geometry)


@pytest.mark.parametrize("flag", [None, "premultiplied", "phase_flipped"])
def test_the_equations_are_symmetric(flag: str | None) -> None:
    given, rng = poses(20), np.random.default_rng(1)
    if flag is not None:
        given["ctf"][flag] = np.ones(20, bool)
    passes = ParticlePasses(source(given, torch.zeros(20, BOX, BOX), PIXEL_SUMS), MapSettings(batch=7))
    a, b = (torch.from_numpy(rng.normal(size=(3, BOX, BOX, BOX))) for _ in range(2))
    of_a, of_b = passes.apply(list(a), "a"), passes.apply(list(b), "b")
    for place in range(3):
        left, right = float((of_a[place] * b[place]).sum()), float((of_b[place] * a[place]).sum())
        assert left == pytest.approx(right, rel=1e-4, abs=1e-4 * float(of_a[place].norm() * b[place].norm()))


def test_of_whole_images_they_are_the_equations_of_the_sums() -> None:
    """An operator that sees all of every image leaves projection and back-projection alone."""
    given, volume = poses(20), torch.from_numpy(draw_blobs(BOX, 3)).double()
    whole = source(given, torch.zeros(20, BOX, BOX), "pixel:block=8,masks=64,rows=hadamard,sets=2")
    assert whole.mixes
    sums = sum_halves(whole, MapSettings())
    found = ParticlePasses(whole, MapSettings()).apply([volume] * 3, "map")
    for half, one in zip(sums.halves, found[:2], strict=True):
        expected = half.equations().apply(volume)
        assert float((one - expected).norm()) < 0.12 * float(expected.norm())  # each interpolates in its own way
    torch.testing.assert_close(found[2], found[0] + found[1], rtol=0, atol=1e-4 * float(found[2].abs().max()))


def test_passes_stop_where_the_residual_is_reached_and_say_so_where_it_is_not() -> None:
    given, rng = poses(), np.random.default_rng(0)
    images = project_particles(
        torch.from_numpy(draw_blobs(BOX, 3)),
        *(torch.from_numpy(given[name]) for name in ("euler_deg", "origin_pixel")),
    )
    noisy = images + torch.from_numpy(rng.normal(size=images.shape).astype(np.float32))
    given["ctf"] = None
    device = parse_operator(PIXEL_SUMS, box=BOX)
    y = device.forward(noisy, list(range(N)))
    enough, few = (make_maps(y=y, operator=device, passes=passes, **given) for passes in (20, 2))
    assert (enough.converged, few.converged) == (True, False)
    assert enough.steps < 20
    assert enough.residual <= RESIDUAL < few.residual


def test_particles_of_noise_determine_no_map(tmp_path: Path) -> None:
    rng, given = np.random.default_rng(0), poses(60)
    write_stack(tmp_path / "p.mrcs", rng.normal(size=(60, BOX, BOX)).astype(np.float32), PIXEL)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(60)], "rlnOpticsGroup": 1})
    table[list(ANGLES)], table[list(ORIGINS)] = given["euler_deg"], 0.0
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [BOX]})
    write_star(tmp_path / "p.star", table, optics)
    summary = run(Options(tmp_path / "p.star", tmp_path / "map", local_resolution=True))
    written = json.loads((tmp_path / "map/summary.json").read_text())
    for found in (summary, written):
        assert found["determined"] is False
        assert found["resolution_0143_angstrom"] is None
        assert found["resolution_05_angstrom"] is None
        assert found["local_resolution"] is None
        assert "do not determine" in found["says"]
    page = (tmp_path / "map/report.html").read_text()
    assert "do not determine" in page
    assert "inf" not in page.replace("info", "").replace("-inf", "x").split("<body", 1)[1].split("base64", 1)[0]
    assert (tmp_path / "map/map.mrc").is_file()


def noise_maps() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        yield tuple(torch.from_numpy(rng.normal(size=(BOX,) * 3)) for _ in range(2))  # type: ignore[misc]


def test_noise_is_rarely_taken_for_agreement() -> None:
    axis = torch.arange(BOX) - BOX // 2
    squares = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    mask = torch.exp(-squares / 60).double()
    said = [agree_beyond_noise(fsc(a * mask, b * mask), mask) for a, b in noise_maps()]
    assert sum(said) <= 2
    signal = torch.from_numpy(draw_blobs(BOX, 3)).double()
    assert all(agree_beyond_noise(fsc((a + 9 * signal) * mask, (b + 9 * signal) * mask), mask) for a, b in noise_maps())


@pytest.mark.skipif(not CASE.is_file(), reason="the shared data are not here")
def test_views_of_a_missing_cone_give_no_invented_map() -> None:
    """Poses of ``cases/27``: divided by a floor, the unseen cone held 4 to 32 times the signal."""
    box, rng = 32, np.random.default_rng(0)
    stack = read_star_poses(CASE)[:300]
    truth = torch.from_numpy(draw_blobs(box, 5, n=30, spread=4.5, variance=1.2))
    images = project_particles(truth, torch.from_numpy(stack), torch.zeros(len(stack), 2))
    noisy = images + 0.3 * images.std() * torch.from_numpy(rng.normal(size=images.shape).astype(np.float32))
    maps = make_maps(noisy, stack, pixel_size=3.0)
    assert float(torch.corrcoef(torch.stack((maps.full.flatten(), truth.flatten())))[0, 1]) > 0.7
    power = [volume_power(volume) for volume in (maps.full, truth)]
    assert float((power[0] / power[1])[1:12].max()) < 1.5
    warning = view_warning(view_distribution(stack), "C1", judge_maps(maps).resolution.angstrom)
    assert warning is not None
    assert "views are missing" in warning.lower()


def read_star_poses(path: Path) -> np.ndarray:
    table = starfile.read(path)
    table = table["particles"] if isinstance(table, dict) else table
    return table[list(ANGLES)].to_numpy(float)


def volume_power(volume: torch.Tensor) -> torch.Tensor:
    return volume_shell_sums(torch.fft.rfftn(volume.double()).abs().square())
