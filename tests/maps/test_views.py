"""Views of a map: closed forms of what they measure, laws of turns and mates, the sentence where some are missing."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.image.projection import project_particles
from cryoprior.image.symmetry import point_group
from cryoprior.io import read_star, write_stack, write_star
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps.anisotropy import map_anisotropy, mask_diameter
from cryoprior.maps.command import Options, run
from cryoprior.maps.judgement import NamedMaps, judge_maps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.missing_views import view_warning
from cryoprior.maps.view_figures import direction_fsc_picture, views_picture
from cryoprior.maps.views import ViewDistribution, sampling_compensation, view_directions, view_distribution
from kit.projected_views import draw_blobs

CASE = Path(__file__).parents[3] / "shared/data/cases/27-preferred-orientation/poses.star"


def even(n: int, seed: int = 0) -> np.ndarray:
    return euler_of_matrix(Rotation.random(n, rng=np.random.default_rng(seed)).as_matrix())


def between(n: int, least_deg: float, most_deg: float, seed: int = 0) -> np.ndarray:
    """Return views whose tilt lies between two angles, evenly on that part of the sphere."""
    rng = np.random.default_rng(seed)
    cosine = rng.uniform(*np.cos(np.radians([most_deg, least_deg])), n)
    return np.stack([rng.uniform(-180, 180, n), np.degrees(np.arccos(cosine)), rng.uniform(-180, 180, n)], 1)


def leaning(n: int, strength: float, seed: int = 0) -> np.ndarray:
    """Return views with a density of exp(strength cos^2 tilt)."""
    rng = np.random.default_rng(seed)
    cosine = rng.uniform(-1, 1, 100 * n)
    cosine = cosine[rng.uniform(size=100 * n) < np.exp(strength * (cosine**2 - 1))][:n]
    return np.stack([rng.uniform(-180, 180, n), np.degrees(np.arccos(cosine)), rng.uniform(-180, 180, n)], 1)


def turned(euler: np.ndarray, rotation: Rotation) -> np.ndarray:
    return euler_of_matrix((rotation * Rotation.from_euler("ZYZ", euler, degrees=True)).as_matrix())


def told(euler: np.ndarray, symmetry: str = "C1") -> str | None:
    return view_warning(view_distribution(euler, symmetry, 4.0, 150.0), symmetry, 4.0)


# numbers


def test_a_map_is_seen_along_the_third_column_of_the_pose() -> None:
    euler = np.array([[30.0, 70.0, 110.0]])
    direction = view_directions(euler)[0]
    rot, tilt = np.radians(euler[0, :2])
    expected = np.array([np.cos(rot) * np.sin(tilt), np.sin(rot) * np.sin(tilt), np.cos(tilt)])
    np.testing.assert_allclose(direction, expected, atol=1e-12)
    # a point moved along the view, and only that, is projected to the same place
    place, images = np.array([3.0, -2.0, 1.0]), []
    axis = np.arange(32) - 16
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    for at in (place, place + 4 * expected):
        blob = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2) / 4).astype(np.float32)
        images.append(project_particles(torch.from_numpy(blob), torch.from_numpy(euler), torch.zeros(1, 2))[0])
    assert float((images[0] - images[1]).abs().max()) < 0.02 * float(images[0].max())


def test_the_scf_of_even_views_is_1_and_of_side_views_8_over_pi_squared() -> None:
    assert view_distribution(even(60_000)).scf == pytest.approx(1, abs=0.02)
    side = even(20_000)
    side[:, 1] = 90
    assert view_distribution(side).scf == pytest.approx(8 / math.pi**2, abs=0.03)


def test_the_scf_by_hand() -> None:
    assert sampling_compensation(torch.tensor([4.0, 4.0])) == 1
    assert sampling_compensation(torch.tensor([2.0, 6.0])) == pytest.approx(1 / (4 * (1 / 2 + 1 / 6) / 2))
    # two thirds have a view: mean 2, mean of 1 / count with a half for none
    assert sampling_compensation(torch.tensor([0.0, 2.0, 4.0])) == pytest.approx(2 / 3 / (2 * (0.5 + 0.5 + 0.25) / 3))


@pytest.mark.parametrize("tilt_deg", [35.0, 60.0])
def test_views_about_an_axis_leave_a_cone_unseen(tilt_deg: float) -> None:
    views = view_distribution(between(5000, 0, tilt_deg), resolution_angstrom=3.0, diameter_angstrom=300.0)
    cone = 1 - math.cos(math.radians(90 - tilt_deg - views.slice_deg))
    assert views.unseen_share == pytest.approx(cone, abs=0.01)
    assert views.slice_deg == pytest.approx(math.degrees(math.asin(3 / 600)))
    height = views.directions[:, 2].acos().rad2deg()
    assert float(views.sampling[height < 90 - tilt_deg - views.band_deg].max()) == 0
    assert float(views.density[height > tilt_deg + views.cap_deg].max()) == 0
    assert bool(views.thin[height < 10].all())


def test_side_views_measure_everything() -> None:
    side = even(3000)
    side[:, 1] = 90
    views = view_distribution(side, resolution_angstrom=4.0, diameter_angstrom=150.0)
    assert views.unseen_share == 0
    assert views.thin_share == 0


def test_density_and_sampling_are_1_on_the_mean() -> None:
    for euler in (even(60), even(3000), between(3000, 0, 20)):
        views = view_distribution(euler)
        assert float(views.density.mean()) == pytest.approx(1, abs=0.05)
        assert float(views.sampling.mean()) == pytest.approx(1, abs=0.02)


def test_turned_poses_have_the_same_numbers_and_a_turned_sphere() -> None:
    turn = Rotation.from_euler("ZYZ", [20, 50, 70], degrees=True)
    euler = between(4000, 0, 40)
    one, other = view_distribution(euler), view_distribution(turned(euler, turn))
    assert other.scf == pytest.approx(one.scf, rel=0.1)
    assert other.thin_share == pytest.approx(one.thin_share, abs=0.01)
    assert other.unseen_share == pytest.approx(one.unseen_share, abs=0.01)
    matrix = torch.from_numpy(turn.as_matrix())
    nearest = (other.directions @ matrix @ one.directions.T).abs().argmax(1)
    assert float((other.sampling - one.sampling[nearest]).abs().mean()) < 0.15
    assert "degrees off the view of rot 20 and tilt 50 degrees, and" in str(told(turned(between(20_000, 0, 40), turn)))


def test_opposite_views_and_turns_in_the_plane_change_nothing() -> None:
    euler = between(500, 0, 50)
    one = view_distribution(euler)
    other = view_distribution(np.stack([euler[:, 0] + 180, 180 - euler[:, 1], euler[:, 2] * 3], 1))
    torch.testing.assert_close(other.sampling, one.sampling, rtol=0, atol=0.05)
    assert other.scf == pytest.approx(one.scf, rel=0.02)


@pytest.mark.parametrize("symmetry", ["C3", "D2", "O"])
def test_a_symmetric_particle_is_seen_from_all_mates(symmetry: str) -> None:
    euler = between(300, 20, 60)
    rotations = Rotation.from_euler("ZYZ", euler, degrees=True).as_matrix()
    mates = np.concatenate([mate.numpy() @ rotations for mate in point_group(symmetry)])
    one, other = view_distribution(euler, symmetry), view_distribution(euler_of_matrix(mates))
    torch.testing.assert_close(one.sampling, other.sampling, rtol=0, atol=0.02)
    assert one.scf == pytest.approx(other.scf, rel=0.01)
    assert one.n == 300


def test_of_very_many_views_some_are_counted_and_the_numbers_stay() -> None:
    euler = between(60_000, 0, 60)
    views = view_distribution(euler)
    assert len(views.views) == 20_000
    assert views.n == 60_000
    assert views.thin_share == pytest.approx(view_distribution(euler[:20_000]).thin_share, abs=0.01)
    assert views.scf is not None
    assert views.scf < 0.5 * float(view_distribution(euler[:20_000]).scf or 0)  # SCF* falls as the gap stays


def test_one_view_measures_one_slice() -> None:
    views = view_distribution([[0.0, 0.0, 0.0]], resolution_angstrom=20.0, diameter_angstrom=100.0)
    assert views.scf is None
    assert views.unseen_share == pytest.approx(0.9, abs=0.01)
    assert repr(views) == "ViewDistribution(1 particles, no SCF, 90.0% of Fourier directions unseen)"


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"euler_deg": np.zeros((0, 3))}, "without rows: expected one pose per particle"),
        ({"euler_deg": np.zeros((4, 2))}, r"shape \(4, 2\): expected \(n, 3\)"),
        ({"euler_deg": np.full((4, 3), np.nan)}, "not finite"),
        ({"resolution_angstrom": 0.0}, "resolution_angstrom 0: expected angstrom above 0"),
        ({"diameter_angstrom": math.inf}, "diameter_angstrom inf: expected angstrom above 0"),
        ({"symmetry": "Q2"}, "expected a point group"),
    ],
)
def test_views_that_are_none(given: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        view_distribution(**{"euler_deg": even(10), **given})


# words


@pytest.mark.parametrize(
    "euler",
    [even(40), even(60), even(100), even(3000), between(300, 90, 90), leaning(100, 2), leaning(3000, 2)],
    ids=["even 40", "even 60", "even 100", "even 3000", "from the side", "leaning 100", "leaning 3000"],
)
def test_nothing_is_said_of_views_that_cover_all(euler: np.ndarray) -> None:
    assert told(euler) is None


@pytest.mark.parametrize("tilt_deg", [35, 60])
def test_views_about_an_axis_are_told(tilt_deg: int) -> None:
    sentence = told(between(3000, 0, tilt_deg))
    assert sentence is not None
    share = 100 * (1 - math.cos(math.radians(90 - tilt_deg - 0.76)))  # half of the slice covers 0.76 degrees
    start = (
        rf"Views are missing: no particle is seen from more than {tilt_deg} degrees off z, and (\d+)% of the "
        r"directions in Fourier space were not measured at 4\.0 A\. The map is smeared along z, which"
    )
    found = re.match(start, sentence)
    assert found is not None, sentence
    assert int(found[1]) == pytest.approx(share, abs=1.5)


def test_views_that_are_almost_all_alike_are_told() -> None:
    sentence = told(np.concatenate([between(9500, 0, 10), even(500)]))
    assert sentence is not None
    assert sentence.startswith("Views are uneven: 75% of the particles are seen within 9 degrees of z, and 7")
    assert "The map is worse along z" in sentence


def test_a_tilt_series_and_few_views_are_told() -> None:
    series = np.stack([np.zeros(61), np.linspace(-60, 60, 61), np.zeros(61)], 1)
    assert "no particle is seen from more than 60 degrees off z" in str(told(series))
    assert str(told(even(1))).endswith("were not measured at 4.0 A by 1 particle; add particles.")


def test_mates_fill_what_one_view_leaves() -> None:
    assert told(between(300, 80, 90), "D7") is None
    assert "smeared along z, the symmetry axis, which" in str(told(between(300, 0, 35), "C4"))
    assert told(between(300, 0, 5), "I") is None
    assert told(between(300, 0, 5)) is not None


def test_the_case_of_a_preferred_orientation_is_told() -> None:
    if not CASE.exists():
        pytest.skip("the case is not here")
    sentence = told(read_star(CASE)["particles"][list(ANGLES)].to_numpy())
    assert "no particle is seen from more than 35 degrees off z" in str(sentence)


# the map


def named_maps(box: int = 32) -> NamedMaps:
    signal = torch.from_numpy(draw_blobs(box, 0, n=20))
    halves = [signal + 0.2 * torch.from_numpy(np.random.default_rng(i).normal(size=(box,) * 3)).float() for i in (1, 2)]
    maps = MapSet(halves[0], halves[1], (halves[0] + halves[1]) / 2, 50, 50, 4.0)
    return NamedMaps("map", maps, judge_maps(maps))


def test_the_diameter_of_a_mask() -> None:
    mask = torch.zeros(16, 16, 16)
    assert mask_diameter(mask) == 1
    mask[8, 8, 8 - 5 : 8 + 6] = 1
    assert mask_diameter(mask) == 11


def test_cones_are_corrected_as_whole_shells_are_and_drawn() -> None:
    named = named_maps()
    found = map_anisotropy(named, even(100), "C1")
    table = found.table()
    curve = named.judgement.curves.corrected.numpy()
    assert float(np.abs(table["fsc_mean"] - curve)[4:].mean()) < 0.05
    columns = ["fsc_lowest", "fsc_worst_tenth", "fsc_mean", "fsc_best_tenth", "fsc_highest"]
    assert (np.diff(table[columns].to_numpy()[6:], axis=1) >= -1e-9).all()
    assert found.best_angstrom <= named.judgement.resolution.angstrom * 1.1
    assert found.best_angstrom <= found.worst_angstrom
    for picture in (views_picture(found), direction_fsc_picture(found)):
        assert picture.startswith(b"\x89PNG")


def test_the_command_tells_of_missing_views(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    n, box, pixel = 80, 16, 8.0
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    table[list(ANGLES)], table[list(ORIGINS)] = between(n, 0, 35), 0.0
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [pixel], "rlnImageSize": [box]})
    volume = torch.from_numpy(draw_blobs(box, 0, spread=1.5))
    images = project_particles(volume, torch.from_numpy(table[list(ANGLES)].to_numpy(copy=True)), torch.zeros(n, 2))
    write_stack(tmp_path / "p.mrcs", images.numpy(), pixel)
    write_star(tmp_path / "p.star", table, optics)
    run(Options(particles=tmp_path / "p.star", output=tmp_path / "map"))
    summary = json.loads((tmp_path / "map" / "summary.json").read_text())
    assert summary["warnings"] == ["No CTF", "Views are missing"]
    views = summary["views"]
    assert views["scf"] is None
    assert views["unseen_share"] > 0.1
    assert views["resolution_best_angstrom"] <= views["resolution_worst_angstrom"]
    assert views["warning"].startswith("Views are missing: no particle is seen from more than ")
    assert views["warning"] in caplog.text
    page = (tmp_path / "map" / "report.html").read_text()
    assert "<h2>Views</h2>" in page
    assert "No particle is seen from more than" in page
    assert len(pd.read_csv(tmp_path / "map" / "fsc_by_direction.csv")) == 9


def test_a_distribution_can_be_had_from_the_workshop() -> None:
    from cryoprior import maps

    assert isinstance(maps.view_distribution(even(10)), ViewDistribution)
    assert maps.view_warning(maps.view_distribution(even(200)), "C1", 10.0) is None
