"""map with a map prior: the prior-free map stays what it is, the gate opens for what the other half confirms."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import cryoprior
from cryoprior.errors import InputError
from cryoprior.image.soft_mask import soft_mask, sphere_mask, widened_mask
from cryoprior.io import read_map, write_map
from cryoprior.maps import MapSet
from cryoprior.maps.command import Options, run
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.prior_maps import ask_beside, referee_mask
from cryoprior.maps.prior_section import PriorSide
from cryoprior.metrics.fsc import fsc
from cryoprior.metrics.gate import gate, gated_map
from cryoprior.metrics.referee import referee
from cryoprior.prior import MapPrior
from cryoprior.referee.judging import judge_prior
from cryoprior.simulation import command as simulate
from kit.half_maps import D, Halves, by_shell, particle
from kit.map_priors import embedded, stand_in

VOXEL = 5.0


def map_set(seed: int = 0, sign: float = 1.0) -> MapSet:
    """Return maps of a particle with white noise, the full map a little better than the mean of its halves."""
    of = Halves(seed)
    first, second = (sign * half.float() for half in of.halves)
    full = (first + second) / 2 - 0.1 * ((first + second) / 2 - sign * of.truth.float())
    return MapSet(first, second, full, 500, 500, VOXEL)


def asked(maps: MapSet, prior: MapPrior, **more: Any) -> Any:
    return ask_beside(maps, judge_maps(maps), prior, **more)


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the star file of simulated particles of blobs."""
    folder = tmp_path_factory.mktemp("particles")
    write_map(folder / "blobs.mrc", particle().float().numpy(), VOXEL)
    options = {"n": 150, "box": D, "pixel_size": VOXEL, "snr": 1.0, "seed": 2}
    simulate.run(simulate.Options(structures=(folder / "blobs.mrc",), output=folder / "sim", **options))
    return folder / "sim" / "particles.star"


