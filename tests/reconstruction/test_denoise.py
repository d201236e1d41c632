"""denoise: the signal of recorded images, by the engine of reconstruct; what is marked, resumed and refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.evaluation import command as evaluate
from cryoprior.io import read_measurements, read_particles, write_stack, write_star
from cryoprior.maps import command as maps
from cryoprior.measurement import command as measure
from cryoprior.measurement.full_images import FullImages
from cryoprior.output.record import read_recorded
from cryoprior.prior.checkpoint import Prior
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.signal import Spectra
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction import choice
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction import denoise_command as denoise

N, BOX = 14, 16


def prior() -> GaussianPrior:
    radius = torch.hypot(torch.fft.fftfreq(BOX)[:, None], torch.fft.rfftfreq(BOX))
    signal = 0.8 * torch.exp(-((radius / 0.12) ** 2))
    return GaussianPrior(signal + 0.5, 0.5 * torch.ones_like(signal))


@pytest.fixture(autouse=True)
def _split_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    config = PriorConfig(
        objective="test",
        channels=(1,),
        layers=1,
        spectra={BOX: Spectra((1.0,), (0.0,))},
        intensity={},
        pixel_size_angstrom=(4.0, 4.0),
    )
    monkeypatch.setattr(choice, "load_prior", lambda name, device: Prior(prior(), config, Path("prior")))


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Particles of box 16, and the same without noise; poses so that a map could be made."""
    law = prior()
    draw = ParticleNoise(0, "images", range(N)).normal_like
    clean = GaussianPrior(law.power - law.noise).draw(draw(torch.empty(N, BOX, BOX)))
    noisy = clean + 0.7 * ParticleNoise(0, "noise", range(N)).normal_like(clean)
    for name, x in (("particles", noisy), ("clean", clean)):
        write_stack(tmp_path / f"{name}.mrcs", 3.0 * x.numpy() + 20.0, 4.0)
        table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{name}.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
        table = table.assign(rlnAngleRot=np.arange(N) * 20.0, rlnAngleTilt=90.0, rlnAnglePsi=0.0)
        table = table.assign(rlnMicrographName="m.mrc", rlnCoordinateX=np.arange(N) * 10.0, rlnCoordinateY=5.0)
        optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [BOX]})
        write_star(tmp_path / f"{name}.star", table, optics)
    return tmp_path / "particles.star"


def run(star: Path, name: str = "den", **more: Any) -> tuple[dict[str, Any], np.ndarray]:
    given: dict[str, Any] = {"solver": "exact:steps=4", "contrast": "bright", **more}
    summary = denoise.run(denoise.Options(particles=star, output=star.parent / name, **given))
    return summary, read_particles(star.parent / name / "particles.star").read()


def test_it_is_what_reconstruct_makes_of_all_pixels(star: Path) -> None:
    y = star.parent / "y.zarr"
    measure.run(measure.Options(particles=star, output=y, operator="identity"))
    same = {"solver": "exact:steps=4", "contrast": "bright"}
    reconstruct.run(reconstruct.Options(measurements=y, output=star.parent / "recon", estimate="signal", **same))
    summary, found = run(star)
    np.testing.assert_array_equal(found, read_particles(star.parent / "recon/particles.star").read())
    recorded = read_recorded(star.parent / "recon")
    only = {"measurements", "measurements_from_here", "seconds", "seconds_network"}
    assert {k: v for k, v in recorded.items() if k not in only}.items() <= {
        **read_recorded(star.parent / "den")
    }.items()
    assert summary["images"] == str(star.resolve())
    assert "measurements" not in summary


def test_an_image_without_its_noise_is_nearer_to_the_truth_and_marked(star: Path) -> None:
    summary, found = run(star)
    clean, noisy = read_particles(star.with_name("clean.star")).read(), read_particles(star).read()
    assert np.square(found - clean).mean() < 0.5 * np.square(noisy - clean).mean()
    table = read_particles(star.parent / "den/particles.star").table
    assert set(table["cryopriorEstimate"]) == {"signal"}
    assert summary["estimate"] == "signal"
    deviation = read_particles(star.parent / "den/deviation/particles.star").read()
    error = np.square(found - clean).mean() ** 0.5
    assert np.square(deviation).mean() ** 0.5 == pytest.approx(error, rel=0.25)


