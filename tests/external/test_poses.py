"""poses by RELION itself: right poses from noisy particles of either sign, and a reference that is never changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from cryoprior.external.relion import RELION, has_mpi
from cryoprior.io import read_map, write_map, write_stack, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.poses import command as poses
from cryoprior.simulation import command as simulation
from cryoprior.simulation import read_ctf_table
from kit.projected_views import draw_blobs, draw_views, project_views

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(RELION.path is None, reason="no relion_refine on the PATH"),
]
N, BOX, PIXEL = 48, 32, 8.0
VOLUME = draw_blobs(BOX, seed=1, n=40, spread=4.5, variance=1.0)
"""About 160 A wide."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of noisy particles: float32 and bright (``truth.star``), float16 and dark (``dark.star``)."""
    folder, rng = tmp_path_factory.mktemp("poses"), np.random.default_rng(0)
    table, optics = draw_views(rng, "truth.mrcs", N, BOX, PIXEL, shift_angstrom=6.0)
    write_star(folder / "truth.star", table, optics)
    signal = project_views(VOLUME, table, optics)
    images = (signal + 0.5 * signal.std() * rng.normal(size=signal.shape)).astype(np.float32)
    write_stack(folder / "truth.mrcs", images, PIXEL)
    with mrcfile.new(folder / "dark.mrcs") as mrc:
        mrc.set_data((3 - images).astype(np.float16))
        mrc.set_image_stack()
    names = [f"{i + 1:06d}@dark.mrcs" for i in range(N)]
    write_star(folder / "dark.star", table.drop(columns=[*ANGLES, *ORIGINS]).assign(rlnImageName=names), optics)
    write_map(folder / "map.mrc", VOLUME, PIXEL)
    return folder


def run(made: Path, output: Path, **options: Any) -> dict[str, Any]:
    given = {"particles": made / "truth.star", "truth": made / "truth.star", "reference_map": made / "map.mrc"}
    return poses.run(poses.Options(output=output, **{"mode": "search", "threads": 1, **given, **options}))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_relion_finds_the_poses_and_leaves_the_map_alone(made: Path, tmp_path: Path) -> None:
    summary = run(made, tmp_path / "out", lowpass=18.0)
    assert summary["median_angle_deg"] < 5
    assert summary["median_shift_pixel"] < 0.5
    assert summary["above_30_deg"] <= N // 4  # random poses: 46 of 48
    assert summary["hand_flipped"] is False
    work = tmp_path / "out" / "relion"
    for part in ("global", "local"):  # RELION writes what it started from, and no map after it
        assert [p.name for p in sorted((work / part).glob("*class001.mrc"))] == ["run_it000_class001.mrc"]
        start = read_map(work / part / "run_it000_class001.mrc")[0]
        assert correlation(start, read_map(work / "input" / "reference.mrc")[0]) > 0.9


def test_dark_float16_particles_and_the_other_hand_are_seen_through(made: Path, tmp_path: Path) -> None:
    mirrored = np.roll(VOLUME[::-1, ::-1, ::-1], 1, (0, 1, 2))  # inverted through the centre, pixel 16
    write_map(tmp_path / "mirrored.mrc", mirrored, PIXEL)
    options = {"particles": made / "dark.star", "reference_map": tmp_path / "mirrored.mrc", "healpix_order": 1}
    summary = run(made, tmp_path / "out", lowpass=18.0, **options)
    assert summary["contrast"] == "dark"
    assert summary["hand_flipped"] is True
    assert summary["median_angle_other_hand_deg"] < 6
    assert summary["median_view_deg"] < 6


@pytest.mark.slow
@pytest.mark.skipif(not has_mpi(), reason="no mpirun or relion_refine_mpi on the PATH")
def test_auto_refinement_runs_to_its_end(made: Path, tmp_path: Path) -> None:
    summary = run(made, tmp_path / "out", mode="refine", lowpass=24.0, healpix_order=1)
    assert summary["mode"] == "refine"
    assert summary["median_angle_deg"] < 10


OPTICS = {
    "premultiplied": {"premultiplied": 1},
    "phase-flipped": {"phase_flipped": 1},
    "mixed": {
        "beam_tilt_x_mrad": 40.0,
        "beam_tilt_y_mrad": -20.0,
        "even_zernike": "[0.4,900,0,-500]",
        "rlnMagMat00": 1.05,
        "rlnMagMat01": 0.03,
        "rlnMagMat10": -0.02,
        "rlnMagMat11": 0.94,
        "bfactor_angstrom2": 300.0,
        "scale": 0.6,
    },
}


@pytest.mark.parametrize("kind", OPTICS)
def test_relion_is_told_all_that_changes_the_transfer(kind: str, made: Path, tmp_path: Path) -> None:
    table = read_ctf_table(None).iloc[:40].assign(**OPTICS[kind])
    table.to_csv(tmp_path / "ctf.csv", index=False)
    given: dict[str, Any] = {"n": N, "box": BOX, "pixel_size": PIXEL, "snr": 2.0, "ctf": tmp_path / "ctf.csv"}
    simulation.run(simulation.Options(structures=(made / "map.mrc",), output=tmp_path / "sim", **given))
    star = tmp_path / "sim" / "particles.star"
    reference = {"truth": star, "reference_map": tmp_path / "sim" / "maps" / "map.mrc"}
    summary = run(made, tmp_path / "out", particles=star, lowpass=18.0, **reference)
    assert summary["median_angle_deg"] < 5
    assert summary["median_shift_pixel"] < 0.5
    assert summary["contrast"] == "bright"