@pytest.fixture(scope="module")
def ran(particles: Path) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Return a folder with what map wrote without a prior and with one, and both summaries."""
    folder, truth = particles.parent, next((particles.parent / "maps").glob("*.mrc"))
    plain = run(Options(particles=particles, output=folder / "plain", truth=truth))
    return folder, plain, run(Options(particles=particles, output=folder / "prior", truth=truth, map_prior="default"))


def test_the_prior_free_files_are_the_same_with_a_prior_and_without(ran: Any) -> None:
    folder, plain, summary = ran
    made = {path.name for path in (folder / "plain").iterdir()}
    for name in sorted(
        made - {".cryoprior.json", "report.html", "summary.json", "provenance.json", "fsc.csv", "fsc.star"}
    ):
        assert (folder / "plain" / name).read_bytes() == (folder / "prior" / name).read_bytes(), name
    before, after = (pd.read_csv(folder / name / "fsc.csv") for name in ("plain", "prior"))
    pd.testing.assert_frame_equal(before, after[before.columns])
    assert {name for name in summary if name in plain and name != "says"} == set(plain) - {"says"}
    assert all(summary[name] == plain[name] for name in plain if name != "says")
    of_each = {f"{kind}_{made}.mrc" for kind in ("map", "half1", "half2") for made in ("prior", "gated")}
    of_each |= {"map_gated_filtered.mrc", "prior_agreement.png", "prior_worth.png"}
    assert {path.name for path in (folder / "prior").iterdir()} - made == of_each


def test_files_words_and_numbers_are_those_of_the_verb(particles: Path, ran: Any) -> None:
    import starfile

    folder, _, summary = ran
    stack = cryoprior.read_particles(particles)
    maps = cryoprior.make_maps(stack, map_prior="default", device="cpu")
    audit = maps.audit
    assert audit is not None
    for name, volume in {
        "map_prior": audit.maps.prior, "map_gated": audit.maps.gated,
        "half1_prior": audit.maps.prior_half_1, "half2_gated": audit.maps.gated_half_2,
    }.items():  # fmt: skip
        np.testing.assert_array_equal(read_map(folder / "prior" / f"{name}.mrc")[0], volume.numpy())
    said = [{name: value for name, value in row.items() if "true" not in name} for row in summary["verdict"]]
    assert said == audit.rows()
    assert summary["worth_particles"] == audit.worth.ratio
    assert summary["map_prior"]["asked"] is True
    assert "worth" in summary["says"]
    weights = gate(audit.found)
    star = starfile.read(folder / "prior" / "fsc.star")
    np.testing.assert_allclose(star["cryopriorWeightPrior"], weights.prior.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(star["cryopriorWeightFree"], weights.free.numpy(), rtol=1e-5, atol=1e-6)
    assert list(star["cryopriorVerdict"]) == ["unknown", *(v.replace(" ", "_") for v in audit.verdicts[1:])]
    page = (folder / "prior" / "report.html").read_text()
    assert "With a map prior" in page
    assert json.loads((folder / "prior/summary.json").read_text())["map_prior"]["prior"] == "default"


def test_gated_half_maps_come_of_their_own_half() -> None:
    maps = map_set()
    audit = asked(maps, embedded())
    mask = referee_mask(judge_maps(maps).mask)
    shared = fsc(maps.half_1, maps.half_2).clamp(1e-3, 0.999)
    for own, gated, of_prior in (
        (maps.half_1, audit.maps.gated_half_1, audit.maps.prior_half_1),
        (maps.half_2, audit.maps.gated_half_2, audit.maps.prior_half_2),
    ):
        mean = embedded().mean(own, VOXEL, shared / (1 - shared))
        assert float((mean - of_prior).norm() / mean.norm()) < 0.05  # both are brought to one power
        assert float((mean * of_prior).sum() / mean.norm() / of_prior.norm()) > 1 - 1e-6
        torch.testing.assert_close(gated, gated_map(own, of_prior, audit.weights, mask))
    halves = (maps.half_1, maps.half_2)
    found = referee(*halves, audit.maps.prior_half_1, audit.maps.prior_half_2, mask)
    torch.testing.assert_close(gate(found).prior, audit.weights.prior)
    assert audit.weights.opening.max() > 0


def test_the_gated_map_is_better_than_the_map_where_the_truth_is_known() -> None:
    of, maps = Halves(0), map_set()
    audit = asked(maps, stand_in(lambda half: by_shell(half.double() + of.truth, of.wiener_gain).float()))
    mask = referee_mask(judge_maps(maps).mask)
    free, gated = (fsc(volume * mask, of.truth.float() * mask) for volume in (maps.full, audit.maps.gated))
    opened = audit.weights.opening > 0
    assert opened.sum() > 5
    assert bool((gated >= free - 2e-3).all())
    assert float((gated - free)[opened].mean()) > 0.005


@pytest.mark.parametrize("kind", ["zeros", "noise", "one value", "the map with noise"])
def test_a_prior_that_knows_nothing_gets_no_weight(kind: str) -> None:
    maps, generator = map_set(), torch.Generator().manual_seed(5)
    answers = {
        "zeros": torch.zeros_like,
        "noise": lambda half: torch.randn(half.shape, generator=generator),
        "one value": torch.ones_like,
        "the map with noise": lambda half: half + 0.3 * torch.randn(half.shape, generator=generator),
    }
    audit = asked(maps, stand_in(answers[kind]))
    assert not audit.weights.opening.any()
    mask = referee_mask(judge_maps(maps).mask)
    assert mask is not None
    torch.testing.assert_close(audit.maps.gated, maps.full * mask, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(audit.maps.gated_half_1, maps.half_1 * mask, rtol=1e-4, atol=1e-5)


def test_dark_maps_are_turned_before_the_prior_sees_them() -> None:
    bright, dark = (asked(map_set(sign=sign), embedded()) for sign in (1.0, -1.0))
    torch.testing.assert_close(bright.maps.gated, -dark.maps.gated)
    torch.testing.assert_close(bright.maps.prior, -dark.maps.prior)
    assert bright.summary() == dark.summary()


def test_half_maps_that_agree_nowhere_are_not_shown_to_the_prior() -> None:
    def refused(half: Tensor) -> Tensor:
        raise AssertionError("it was asked")

    noise = torch.randn(2, D, D, D, generator=torch.Generator().manual_seed(1))
    maps = MapSet(noise[0], noise[1], noise.mean(0), 5, 5, VOXEL)
    assert asked(maps, stand_in(refused)) is None


def test_the_grid_is_checked_before_any_image_is_read(particles: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"voxels of 8 A: the map prior was trained at 1\.5 to 6"):
        run(Options(particles=particles, output=tmp_path / "out", map_prior="default", pixel_size=8.0))
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no such map prior; expected 'default'"):
        run(Options(particles=particles, output=tmp_path / "out", map_prior=str(tmp_path / "nothing")))
    with pytest.raises(InputError, match="map of 12 voxels a side: the map prior takes 16 or more"):
        cryoprior.make_maps(np.zeros((4, 12, 12)), np.zeros((4, 3)), pixel_size=5.0, map_prior="default")


def test_reconstructions_with_their_prior_in_them_are_refused(particles: Path) -> None:
    stack = cryoprior.read_particles(particles)
    with pytest.raises(InputError, match=r"map_prior with prior_weight 0\.5: half maps with a prior in them"):
        cryoprior.make_maps(stack, operator="fourier:compression=2", prior_weight=0.5, map_prior="default")


def test_the_mask_of_the_referee_is_wider_than_that_of_the_fsc_and_as_soft() -> None:
    tight = soft_mask(particle().float(), VOXEL)
    wide = referee_mask(tight)
    assert wide is not None
    assert bool((wide >= tight - 1e-6).all())
    assert float(wide.sum()) > float(tight.sum())
    edge = widened_mask((tight > 0.5).float(), 0.0, 0.0)
    assert set(edge.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(
        widened_mask(sphere_mask(D, 6.0, 0.0), 2.0, 4.0), sphere_mask(D, 8.0, 4.0), atol=0.35, rtol=0
    )
    assert referee_mask(torch.full((D, D, D), 0.5)) is None


def test_views_that_leave_directions_out_are_said_to_flatter_the_verdict() -> None:
    of, maps, rng = Halves(0), map_set(), np.random.default_rng(0)
    good = stand_in(lambda half: by_shell(half.double() + of.truth, of.wiener_gain).float())
    even = np.degrees(np.arccos(rng.uniform(-1, 1, 1000)))
    capped = np.degrees(np.arccos(rng.uniform(np.cos(np.radians(35)), 1, 1000)))
    for tilt, missing in ((even, False), (capped, True)):
        euler = np.stack([rng.uniform(0, 360, 1000), tilt, rng.uniform(0, 360, 1000)], 1)
        audit = asked(maps, good, euler_deg=euler)
        assert audit.summary()["missing_views"] is missing
        assert audit.summary()["says"].startswith("Views leave directions out") is missing
        assert ("overstated since views are missing" in PriorSide("good", good, audit).said()) is missing


def test_a_mask_that_cuts_the_particle_closes_the_gate() -> None:
    of, maps = Halves(0), map_set()
    wide = referee_mask(judge_maps(maps).mask)
    assert wide is not None
    good = [by_shell(half.double() + of.truth, of.wiener_gain).float() for half in (maps.half_1, maps.half_2)]
    for sign, mask, cut in ((1, wide, False), (1, wide.roll(10, 2), True), (-1, wide.roll(10, 2), True)):
        halves = (sign * maps.half_1, sign * maps.half_2)
        audit = judge_prior(halves, (sign * good[0], sign * good[1]), VOXEL, mask, full=sign * maps.full)
        assert (audit.cut_share > 0.05) is cut
        assert (audit.cut_share == 0) is not cut
        assert bool(audit.weights.opening.any()) is not cut
        assert audit.summary()["says"].startswith("The mask leaves out") is cut
        side = PriorSide("good", embedded(), audit)
        assert ("the mask cuts the particle" in side.said()) is cut
        if cut:  # nothing of the particle is lost with the mask
            torch.testing.assert_close(audit.maps.gated, sign * maps.full, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(audit.maps.gated_half_2, halves[1], rtol=1e-4, atol=1e-5)
            assert "The gated map is the map without the prior." in audit.summary()["says"]


def test_the_page_says_why_a_prior_was_not_asked_or_may_have_seen_the_particles(tmp_path: Path) -> None:
    silent = PriorSide("default", embedded(), None)
    silent.write(tmp_path)
    assert not list(tmp_path.iterdir())
    assert silent.summary()["map_prior"]["asked"] is False
    assert "agree at no resolution" in silent.section().html()
    assert silent.said() == "the map prior was not asked"
    audit = asked(map_set(), stand_in(torch.zeros_like))
    taught = MapPrior(embedded().network, dataclasses.replace(embedded().config, from_half_maps=True))
    page = PriorSide("mine", taught, audit, inside=True)
    assert page.said() == "the data confirm nothing that the map prior adds"
    assert "train one for each half" in page.section().html()
    assert "have a prior in them already" in page.section().html()