def test_map_refuses_it_with_the_reason(star: Path) -> None:
    run(star)
    options: dict[str, Any] = {"particles": star.parent / "den/particles.star", "output": star.parent / "map"}
    with pytest.raises(InputError, match=r"estimates of the signal .*even_if_denoised"):
        maps.run(maps.Options(**options))
    table = read_particles(options["particles"]).table.drop(columns="cryopriorEstimate")
    write_star(options["particles"], table, read_particles(options["particles"]).optics)
    with pytest.raises(InputError, match=r"estimates of the signal .*even_if_denoised"):
        maps.run(maps.Options(**options))  # the summary beside it says so too


def test_evaluate_knows_what_was_denoised(star: Path) -> None:
    run(star, limit=9)
    report = evaluate.Options(
        reconstruction=star.parent / "den",
        reference=star,
        clean=star.with_name("clean.star"),
        output=star.parent / "report",
        lpips="off",
    )
    summary = evaluate.run(report)
    assert summary["n"] == 9
    clean = summary["clean"]
    assert clean["full_image"] == clean["least_squares"]
    assert clean["correlation"] > clean["full_image"]["correlation"] + 0.05


def test_shards_go_on_and_are_merged(star: Path) -> None:
    _, whole = run(star, "whole", shard_size=5)
    first, _ = (
        denoise.run(
            denoise.Options(
                particles=star,
                output=star.parent / "den",
                solver="exact:steps=4",
                contrast="bright",
                shard_size=5,
                shard="0/2",
            )
        ),
        None,
    )
    assert first["finished"] is False
    summary, parts = run(star, shard_size=5, shard="1/2")
    assert summary["finished"] is True
    np.testing.assert_array_equal(parts, whole)


def test_images_are_resized_first(star: Path) -> None:
    large = star.with_name("large.star")
    x = read_particles(star).resized(2 * BOX).read()
    write_stack(star.with_name("large.mrcs"), x, 2.0)
    table = read_particles(star).table.assign(rlnImageName=[f"{i + 1:06d}@large.mrcs" for i in range(N)])
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [2.0], "rlnImageSize": [2 * BOX]})
    write_star(large, table, optics)
    summary, found = run(large, box=BOX)
    np.testing.assert_allclose(found, run(star, "same")[1], atol=2e-3)
    assert (summary["box"], summary["original_box"], summary["resize"]) == (BOX, 2 * BOX, "fourier")
    report = evaluate.Options(
        reconstruction=star.parent / "den", reference=large, output=star.parent / "r", lpips="off"
    )
    assert evaluate.run(report)["n"] == N


def test_a_solver_or_a_prior_without_a_signal_is_refused(star: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for solver in ("least-squares", "dps"):
        with pytest.raises(
            InputError, match=rf"'{solver}': gives no signal; expected one of gaussian, exact, posterior"
        ):
            run(star, solver=solver)
    opened = choice.load_prior("default", torch.device("cpu"))
    whole = dataclasses.replace(opened, denoiser=GaussianPrior(prior().power))
    monkeypatch.setattr(choice, "load_prior", lambda name, device: whole)
    with pytest.raises(InputError, match="cannot tell signal from noise"):
        run(star)
    assert not (star.parent / "den").exists() or not (star.parent / "den/particles.star").exists()


def test_a_bad_image_is_named(star: Path) -> None:
    x = read_particles(star).read().copy()
    x[3] = np.nan
    write_stack(star.with_name("particles.mrcs"), x, 4.0)
    with pytest.raises(InputError, match=r"particle 4 .*holds NaN or infinity"):
        run(star)


def test_full_images_are_measurements_by_identity(star: Path) -> None:
    y = star.parent / "y.zarr"
    measure.run(measure.Options(particles=star, output=y, operator="identity"))
    stored, full = read_measurements(y), FullImages(read_particles(star))
    np.testing.assert_array_equal(full.y([2, 5]), stored.y([2, 5]))
    np.testing.assert_array_equal(full[3:6].y(), stored[3:6].y())
    for name in (
        "n",
        "m",
        "box",
        "sigma",
        "digest",
        "operator_spec",
        "particles_digest",
        "source",
        "seed",
        "bytes_per_particle",
    ):
        assert getattr(full, name) == getattr(stored, name), name
    for name in ("particle_index", "pixel_size", "image_digests"):
        np.testing.assert_array_equal(getattr(full, name), getattr(stored, name))
