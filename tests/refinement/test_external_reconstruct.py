"""``external-reconstruct``: what RELION is given, by half set, joined and without a prior; and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.external.relion_sums import read_sums
from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import read_map
from cryoprior.metrics.fsc import fsc
from cryoprior.refinement.command import Options, run
from cryoprior.refinement.reconstructing import mean_weight, signal_to_noise
from kit.half_maps import particle
from kit.relion_sums import NAME, WEIGHT, write_sums

BOX, SHELLS, NOISE = 32, 17, 0.1


def truth() -> np.ndarray:
    return (particle() * sphere_mask(BOX, 0.35 * BOX, 3.0)).numpy()


def told_fsc() -> np.ndarray:
    """The FSC of two maps of the noise that the tests add, as RELION would tell it."""
    halves = [torch.from_numpy(truth() + NOISE * np.random.default_rng(10 + i).normal(size=(BOX,) * 3)) for i in (0, 1)]
    return fsc(*halves).numpy()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def result(star: Path) -> torch.Tensor:
    return torch.from_numpy(read_map(star.with_suffix(".mrc"))[0]).double()


def test_without_a_prior_relion_reads_its_own_map(tmp_path: Path) -> None:
    star = write_sums(tmp_path, truth(), tau2=np.full(SHELLS, 10.0))
    before = names_in(tmp_path)
    summary = run(Options(star=star, map_prior="none"))
    assert names_in(tmp_path) - before == {f"{NAME}.mrc", f"{NAME}_record.json"}
    assert (summary["part"], summary["given"], summary["snr"]) == ("half", "prior-free", None)
    assert float(fsc(result(star), torch.from_numpy(truth()))[1:12].min()) > 0.999
    assert json.loads((tmp_path / f"{NAME}_record.json").read_text())["options"]["map_prior"] == "none"


def test_with_a_prior_each_half_is_given_its_own_posterior_mean(tmp_path: Path) -> None:
    stars, told = [], told_fsc()
    for half in (1, 2):
        (tmp_path / str(half)).mkdir()
        name = NAME.replace("half1", f"half{half}")
        stars.append(
            write_sums(tmp_path / str(half), truth(), seed=half, name=name, noise=NOISE, fsc=told, current_size=28)
        )
    (tmp_path / "2" / "run_it001_half1_model.star").rename(tmp_path / "2" / "run_it001_half2_model.star")
    for star in stars:
        assert run(Options(star=star))["given"] == "prior"
    first, second = map(result, stars)
    free = torch.from_numpy(read_map(tmp_path / "1" / f"{NAME}_prior_free.mrc")[0]).double()
    true = torch.from_numpy(truth())
    assert float(fsc(first, true)[6:13].mean()) > float(fsc(free, true)[6:13].mean()) > 0.5
    gain = float((first * true).sum() / true.square().sum())
    assert 0.8 < gain < 1.1, "the grey scale stays"
    power = torch.fft.rfftn(first).abs().square()
    shell = torch.from_numpy(np.sqrt(sum(a**2 for a in np.meshgrid(*[np.fft.fftfreq(BOX, 1 / BOX)] * 2, range(17)))))
    assert float(power[shell >= 14.5].max()) < 1e-6 * float(power.max()), "nothing beyond RELION's current size"
    assert not torch.equal(first, second)
    other = tmp_path / "1" / f"{NAME.replace('half1', 'half2')}.mrc"
    other.write_bytes(b"what the other half set left is not read")
    before = star_bytes(stars[0])
    run(Options(star=stars[0]))
    assert star_bytes(stars[0]) == before


def star_bytes(star: Path) -> bytes:
    return star.with_suffix(".mrc").read_bytes()


def test_the_last_iteration_joins_both_halves_and_is_given_the_prior_free_map(tmp_path: Path) -> None:
    name = NAME.replace("_half1", "")
    star = write_sums(tmp_path, truth(), name=name, noise=NOISE, fsc=told_fsc())
    summary = run(Options(star=star))
    assert (summary["part"], summary["given"]) == ("joined", "prior-free")
    half = write_sums(tmp_path, truth(), noise=NOISE, fsc=told_fsc())
    snr = signal_to_noise(read_sums(half))
    assert np.allclose(summary["snr"][:16], 2 * snr[:16], rtol=1e-5), "twice as many particles"
    prior = torch.from_numpy(read_map(tmp_path / f"{name}_prior.mrc")[0]).double()
    given = result(star).clone()
    assert not torch.equal(given, prior)
    run(Options(star=star, map_prior="none"))
    assert torch.equal(given, result(star))


def test_without_half_sets_relions_own_spectrum_tells_the_noise(tmp_path: Path) -> None:
    name = NAME.replace("_half1", "")
    weight = np.full((2 * BOX, 2 * BOX, BOX + 1), 3.0)
    tau2 = np.linspace(2, 0.1, SHELLS)
    star = write_sums(tmp_path, truth(), name=name, fsc=np.zeros(SHELLS), tau2=tau2, weight=weight, voxel_size=None)
    sums = read_sums(star)
    assert (sums.part, sums.fsc, sums.voxel_size) == ("whole", None, 0)
    assert np.allclose(mean_weight(sums)[:15], 3)
    assert np.allclose(signal_to_noise(sums)[:15], 8 * 3 * tau2[:15])
    assert run(Options(star=star, voxel_size=4.0))["given"] == "prior"
    with pytest.raises(InputError, match=r"no model file of RELION beside it.*pass voxel_size"):
        run(Options(star=star))


def test_a_folder_of_its_own_leaves_relions_alone(tmp_path: Path) -> None:
    star = write_sums(tmp_path, truth())
    before = names_in(tmp_path)
    run(Options(star=star, output=tmp_path / "out"))
    assert names_in(tmp_path) - before == {"out"}
    wanted = {"map.mrc", "prior.mrc", "prior_free.mrc", "summary.json", "provenance.json"}
    assert wanted <= names_in(tmp_path / "out")
    assert read_map(tmp_path / "out" / "map.mrc")[1] == pytest.approx(4.0)


def test_names_are_seen_from_where_relion_runs_or_from_the_star(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "job").mkdir()
    star = write_sums(tmp_path / "job", truth())
    star.write_text(star.read_text().replace(str(tmp_path) + "/", ""))
    run(Options(star=star, map_prior="none"))
    assert star.with_suffix(".mrc").is_file()
    star.with_suffix(".mrc").unlink()
    monkeypatch.chdir(tmp_path)
    run(Options(star=Path("job") / star.name, map_prior="none"))
    assert star.with_suffix(".mrc").is_file()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"rlnExtReconsDataReal": "nowhere.mrc"}, r"nowhere\.mrc: no such file"),
        ({"rlnExtReconsWeight": None}, "no _rlnExtReconsWeight"),
        ({"rlnExtReconsResult": None}, "no _rlnExtReconsResult"),
        ({"rlnReferenceDimensionality": 2}, "two dimensions"),
        ({"rlnOriginalImageSize": 34}, "64 x 64 x 33 values .* expected 68 x 68 x 35"),
        ({"rlnCurrentImageSize": 200}, "_rlnCurrentImageSize is 200; expected a number from 2 to 33"),
        ({"rlnPaddingFactor": "nan"}, "_rlnPaddingFactor is nan"),
        ({"rlnTau2FudgeFactor": "abc"}, "_rlnTau2FudgeFactor is abc"),
        ({"tau2": np.full(SHELLS, -1.0)}, "power of -1"),
        ({"tau2": np.full(SHELLS, np.nan)}, "no number"),
        ({"weight": np.zeros((64, 64, 33))}, "expected positive"),
        ({"weight": np.full((64, 64, 33), np.inf)}, "not finite"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_is_written(
    tmp_path: Path, changed: dict[str, Any], told: str
) -> None:
    with np.errstate(invalid="ignore"):
        star = write_sums(tmp_path, truth(), **changed)
    before = names_in(tmp_path)
    with pytest.raises(InputError, match=told):
        run(Options(star=star, map_prior="none"))
    assert names_in(tmp_path) == before


def test_other_files_are_refused(tmp_path: Path) -> None:
    star = write_sums(tmp_path, truth())
    particles = tmp_path / "p.star"
    particles.write_text("data_particles\n\nloop_\n_rlnImageName #1\n1@p.mrcs\n")
    with pytest.raises(InputError, match="no block data_external_reconstruct_general"):
        run(Options(star=particles, map_prior="none"))
    weight = star.with_name(f"{NAME}{WEIGHT}")
    weight.write_bytes(weight.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"weight\.mrc"):
        run(Options(star=star, map_prior="none"))


def test_a_file_without_a_spectrum_has_no_signal_to_noise(tmp_path: Path) -> None:
    star = write_sums(tmp_path, truth())
    star.write_text(star.read_text().partition("data_external_reconstruct_tau2")[0])
    assert run(Options(star=star, map_prior="none"))["given"] == "prior-free"
    with pytest.raises(InputError, match=r"no spectrum of the signal.*map_prior=none"):
        run(Options(star=star))
