"""Rays meet a ball where geometry says, a rough map where a dense march does; colours and light follow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cryoprior.errors import InputError
from cryoprior.report.surfaces import (
    NOT_MEASURED,
    VIEWS,
    Hits,
    cast_rays,
    check_surfaces,
    light_up,
    make_surface,
    resolution_limits,
    surface_colours,
    surface_levels,
    values_at,
)

D, RADIUS = 48, 9.0


def ball(x: float, y: float, z: float, radius: float = RADIUS, d: int = D) -> np.ndarray:
    """A smooth map that is 0.5 on the sphere about (x, y, z), voxels from the centre of the box."""
    zs, ys, xs = np.indices((d, d, d)) - d // 2
    distance = np.sqrt((xs - x) ** 2 + (ys - y) ** 2 + (zs - z) ** 2)
    return 1 / (1 + np.exp((distance - radius) / 1.2))


def rough(d: int = 32) -> np.ndarray:
    z, y, x = np.indices((d, d, d)) - d // 2
    return gaussian_filter(np.random.default_rng(3).normal(size=(d, d, d)), 1.6) * (x * x + y * y + z * z < 144)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("d", [D, D - 1, 100])  # even, odd and too large to be sampled more finely
def test_a_ball_is_seen_where_it_is(view: str, d: int) -> None:
    centre = np.array([5.0, -2.0, 3.0])
    hits = cast_rays(make_surface(ball(*centre, d=d), 0.5), VIEWS[view], 20.0, 80)
    from_centre = hits.points - centre[:, None]
    np.testing.assert_allclose(np.linalg.norm(from_centre, axis=0), RADIUS, atol=0.1)
    inner = (VIEWS[view] @ from_centre)[2] > 0.3 * RADIUS  # away from the rim
    np.testing.assert_allclose(hits.normals[:, inner], (VIEWS[view] @ from_centre / RADIUS)[:, inner], atol=0.05)
    assert hits.depth.max() == pytest.approx((VIEWS[view] @ centre)[2] + RADIUS, abs=0.1)
    row, column = (places.mean() for places in np.nonzero(hits.seen))
    where = np.array([(column + 0.5) / 80 * 2 - 1, 1 - (row + 0.5) / 80 * 2]) * 20
    np.testing.assert_allclose(where, (VIEWS[view] @ centre)[:2], atol=0.1)
    assert hits.seen.mean() == pytest.approx(np.pi * RADIUS**2 / 40**2, rel=0.03)


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_rotations(view: str) -> None:
    np.testing.assert_allclose(VIEWS[view] @ VIEWS[view].T, np.eye(3), atol=1e-15)
    assert np.linalg.det(VIEWS[view]) == pytest.approx(1)


def test_long_strides_miss_nothing() -> None:
    surface = make_surface(rough(), 0.05, dust=0.0)
    hits = cast_rays(surface, VIEWS["side"], 14.0, 60)
    across = ((np.arange(60) + 0.5) / 60 * 2 - 1) * 14
    x, y, z = (
        a.ravel() for a in np.broadcast_arrays(across[None, :, None], -across[:, None, None], np.arange(15, -15, -0.1))
    )
    values = surface.at(surface.volume, VIEWS["side"].T @ np.stack([x, y, z]), -1.0).reshape(60, 60, -1)
    above = values > surface.level
    assert 0.3 < hits.seen.mean() < 0.9
    assert (above.any(2) != hits.seen).mean() < 0.01
    both = above.any(2) & hits.seen
    depth = np.full((60, 60), np.nan)
    depth[hits.seen] = hits.depth
    assert (np.abs(depth - (15 - 0.1 * above.argmax(2)))[both] < 0.11).mean() > 0.97  # the rest graze


def test_the_nearer_of_two_balls_hides_the_other() -> None:
    both = np.maximum(ball(0, 0, 12, 5), ball(0, 0, -12, 8))
    hits = cast_rays(make_surface(both, 0.5), VIEWS["front"], 20.0, 60)
    depth = np.full((60, 60), np.nan)
    depth[hits.seen] = hits.depth
    assert depth[30, 30] == pytest.approx(17, abs=0.2)
    assert np.nanmin(depth) < -10


def test_dust_is_swept() -> None:
    volume = np.maximum(ball(0, 0, 0), ball(16, 0, 0, 1.2))
    clean, all_of_it = make_surface(volume, 0.4, 0.01), make_surface(volume, 0.4, 0.0)
    assert clean.reach == pytest.approx(9.5, abs=0.5)
    assert all_of_it.reach > 16
    assert not cast_rays(clean, VIEWS["front"], 20.0, 40).points[0].max() > 10


def test_of_nothing_but_dust_the_largest_piece_stays() -> None:
    specks = np.maximum(ball(12, 0, 0, 2.5), ball(-12, 0, 0, 2.0))
    assert cast_rays(make_surface(specks, 0.5, dust=0.9), VIEWS["front"], 20.0, 60).points[0].min() > 9


def test_levels_enclose_as_much_as_the_first() -> None:
    maps = {"truth": ball(0, 0, 0), "scaled": 3 * ball(0, 0, 0) - 1, "given": ball(1, 0, 0)}
    levels = surface_levels(maps, {"truth": 0.4, "given": 0.7})
    assert levels["truth"] == 0.4
    assert levels["given"] == 0.7
    assert (maps["scaled"] > levels["scaled"]).sum() == (maps["truth"] > 0.4).sum()
    assert 0.1 < surface_levels(maps, {})["truth"] < 0.9


def test_colours_follow_the_local_resolution() -> None:
    x = np.indices((D, D, D))[2] - D // 2
    resolution = np.where(x < 0, 5.0, 20.0)
    hits = cast_rays(make_surface(ball(0, 0, 0), 0.5), VIEWS["front"], 12.0, 60)
    values = values_at(resolution, hits)
    assert resolution_limits([values]) == pytest.approx((5, 20))
    picture = light_up(hits, surface_colours(values, hits, (5.0, 20.0)), 12.0)
    assert picture.shape == (30, 30, 4)
    left, right = picture[15, 7, :3], picture[15, 22, :3]
    assert left[2] > 1.5 * left[0]  # fine: blue
    assert right[0] > 1.5 * right[2]  # coarse: red
    assert not picture[0, 0, 3]
    assert len(np.unique(surface_colours(None, hits, (5.0, 20.0)), axis=0)) == 1


def test_places_without_a_resolution_are_grey() -> None:
    x = np.indices((D, D, D))[2] - D // 2
    resolution = np.where(x < -2, 5.0, np.nan)
    hits = cast_rays(make_surface(ball(0, 0, 0), 0.5), VIEWS["front"], 12.0, 40)
    values = values_at(resolution, hits)
    np.testing.assert_allclose(values[hits.points[0] < -3], 5)
    unknown = hits.points[0] > -1
    assert np.isnan(values[unknown]).all()
    np.testing.assert_array_equal(
        surface_colours(values, hits, (4.0, 6.0))[unknown], np.tile(NOT_MEASURED, (unknown.sum(), 1))
    )
    assert resolution_limits([values]) == pytest.approx((4.5, 5.5))
    assert resolution_limits([values[unknown]]) == (1, 2)


def test_light_comes_from_the_upper_left_and_hollows_are_dark() -> None:
    hits = cast_rays(make_surface(ball(0, 0, 0), 0.5), VIEWS["front"], 12.0, 60)
    white = np.ones((len(hits.depth), 3))
    picture = light_up(hits, 0.7 * white, 12.0)[..., 0]
    assert picture[10, 10] > 1.3 * picture[20, 20]
    buried = Hits(hits.seen, hits.points, hits.normals, hits.depth, np.ones(len(hits.depth)))
    assert light_up(buried, 0.7 * white, 12.0)[15, 15, 0] < 0.7 * picture[15, 15]


@pytest.mark.parametrize(
    ("resolution", "levels", "views", "text"),
    [
        ({"b": np.ones((4, 4, 4))}, {}, ["front"], "no map of this title; expected one of a"),
        ({"a": np.ones((3, 3, 3))}, {}, ["front"], r"shape \(3, 3, 3\)"),
        ({"a": np.zeros((4, 4, 4))}, {}, ["front"], "put NaN where nothing was measured"),
        ({}, {"a": 70.0}, ["front"], "level 70 is outside its values"),
        ({}, {}, ["below"], "expected some of front, side, top"),
        ({}, {}, [], "expected some of front, side, top"),
    ],
)
def test_what_does_not_fit_is_refused(
    resolution: dict[str, np.ndarray], levels: dict[str, float], views: list[str], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        check_surfaces({"a": np.arange(64.0).reshape(4, 4, 4)}, resolution, levels, views)
