"""audit: the command equals the verb, its files and its words, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import cryoprior
from cryoprior.audit.command import Options, run
from cryoprior.errors import InputError
from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import read_map, write_map
from cryoprior.metrics.fsc import fsc
from kit.half_maps import INVENTED_FROM, D, Halves, by_shell

VOXEL = 3.0


@pytest.fixture
def maps(tmp_path: Path) -> dict[str, Path]:
    """Return the files of half maps, of two priors' maps, of the truth and of a mask."""
    of = Halves(0)
    good, invented = of.prior("good"), of.prior("good until invented")
    volumes = {"half1": of.halves[0], "half2": of.halves[1], "truth": of.truth, "mask": sphere_mask(D, 0.33 * D, 4.0)}
    volumes |= {f"good{i}": volume for i, volume in enumerate(good, 1)}
    volumes |= {f"invented{i}": volume for i, volume in enumerate(invented, 1)}
    for name, volume in volumes.items():
        write_map(tmp_path / f"{name}.mrc", volume.float().numpy(), VOXEL)
    return {name: tmp_path / f"{name}.mrc" for name in volumes}


def options(maps: dict[str, Path], prior: str = "good", **more: Any) -> Options:
    given: dict[str, Any] = {"half1": maps["half1"], "half2": maps["half2"], "output": maps["half1"].parent / "out"}
    given |= {"prior_half1": maps[f"{prior}1"], "prior_half2": maps[f"{prior}2"]}
    return Options(**{**given, **more})


def test_the_command_and_the_verb_are_one(maps: dict[str, Path]) -> None:
    summary = run(options(maps, mask=maps["mask"], truth=maps["truth"]))
    arrays = {name: read_map(path)[0] for name, path in maps.items()}
    four = [arrays[name] for name in ("half1", "half2", "good1", "good2")]
    audit = cryoprior.audit_maps(*four, VOXEL, arrays["mask"], arrays["truth"])
    assert audit.summary() == summary
    assert "No mask was given" not in summary["says"]
    out = maps["half1"].parent / "out"
    assert json.loads((out / "summary.json").read_text()) == summary
    names = {"map": "free", "map_prior": "prior", "map_gated": "gated"}
    names |= {f"half{i}_gated": f"gated_half_{i}" for i in (1, 2)}
    for file, name in names.items():
        written, voxel = read_map(out / f"{file}.mrc")
        assert voxel == VOXEL
        np.testing.assert_array_equal(written, getattr(audit.maps, name).numpy())
    for name in ("report.html", "agreement.png", "worth.png", "provenance.json"):
        assert (out / name).stat().st_size > 0


def test_what_it_finds(maps: dict[str, Path]) -> None:
    summary = run(options(maps, truth=maps["truth"]))
    assert summary["worth_particles"] > 1.15
    assert summary["worth_particles"] - 1 > 3 * summary["worth_particles_error"]
    first, last = summary["worth_shells"]
    rows = [row for row in summary["verdict"] if first <= row["shell"] <= last]
    assert {"shell", "angstrom", "free", "prior", "gated", "error", "verdict"} <= set(rows[0])
    assert all(abs(row["gated"] - row["true_gated"]) < 4 * row["gated_error"] for row in rows)
    assert summary["verdict"][-1]["verdict"] == "unknown"
    assert summary["verdict"][-1]["gated"] is None
    assert sum(summary["shells"].values()) == len(summary["verdict"]) == D // 2
    assert "confirms what it adds" in summary["says"]
    assert "Å nothing can be said" in summary["says"]
    assert "No mask was given: the solvent of the whole box" in summary["says"]


def test_the_page_opens_with_what_must_not_be_believed(maps: dict[str, Path]) -> None:
    summary = run(options(maps, "invented"))
    said = {row["shell"]: row["verdict"] for row in summary["verdict"]}
    assert said[INVENTED_FROM + 2] == "prior only"
    assert summary["says"].startswith("From ")
    assert "that detail is the prior's alone" in summary["says"].split(". ")[0] + summary["says"].split(". ")[1]
    page = (maps["half1"].parent / "out" / "report.html").read_text()
    lead = page[page.index('class="lead"') :].split("</p>")[0]
    assert "that detail is the prior&#x27;s alone" in lead
    assert "Some detail is the prior" in page


