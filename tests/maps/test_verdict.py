"""The sentence that a map is opened with, and what is taken for one map."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch

from cryoprior.maps.anisotropy import map_anisotropy
from cryoprior.maps.job import PRIOR_FREE, MapJob
from cryoprior.maps.judgement import NamedMaps, judge_maps
from cryoprior.maps.making import source_of
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.page import map_page
from cryoprior.maps.same_maps import distinct_maps, same_maps
from cryoprior.maps.verdict import map_verdict, prior_inside
from cryoprior.maps.view_section import views_section
from cryoprior.maps.worth import HALF_MAPS, Curve, Point, Worth
from cryoprior.maps.worth_page import worth_picture, worth_section
from cryoprior.metrics.fsc import Resolution
from cryoprior.report.page import KeyValues, render_page

BOX, PIXEL, N = 16, 4.0, 400


def maps(seed: int = 0, noise: float = 0.5) -> MapSet:
    """Return half maps of one blob with noise of their own."""
    rng = np.random.default_rng(seed)
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    blob = np.exp(-(((x - 1) / 3) ** 2 + (y / 2) ** 2 + ((z + 1) / 2.5) ** 2))
    halves = [torch.from_numpy(blob + noise * 0.05 * rng.normal(size=blob.shape)).float() for _ in range(2)]
    return MapSet(halves[0], halves[1], (halves[0] + halves[1]) / 2, N // 2, N // 2, PIXEL)


def named(name: str = "map", of: MapSet | None = None, **resolution: object) -> NamedMaps:
    """Return judged maps, whose resolution may be given another value."""
    of = maps() if of is None else of
    judgement = judge_maps(of, np.ones((BOX,) * 3))
    return NamedMaps(name, of, dataclasses.replace(judgement, **resolution))


def poses(most_deg: float = 180.0) -> np.ndarray:
    """Return views whose tilt is below an angle, evenly on that part of the sphere."""
    rng = np.random.default_rng(0)
    cosine = rng.uniform(np.cos(np.radians(most_deg)), 1, N)
    return np.stack([rng.uniform(-180, 180, N), np.degrees(np.arccos(cosine)), rng.uniform(-180, 180, N)], 1)


def job(prior_weight: float | None = None) -> MapJob:
    images = np.zeros((N, BOX, BOX), np.float32)
    given = {"pixel_size": PIXEL, "origin_pixel": None, "ctf": None, "half": None}
    return MapJob("map", source_of(images, poses(), None, None, None, 0.0, given), prior_weight=prior_weight)


def says(all_named: list[NamedMaps], prior_weight: float | None = None, most_deg: float = 180.0) -> str:
    return map_verdict(job(prior_weight), all_named, map_anisotropy(all_named[0], poses(most_deg), "C1"))


def test_resolution_views_and_prior_are_said_in_one_sentence() -> None:
    one = named(resolution=Resolution(9.14, False))
    assert says([one]) == "9.1 A by half maps; views cover the sphere; no prior"


def test_a_map_at_nyquist_is_at_most_that() -> None:
    assert says([named(resolution=Resolution(8.0, True))]).startswith("at most 8.0 A by half maps")


def test_a_map_without_a_resolution_is_said_not_to_be_determined() -> None:
    said = says([named(resolution=Resolution(math.inf, False))])
    assert said.startswith("the particles do not determine a map")
    assert "inf" not in said


def test_missing_views_are_said() -> None:
    one = named(resolution=Resolution(9.0, False))
    share = map_anisotropy(one, poses(35.0), "C1").views.unseen_share
    assert share > 0.05
    assert f"; views leave {share:.0%} of the directions in Fourier space unseen; " in says([one], most_deg=35.0)


def test_uneven_views_are_said() -> None:
    one = named(resolution=Resolution(60.0, False))  # slices are thick: none of the directions is unseen
    anisotropy = map_anisotropy(one, poses(60.0), "C1")
    assert anisotropy.views.unseen_share <= 0.05 < anisotropy.views.thin_share
    assert f"views are uneven: {anisotropy.views.thin_share:.0%} of the directions" in says([one], most_deg=60.0)


def test_a_prior_is_said_to_be_in_a_map_or_not() -> None:
    one, other = named(), named(PRIOR_FREE, maps(1))
    same = dataclasses.replace(one, name=PRIOR_FREE)
    for weight, beside, words, inside in (
        (0.0, same, "the prior is not in this map", False),
        (0.0, other, "the prior is in this map as far as it changed what was measured: its half maps flatter it", True),
        (0.25, other, "the prior is in this map with weight 0.25: its half maps flatter it", True),
    ):
        assert says([one, beside], weight).endswith(f"; {words}")
        assert prior_inside(job(weight), [one, beside]) is inside
    assert not prior_inside(job(), [one])


def test_maps_that_differ_by_rounding_are_one() -> None:
    one = maps()
    rounded = dataclasses.replace(one, full=one.full * (1 + 1e-5))
    assert same_maps(one, rounded)
    assert not same_maps(one, dataclasses.replace(one, full=one.full * 1.05))
    assert not same_maps(one, dataclasses.replace(one, half_2=one.half_1))
    assert not same_maps(one, dataclasses.replace(one, n_half_1=1))
    assert distinct_maps([named("a", one), named("b", maps(1)), named("c", rounded)]) == ([0, 1], {"c": "a"})


def test_a_map_is_listed_once_and_that_is_said() -> None:
    twice = [named("a"), named("b"), named("c", maps(1))]
    page = map_page(twice, "says", [], None, [], prior_inside=False)
    assert [row[0] for row in page.rows] == list(page.methods) == list(page.maps) == ["a", "c"]
    assert page.notes == ["“b” is the same map as “a” and is listed once."]


def test_a_map_without_a_resolution_has_a_page() -> None:
    nowhere = Resolution(math.inf, False)
    one = named(resolution=nowhere, resolution_05=nowhere)
    anisotropy = dataclasses.replace(
        map_anisotropy(one, poses(), "C1"), worst_angstrom=math.inf, best_angstrom=math.inf
    )
    page = map_page([one], says([one]), [], None, [], prior_inside=False)
    views = views_section(anisotropy, math.inf)
    points = Curve(tuple(Point(n, nowhere, "undetermined: no shell reaches the threshold") for n in (400, 200, 100)))
    worths = [Worth("map", {HALF_MAPS: points})]
    html = render_page("Map", [*page.sections(), views, worth_section(worths, None, prior_inside=False)])
    assert page.rows[0][2:4] == ["none", "none"]
    assert isinstance(views.blocks[0], KeyValues)
    assert ("Resolution of the worst and the best tenth of directions", "none and none at 0.143") in views.blocks[
        0
    ].items
    assert "inf" not in [word for text in html.split(">") for word in text.split("<")[0].split()]
    assert worth_picture(worths).startswith(b"\x89PNG")
