"""reconstruct: its images, its files, resuming and sharing the work, and every input that it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import zarr

from cryoprior.errors import InputError
from cryoprior.io import read_measurements, read_particles, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.measurement.intensity import Contrast, contrast_doubt
from cryoprior.measurement.reading import recorded_measurements
from cryoprior.operators import parse_operator
from cryoprior.output.record import read_recorded
from cryoprior.prior.checkpoint import Prior
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.prior.signal import Spectra
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction import choice
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction.reconstructor import Reconstructor
from cryoprior.reconstruction.shards import Shards
from kit.sealed import change_header, reseal

N, BOX, SCALE, OFFSET = 23, 16, 5.0, 30.0


def prior() -> GaussianPrior:
    power = torch.linspace(4, 0.3, BOX // 2 + 1).expand(BOX, -1).clone()
    full = torch.cat([power, power[:, 1 : BOX // 2]], dim=1)
    return GaussianPrior(power / full.mean())


def images(sign: float = 1.0) -> np.ndarray:
    x = prior().draw(ParticleNoise(0, "images", range(N)).normal_like(torch.empty(N, BOX, BOX)))
    axis = torch.arange(BOX) - BOX // 2
    disc = (torch.hypot(*torch.meshgrid(axis.float(), axis.float(), indexing="ij")) < BOX / 4).float()
    x = x + 0.8 * (disc - disc.mean())
    return (sign * SCALE * x + OFFSET).numpy()


def write_particles(path: Path, x: np.ndarray) -> Path:
    write_stack(path.with_suffix(".mrcs"), x, 4.0)
    names = [f"{i + 1:06d}@{path.stem}.mrcs" for i in range(len(x))]
    table = pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1, "rlnAngleRot": np.arange(len(x)) + 0.5})
    write_star(
        path, table, pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [x.shape[-1]]})
    )
    return path


def measured(folder: Path, x: np.ndarray, operator: str = "pixel:block=4,masks=8,sets=3", **more: Any) -> Path:
    particles, y = write_particles(folder / "particles.star", x), folder / "y.zarr"
    measure.run(measure.Options(particles=particles, output=y, operator=operator, overwrite=True, **more))
    return y


def known(**config: Any) -> Prior:
    flat = Spectra((1.0,), (0.0,))
    given: dict[str, Any] = {"spectra": {BOX: flat}, "intensity": {}, "pixel_size_angstrom": (4.0, 4.0), **config}
    return Prior(prior(), PriorConfig(objective="test", channels=(1,), layers=1, **given), Path("prior"))


@pytest.fixture(autouse=True)
def _gaussian_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "load_prior", lambda name, device: known())


@pytest.fixture
def y(tmp_path: Path) -> Path:
    return measured(tmp_path, images())


def run(y: Path, name: str = "recon", **more: Any) -> tuple[dict[str, Any], np.ndarray]:
    folder = y.parent / name
    summary = reconstruct.run(reconstruct.Options(measurements=y, output=folder, **more))
    return summary, read_particles(folder / "particles.star").read(slice(None))


def test_least_squares_is_the_pseudo_inverse_and_rows_are_untouched(y: Path) -> None:
    summary, x = run(y, solver="least-squares", shard_size=10)
    measurements = read_measurements(y)
    operator = parse_operator(measurements.operator_spec)
    expected = operator.pinv(torch.from_numpy(measurements.y(slice(None))), list(range(N)))
    np.testing.assert_allclose(x, expected.numpy(), rtol=1e-5, atol=1e-4)
    table = read_particles(y.parent / "recon" / "particles.star").table
    np.testing.assert_array_equal(table["rlnAngleRot"], np.arange(N) + 0.5)
    assert len(list((y.parent / "recon" / "shards").glob("*.mrcs"))) == 3
    assert summary["n"] == N
    assert summary["evaluations"] == 0
    assert summary["prior"] is None
    assert summary["seconds"] >= summary["seconds_network"] == 0


def test_exact_fits_the_data_in_the_grey_scale_of_the_input(y: Path) -> None:
    summary, x = run(y, steps=6)
    written = json.loads((y.parent / "recon" / "summary.json").read_text())
    assert written["measurements"] == str(y.resolve())
    assert summary["estimate"] == "mean"
    assert summary["evaluations"] == 6
    assert summary["residual"] < 1e-4
    assert written["intensity"]["offset"] == pytest.approx(OFFSET, abs=0.6)
    assert written["intensity"]["scale"] == pytest.approx(SCALE, rel=0.1)
    assert written["contrast"]["particles"] == "bright"
    assert written["contrast"]["clearness"] > 3
    _, least_squares = run(y, "least-squares", solver="least-squares")
    error = [np.square(found - images()).mean() for found in (x, least_squares)]
    assert error[0] < 0.9 * error[1]
    assert (y.parent / "recon" / "provenance.json").is_file()


def test_a_signal_comes_with_its_deviation_and_is_marked(y: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    power = prior().power
    split = dataclasses.replace(known(), denoiser=GaussianPrior(power, 0.8 * power))
    monkeypatch.setattr(choice, "load_prior", lambda name, device: split)
    summary, signal = run(y, solver="exact:steps=4", estimate="signal")
    _, mean = run(y, "mean", solver="exact:steps=4")
    assert summary["estimate"] == "signal"
    assert signal.std() < 0.5 * mean.std()
    table = read_particles(y.parent / "recon" / "particles.star").table
    assert set(table["cryopriorEstimate"]) == {"signal"}
    assert "cryopriorEstimate" not in read_particles(y.parent / "mean" / "particles.star").table
    deviation = read_particles(y.parent / "recon" / "deviation" / "particles.star").read(slice(None))
    assert deviation.shape == signal.shape
    assert (deviation > 0).all()
    run(y, "alone", solver="exact:steps=4", estimate="signal", samples=1)
    assert not (y.parent / "alone" / "deviation").exists()


def test_a_sample_has_more_power_than_the_mean(y: Path) -> None:
    _, mean = run(y, steps=4)
    summary, sample = run(y, "sample", steps=4, estimate="sample")
    assert summary["estimate"] == "sample"
    assert sample.std() > mean.std()


def aware(monkeypatch: pytest.MonkeyPatch, **config: Any) -> list[str]:
    """Make every prior one that knows 4 x 4 Hadamard blocks; return the names that are asked for."""
    asked: list[str] = []
    family = OperatorFamily(blocks=(4,), rows=("hadamard",), patterns=(), symmetries=())
    made = known(operators=dataclasses.asdict(family), **config)

    def load(name: str, device: Any) -> Prior:
        asked.append(name)
        return made

    monkeypatch.setattr(choice, "load_prior", load)
    monkeypatch.setattr(choice, "read_config", lambda folder: made.config)
    return asked


@pytest.mark.parametrize(
    ("options", "solver", "prior_name"),
    [
        ({}, "posterior", "operator-aware"),
        ({"estimate": "mean", "steps": 2}, "posterior", "operator-aware"),
        ({"estimate": "mean", "steps": 25}, "exact", "default"),
        ({"estimate": "sample"}, "exact", "default"),
        ({"prior": "mine"}, "posterior", "mine"),
        ({"solver": "exact"}, "exact", "default"),
        ({"solver": "posterior", "estimate": "sample", "steps": 3}, "posterior", "operator-aware"),
        ({"solver": "exact", "prior": "operator-aware"}, "exact", "operator-aware"),
    ],
)
def test_means_are_asked_of_a_prior_that_knows_the_operator(
    y: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], solver: str, prior_name: str
) -> None:
    asked = aware(monkeypatch)
    summary, _ = run(y, **options, limit=3)
    assert summary["solver"].split(":")[0] == solver
    assert asked == [prior_name]
    assert summary["prior"] == prior_name
    assert summary["trained_operator"] is (True if solver == "posterior" else None)


def test_a_prior_that_knows_no_operators_goes_to_exact(y: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "read_config", lambda folder: known().config)
    assert run(y, limit=2)[0]["solver"].startswith("exact")


def test_the_mean_of_one_evaluation_is_the_gaussian_one_for_a_gaussian_prior(
    y: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aware(monkeypatch)
    summary, x = run(y)
    assert summary["evaluations"] == 1
    assert summary["residual"] < 1e-5
    np.testing.assert_allclose(x, run(y, "gaussian", solver="gaussian")[1], rtol=0, atol=2e-2 * SCALE)


def test_an_operator_that_was_not_trained_on_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    aware(monkeypatch)
    y = measured(tmp_path, images(), "fourier:compression=2")
    with caplog.at_level("WARNING", "cryoprior"):
        summary, _ = run(y, limit=2)
    assert summary["trained_operator"] is False
    assert "was not trained on such measurements" in caplog.text


@pytest.mark.parametrize("solver", ["exact:steps=4", "posterior", "gaussian", "least-squares"])
def test_results_do_not_depend_on_batch_or_shards(y: Path, solver: str) -> None:
    _, one = run(y, solver=solver)
    _, other = run(y, "other", solver=solver, batch=3, shard_size=5)
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-2 * SCALE if "exact" in solver else 1e-3)
    _, first = run(y, "first", solver=solver, limit=4)
    np.testing.assert_allclose(one[:4], first, rtol=0, atol=2e-2 * SCALE if "exact" in solver else 1e-3)


def test_processes_share_the_shards_and_the_last_one_merges(y: Path) -> None:
    options = reconstruct.Options(measurements=y, output=y.parent / "shared", shard_size=5, solver="gaussian")
    partial = reconstruct.run(dataclasses.replace(options, shard="0/2"))
    assert partial == {"finished": False, "shards": 5}
    assert not (y.parent / "shared" / "particles.star").exists()
    assert reconstruct.run(dataclasses.replace(options, shard="1/2"))["finished"]
    found = read_particles(y.parent / "shared" / "particles.star").read(slice(None))
    np.testing.assert_array_equal(found, run(y, "alone", solver="gaussian", shard_size=5)[1])


def dying(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", [{"shard": "0/2"}, {"shard": "1/2"}, {"merge": True}, {}])
def test_the_next_start_merges_where_the_last_process_died(
    y: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    options = reconstruct.Options(measurements=y, output=y.parent / "shared", shard_size=5, solver="least-squares")
    with pytest.raises(InputError, match="no shards of this reconstruction to merge; reconstruct them first"):
        reconstruct.run(dataclasses.replace(options, merge=True))
    assert not options.output.exists()
    reconstruct.run(dataclasses.replace(options, shard="0/2"))
    with pytest.raises(InputError, match=r"2 of 5 shards are not there, the first of rows 5 to 9; reconstruct them"):
        reconstruct.run(dataclasses.replace(options, merge=True))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Shards, "merge", dying)
        reconstruct.run(dataclasses.replace(options, shard="1/2"))
    assert not (options.output / "particles.star").exists()
    assert reconstruct.run(dataclasses.replace(options, **how))["finished"]
    found = read_particles(options.output / "particles.star").read(slice(None))
    np.testing.assert_array_equal(found, run(y, "alone", solver="least-squares", shard_size=5)[1])


def test_an_interrupted_run_goes_on_at_the_finished_shards(y: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"solver": "gaussian", "shard_size": 5, "batch": 5}
    whole = Reconstructor.reconstruct
    calls: list[int] = []

    def fragile(self: Reconstructor, rows: torch.Tensor, particles: list[int]) -> Any:
        calls.append(particles[0])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, rows, particles)

    monkeypatch.setattr(Reconstructor, "reconstruct", fragile)
    with pytest.raises(KeyboardInterrupt):
        run(y, **options)
    assert len(list((y.parent / "recon" / "shards").glob("*.mrcs"))) == 2
    summary, x = run(y, **options)
    assert calls == [0, 5, 10, 10, 15, 20]
    assert summary["n"] == N
    np.testing.assert_array_equal(x, run(y, "whole", **options)[1])


def test_dark_particles_are_turned_for_the_prior_and_back(tmp_path: Path) -> None:
    y = measured(tmp_path, images(-1.0))
    _, x = run(y, solver="gaussian")
    written = json.loads((tmp_path / "recon" / "summary.json").read_text())
    assert written["contrast"]["particles"] == "dark"
    assert written["contrast"]["clearness"] < -3
    assert written["intensity"]["scale"] < 0
    assert np.corrcoef(x.ravel(), images(-1.0).ravel())[0, 1] > 0.7
    asked, _ = run(y, "asked", solver="gaussian", contrast="bright")
    assert asked["intensity"]["scale"] > 0
    assert asked["contrast"]["decided_by"] == "option"


def test_unclear_contrast_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    y = measured(tmp_path, images()[:1])
    with caplog.at_level("WARNING", logger="cryoprior"):
        run(y, solver="gaussian")
    assert "pass contrast=bright or dark" in caplog.text


def test_noise_of_the_measurement_is_known_to_the_solver(tmp_path: Path) -> None:
    y = measured(tmp_path, images(), operator="identity", sigma=10.0)
    _, x = run(y, solver="exact:steps=4")
    _, least_squares = run(y, "least-squares", solver="least-squares")
    error = [np.square(found - images()).mean() for found in (x, least_squares)]
    assert error[0] < 0.5 * error[1]


def test_a_deviation_is_written_beside_the_images(y: Path) -> None:
    summary, _ = run(y, solver="exact:steps=2,samples=4", deviation=True, shard_size=9)
    deviation = read_particles(y.parent / "recon" / "deviation" / "particles.star").read(slice(None))
    assert deviation.shape == (N, BOX, BOX)
    assert 0 < deviation.mean() < SCALE
    assert summary["evaluations"] == 4 * 2 + 2
    assert "samples=8" in run(y, "eight", solver="exact:steps=2", deviation=True)[0]["solver"]


def test_particles_that_trained_the_prior_are_reported(
    y: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trained = known(trained_on={read_measurements(y).particles_digest: [0, 5, 7, 99]})
    monkeypatch.setattr(choice, "load_prior", lambda name, device: trained)
    with caplog.at_level("WARNING", logger="cryoprior"):
        summary, _ = run(y, solver="gaussian")
    assert summary["trained_on_overlap"] == 3
    assert "3 of 23 particles TRAINED this prior" in caplog.text


def test_an_output_in_use_is_refused(y: Path) -> None:
    run(y, solver="gaussian")
    with pytest.raises(InputError, match=r"in use by this run, which is finished; pass another output, or overwrite"):
        run(y, solver="gaussian")
    with pytest.raises(InputError, match=r"in use by a run with other seed, solver"):
        run(y, solver="exact", seed=1)
    run(y, solver="least-squares", overwrite=True)
    other = y.parent / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("precious")
    for overwrite, message in ((False, "in use by something else"), (True, "did not mark as its own")):
        with pytest.raises(InputError, match=message):
            run(y, "other", solver="gaussian", overwrite=overwrite)
    with pytest.raises(InputError, match=r"the output holds .*y.zarr, which this run reads"):
        run(y, "y.zarr", solver="gaussian", overwrite=True)
    assert read_measurements(y).n == N
    assert (other / "thesis.txt").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "pbs:4"}, "executor 'pbs:4': expected local, processes:4"),
        ({"shard": "2/2"}, "shard '2/2': expected I/N"),
        ({"shard": "0/2", "overwrite": True}, "overwrite with shard"),
        ({"merge": True, "shard": "0/2"}, "merge with shard"),
        ({"merge": True, "overwrite": True}, "merge with overwrite"),
        ({"solver": "least-squares", "steps": 3}, "steps: solver 'least-squares' has none"),
        ({"solver": "least-squares", "estimate": "sample"}, "estimate: solver 'least-squares' has none"),
        ({"solver": "nesterov", "deviation": True}, "samples: solver 'nesterov' has none"),
        ({"solver": "magic"}, "no solver is called 'magic'"),
        ({"device": "abacus"}, "device 'abacus'"),
        ({"batch": 0}, "batch 0: expected at least 1"),
    ],
)
def test_bad_options_are_named(y: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(y, **options)
    assert not (y.parent / "recon").exists()


def test_an_option_that_says_what_the_solver_does_is_accepted(y: Path) -> None:
    assert run(y, solver="gaussian", estimate="mean")[0]["estimate"] == "mean"


def test_another_box_than_the_priors_is_refused(y: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spectra = Spectra((1.0,), (0.0,))
    other = known(spectra={64: spectra, 128: spectra})
    monkeypatch.setattr(choice, "load_prior", lambda name, device: other)
    with pytest.raises(InputError, match=r"box 16; prior 'default' knows 64, 128"):
        run(y)


def test_measurements_of_another_operator_are_refused(y: Path) -> None:
    change_header(y, digest="0" * 64)
    with pytest.raises(InputError, match="the operator has changed"):
        run(y, solver="least-squares")


def test_values_that_are_no_numbers_are_refused(y: Path) -> None:
    zarr.open_group(y, mode="r+")["y"][4, 2] = np.nan
    with pytest.raises(InputError, match=r"y/c/0/0: damaged: its digest is"):
        run(y, solver="least-squares")
    reseal(y)
    with pytest.raises(InputError, match="row 4 holds values that are not finite"):
        run(y, solver="least-squares")
    assert not (y.parent / "recon" / "particles.star").exists()


def test_constant_images_are_refused(tmp_path: Path) -> None:
    y = measured(tmp_path, images())
    chunk = y / "y" / "c" / "0" / "0"
    chunk.write_bytes(bytes(chunk.stat().st_size))
    reseal(y)
    with pytest.raises(InputError, match="no power above the noise"):
        run(y, solver="gaussian")


def test_nothing_is_left_to_do_for_more_processes_than_shards(y: Path) -> None:
    summary = reconstruct.run(
        reconstruct.Options(measurements=y, output=y.parent / "many", solver="gaussian", shard="3/4")
    )
    assert summary == {"finished": False, "shards": 1}


@pytest.mark.parametrize(
    ("operator", "warned"),
    [
        ("fourier:compression=16,symmetry=hermitian", True),
        ("fourier:compression=16,symmetry=hermitian,sets=64", False),
        ("pixel:block=4,masks=1", False),
    ],
)
def test_a_contrast_read_from_few_low_frequencies_is_doubted(operator: str, warned: bool) -> None:
    masks = parse_operator(operator, box=64)
    clear = Contrast("dark", -9.0, "images")
    doubt = contrast_doubt(clear, masks, torch.zeros(64, masks.m), range(64))
    assert ("few of the lowest frequencies" in doubt) is warned
    assert not contrast_doubt(Contrast("dark", -9.0, "option"), masks, torch.zeros(64, masks.m), range(64))


def test_measurements_that_moved_with_the_reconstruction_are_found(y: Path, tmp_path: Path) -> None:
    run(y, "recon", solver="least-squares")
    moved = tmp_path / "elsewhere"
    shutil.copytree(y.parent, moved)
    recorded = read_recorded(moved / "recon")
    gone = {**recorded, "measurements": str(tmp_path / "gone" / y.name)}
    assert recorded_measurements(moved / "recon", gone).resolve() == moved / y.name