def test_files_have_every_shell(maps: dict[str, Path]) -> None:
    import starfile

    summary = run(options(maps))
    out = maps["half1"].parent / "out"
    table = pd.read_csv(out / "verdict.csv")
    assert list(table["shell"]) == list(range(1, D // 2 + 1))
    assert list(table["verdict"]) == [row["verdict"] for row in summary["verdict"]]
    star = starfile.read(out / "verdict.star")
    assert list(star["rlnSpectralIndex"]) == list(table["shell"])
    np.testing.assert_allclose(star["rlnFourierShellCorrelation"], table["fsc_halves"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(star["rlnAngstromResolution"], table["angstrom"], rtol=1e-5)
    assert set(star["cryopriorVerdict"]) == {verdict.replace(" ", "_") for verdict in table["verdict"]}
    np.testing.assert_allclose(star["cryopriorWeightPrior"], table["weight_prior"], rtol=1e-5)


def test_random_phases_show_what_was_not_measured(maps: dict[str, Path]) -> None:
    pair = maps["half1"].parent / "pair"
    halves = {name: maps[name] for name in ("half1", "half2")}
    written = run(Options(**halves, output=pair, randomise_beyond=INVENTED_FROM))
    assert written["randomised_from_shell"] == INVENTED_FROM
    assert written["randomised_from_angstrom"] == pytest.approx(D * VOXEL / INVENTED_FROM)
    before, after = (torch.from_numpy(read_map(path)[0]).double() for path in (maps["half1"], pair / "half1.mrc"))
    for name in ("prior1", "prior2"):
        with pytest.raises(InputError, match=rf"{name}\.mrc: no such file"):
            run(options(maps, "invented", randomised=pair))
        source = read_map(maps["invented1" if name == "prior1" else "invented2"])[0]
        write_map(pair / f"{name}.mrc", source, VOXEL)
    found = run(options(maps, "invented", randomised=pair))["randomised"]
    assert found["invented_share"] == pytest.approx(1)
    for name, half in (("prior1", "half1"), ("prior2", "half2")):
        write_map(pair / f"{name}.mrc", read_map(pair / f"{half}.mrc")[0], VOXEL)
    honest = run(options(maps, "invented", randomised=pair, overwrite=True))["randomised"]
    assert abs(honest["fsc"]) < 0.1
    assert honest["invented_share"] < 0.2
    torch.testing.assert_close(torch.fft.rfftn(before).abs(), torch.fft.rfftn(after).abs(), rtol=1e-3, atol=1e-2)


def test_a_pair_of_other_half_maps_is_refused(maps: dict[str, Path]) -> None:
    pair = maps["half1"].parent / "pair"
    run(Options(half1=maps["half2"], half2=maps["half1"], output=pair, randomise_beyond=8))
    for name in ("prior1", "prior2"):
        write_map(pair / f"{name}.mrc", read_map(maps["good1"])[0], VOXEL)
    with pytest.raises(InputError, match="its half maps are not these half maps with random phases"):
        run(options(maps, randomised=pair))
    with pytest.raises(InputError, match=r"no summary\.json; expected the folder that randomise_beyond wrote"):
        run(options(maps, randomised=maps["half1"].parent))


@pytest.mark.parametrize(("shell", "message"), [(D // 2 - 1, "expected a shell from 2 to 13"), (1, "at least 2")])
def test_a_shell_beyond_which_nothing_is_left_is_refused(maps: dict[str, Path], shell: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(options(maps, randomise_beyond=shell))


def test_one_map_given_twice_is_refused(maps: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="half1 and half2 are the same map; expected two maps of separate particles"):
        run(options(maps, half2=maps["half1"]))
    with pytest.raises(InputError, match="half1 and half2 are the same map"):
        run(options(maps, half2=maps["half1"], randomise_beyond=8))
    with pytest.raises(InputError, match="prior_half1 and prior_half2 are the same map"):
        run(options(maps, prior_half2=maps["good1"]))
    with pytest.raises(InputError, match=r"prior_half2 is missing: expected what the prior made of each half map"):
        options(maps, prior_half2=None)
    with pytest.raises(InputError, match="half1 and half2, or particles: expected one of them"):
        options(maps, half2=None)


def test_maps_on_other_grids_are_refused(maps: dict[str, Path]) -> None:
    other = maps["half1"].parent / "other.mrc"
    volume = read_map(maps["good1"])[0]
    for name in ("half2", "prior_half1", "prior_half2", "mask", "truth"):
        write_map(other, volume[:16, :16, :16], VOXEL)
        with pytest.raises(InputError, match="16 x 16 x 16 voxels; expected 32 a side, the grid of the"):
            run(options(maps, **{name: other}))
        write_map(other, volume, 1.1 * VOXEL)
        with pytest.raises(InputError, match=r"3\.3000 A a voxel; expected 3\.0000, the grid of the"):
            run(options(maps, **{name: other}))


def test_swapped_and_inverted_maps_are_refused(maps: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="each follow the noise of the other half; expected prior_half1 made of half1"):
        run(options(maps, prior_half1=maps["good2"], prior_half2=maps["good1"]))
    four = [read_map(maps[name])[0] for name in ("half1", "half2", "good1", "good2")]
    with pytest.raises(InputError, match="other contrast than the half maps; multiply them with -1"):
        cryoprior.audit_maps(four[0], four[1], -four[2], -four[3], VOXEL)


def test_arrays_that_cannot_be_used_are_refused(maps: dict[str, Path]) -> None:
    four = [read_map(maps[name])[0] for name in ("half1", "half2", "good1", "good2")]
    with pytest.raises(InputError, match=r"prior_half2 of shape \(16, 16, 16\): expected a cube of 32 voxels"):
        cryoprior.audit_maps(*four[:3], four[3][:16, :16, :16], VOXEL)
    with pytest.raises(InputError, match="voxel_size 0: expected angstrom above 0"):
        cryoprior.audit_maps(*four, 0)
    with pytest.raises(InputError, match="symmetry 'Q'"):
        cryoprior.audit_maps(*four, VOXEL, symmetry="Q")
    with pytest.raises(InputError, match="half1 and half2: one is zero everywhere"):
        cryoprior.audit_maps(four[0], 0 * four[1], *four[2:], VOXEL)


def test_a_prior_map_of_both_halves_is_found_out() -> None:
    of = Halves(0)
    full = (of.halves[0] + of.halves[1]) / 2
    both = [by_shell(full, of.wiener_gain) + 1e-3 * of.deviation * of.noise() for _ in range(2)]
    audit = cryoprior.audit_maps(*of.halves, *both, VOXEL)
    assert audit.other_half_seen
    assert "better than the truth itself could" in audit.summary()["says"]
    for kind in ("wiener", "good", "solvent and positivity", "planted", "sharpened"):
        for seed in range(4):
            of = Halves(seed)
            assert not cryoprior.audit_maps(*of.halves, *of.prior(kind), VOXEL).other_half_seen


def test_half_maps_of_noise_say_nothing(maps: dict[str, Path]) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(D, D, D)) for _ in range(4)]
    audit = cryoprior.audit_maps(*noise, VOXEL)
    assert set(audit.verdicts) == {"unknown"}
    assert audit.summary()["says"] == "The half maps agree too little to judge the prior."
    assert (audit.worth.ratio, audit.worth.error) == (1.0, 0.0)
    np.testing.assert_allclose(audit.maps.gated.numpy(), audit.maps.free.numpy(), atol=1e-5)


def test_the_page_of_half_maps_of_noise_shows_them_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = ("half1", "half2", "prior_half1", "prior_half2")
    for name in names:
        write_map(tmp_path / f"{name}.mrc", rng.normal(size=(D, D, D)).astype(np.float32), VOXEL)
    summary = run(Options(**{name: tmp_path / f"{name}.mrc" for name in names}, output=tmp_path / "out"))
    assert summary["says"] == "The half maps agree too little to judge the prior."
    assert "unfiltered: no shell is known" in (tmp_path / "out/report.html").read_text()


def test_maps_that_programs_scaled_apart_say_the_same(maps: dict[str, Path]) -> None:
    four = [read_map(maps[name])[0] for name in ("half1", "half2", "good1", "good2")]
    one = cryoprior.audit_maps(*four, VOXEL)
    other = cryoprior.audit_maps(*four[:3], 0.01 * four[3], VOXEL)
    assert other.verdicts == one.verdicts
    assert other.worth.ratio == pytest.approx(one.worth.ratio, rel=1e-4)


def test_the_map_prior_is_asked_for_each_half(maps: dict[str, Path], tmp_path: Path) -> None:
    halves = {"half1": maps["half1"], "half2": maps["half2"], "output": tmp_path / "asked"}
    summary = run(Options(**halves, map_prior="default", truth=maps["truth"], tests=False))
    first, second = (torch.from_numpy(read_map(maps[name])[0].copy()) for name in ("half1", "half2"))
    shared = fsc(first, second).clamp(1e-3, 0.999)
    prior = cryoprior.load_map_prior("default")
    asked = [prior.mean(half, VOXEL, shared / (1 - shared)) for half in (first, second)]
    audit = cryoprior.audit_maps(first, second, *asked, VOXEL, truth=read_map(maps["truth"])[0])
    assert audit.summary() == summary
    assert all(row["true_gated"] > row["true_free"] - 0.02 for row in summary["verdict"] if row["gated"] is not None)
    page = (tmp_path / "asked/report.html").read_text()
    assert "map prior default" in page


def test_a_map_prior_beside_maps_of_a_prior_is_refused(maps: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="map_prior and maps of a prior are both given"):
        options(maps, map_prior="default")
    with pytest.raises(InputError, match="no such map prior"):
        run(Options(half1=maps["half1"], half2=maps["half2"], output=maps["half1"].parent / "o", map_prior="/nowhere"))
