"""map: laws of the maps of full, measured and reconstructed particles, and the command with all it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior import cli
from cryoprior.errors import InputError
from cryoprior.image import ctf_image
from cryoprior.image.projection import project_particles, rotation_matrices
from cryoprior.image.symmetry import point_group
from cryoprior.io import (
    ReconstructionWriter,
    read_map,
    read_measurements,
    read_particles,
    read_star,
    write_map,
    write_stack,
    write_star,
)
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.maps.command import Options, run
from cryoprior.maps.job import MapJob
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Subset
from cryoprior.maps.sources import FullParticles, MeasuredParticles, ReconstructedParticles
from cryoprior.maps.sums import MapSettings, sum_halves
from cryoprior.measurement import command as measure
from cryoprior.metrics.fsc import fsc, volume_shell_sums
from cryoprior.operators import parse_operator
from kit.folders import shown

N, BOX, PIXEL = 60, 16, 8.0
EXACT = MapSettings()
PIXEL_SUMS = "pixel:block=8,masks=16,rows=hadamard,sets=8"


def volume_of(box: int, seed: int = 0) -> np.ndarray:
    """Return an asymmetric map of narrow bright blobs."""
    rng = np.random.default_rng(seed)
    axis = np.arange(box) - box // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres, weights = rng.normal(scale=box / 11, size=(16, 3)), rng.uniform(0.5, 2, 16)
    parts = [
        w * np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 1.6)
        for w, (a, b, c) in zip(weights, centres, strict=True)
    ]
    return np.sum(parts, axis=0).astype(np.float32)


def write_views(
    path: Path, n: int = N, box: int = BOX, *, noise: float = 0.0, ctf: bool = True, sign: float = 1.0, seed: int = 0
) -> Path:
    """Return the star file of n views of the blobs, with poses, and with a CTF where wanted."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{path.stem}.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    table[list(ANGLES)] = euler_of_matrix(Rotation.random(n, rng=rng).as_matrix())
    table[list(ORIGINS)] = rng.normal(scale=PIXEL, size=(n, 2))
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [box]})
    transfer = None
    if ctf:
        table["rlnDefocusU"] = rng.uniform(15e3, 40e3, n)
        table["rlnDefocusV"], table["rlnDefocusAngle"] = table["rlnDefocusU"] - 300, 30.0
        optics = optics.assign(rlnVoltage=300.0, rlnSphericalAberration=2.7, rlnAmplitudeContrast=0.1)
        transfer = ctf_of(table, box)
    euler, origin = (torch.from_numpy(table[list(names)].to_numpy()) for names in (ANGLES, ORIGINS))
    images = sign * project_particles(torch.from_numpy(volume_of(box)), euler, origin / PIXEL, transfer).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    images = images + noise * rng.normal(size=images.shape)
    write_stack(path.with_suffix(".mrcs"), images.astype(np.float32), PIXEL)
    write_star(path, table, optics)
    return path


def ctf_of(table: pd.DataFrame, box: int) -> torch.Tensor:
    u, v = (torch.from_numpy(table[name].to_numpy(copy=True)) for name in ("rlnDefocusU", "rlnDefocusV"))
    same = {"defocus_angle_deg": 30.0, "voltage_kv": 300.0, "cs_mm": 2.7, "amplitude_contrast": 0.1}
    parameters = {"defocus_u_angstrom": u, "defocus_v_angstrom": v, "phase_shift_deg": torch.zeros_like(u)}
    parameters |= {key: torch.full_like(u, value) for key, value in same.items()}
    return ctf_image(parameters, torch.full_like(u, PIXEL), box)


def write_measured(particles: Path, y: Path, operator: str) -> Path:
    measure.run(measure.Options(particles=particles, output=y, operator=operator))
    return y


SOLVER = "posterior:estimate=mean,samples=1,tau_max=20.0,tau_min=0.05"


def write_reconstruction(folder: Path, images: np.ndarray, y: Path) -> Path:
    table, optics = read_measurements(y).particles
    with ReconstructionWriter(folder, table.iloc[: len(images)], optics) as writer:
        writer.write(images.astype(np.float32))
    (folder / "summary.json").write_text(
        json.dumps({"measurements": str(y), "solver": SOLVER, "estimate": "mean", "n": len(images)})
    )
    return folder / "particles.star"


def measured_source(y: Path) -> MeasuredParticles:
    measurements = read_measurements(y)
    return MeasuredParticles(measurements, parse_operator(measurements.operator_spec, box=measurements.box))


def seen_images(source: MeasuredParticles) -> np.ndarray:
    return source.views(np.arange(source.n))[0].numpy()


def slopes(volume: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    a, b = torch.fft.rfftn(volume.double()), torch.fft.rfftn(truth.double())
    return volume_shell_sums((a * b.conj()).real) / volume_shell_sums(b.abs().square())


def close(a: MapSet, b: MapSet, atol: float = 1e-5) -> None:
    for name in ("half_1", "half_2", "full"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=0, atol=atol)


# laws of the maps


def test_full_particles_give_the_volume_and_their_halves_theirs(tmp_path: Path) -> None:
    maps = solve_maps(FullParticles(read_particles(write_views(tmp_path / "p.star", 300))), EXACT)
    assert (maps.n_half_1, maps.n_half_2, maps.n) == (150, 150, 300)
    assert maps.voxel_size_angstrom == PIXEL
    truth = torch.from_numpy(volume_of(BOX))
    for volume in (maps.half_1, maps.half_2, maps.full):
        assert float(fsc(volume, truth)[:7].min()) > 0.99
    assert not torch.equal(maps.half_1, maps.half_2)


def test_maps_do_not_depend_on_batch_or_order(tmp_path: Path) -> None:
    stack = read_particles(write_views(tmp_path / "p.star", 50, noise=1.0))
    whole = solve_maps(FullParticles(stack), MapSettings(batch=50))
    close(solve_maps(FullParticles(stack), MapSettings(batch=7)), whole)
    order = np.random.default_rng(0).permutation(25)  # odd rows stay at odd places, and so in their half
    rows = np.stack([2 * order, 2 * order + 1], 1).ravel()
    close(solve_maps(Subset(FullParticles(stack), rows), MapSettings()), whole)


def test_a_symmetric_map_is_that_of_all_mates_as_particles(tmp_path: Path) -> None:
    star = write_views(tmp_path / "p.star", 30, noise=0.5)
    tables, mates = read_star(star), point_group("C3")
    rows = [tables["particles"].assign(rlnRandomSubset=np.arange(30) % 2 + 1) for _ in mates]
    rotations = rotation_matrices(torch.from_numpy(rows[0][list(ANGLES)].to_numpy(copy=True)))
    for mate, table in zip(mates, rows, strict=True):
        table[list(ANGLES)] = euler_of_matrix((mate @ rotations).numpy())
    write_star(tmp_path / "mates.star", pd.concat(rows, ignore_index=True), tables["optics"])
    symmetric = solve_maps(FullParticles(read_particles(star)), MapSettings(symmetry="C3"))
    close(solve_maps(FullParticles(read_particles(tmp_path / "mates.star")), MapSettings()), symmetric, atol=1e-4)
    assert symmetric.n == 30


@pytest.mark.parametrize("ctf", [False, True])
def test_quarter_of_all_coefficients_gives_the_whole_map(tmp_path: Path, ctf: bool) -> None:
    star = write_views(tmp_path / "p.star", 800, 32, ctf=ctf)
    y = write_measured(star, tmp_path / "y.zarr", "fourier:pattern=uniform,compression=4,sets=100")
    maps, truth = solve_maps(measured_source(y), EXACT), torch.from_numpy(volume_of(32))
    assert float(fsc(maps.full, truth)[:15].min()) > 0.98
    torch.testing.assert_close(slopes(maps.full, truth)[:15], torch.ones(15).double(), rtol=0, atol=0.04)


def test_sums_of_pixels_give_unbiased_amplitudes_where_the_ctf_alone_would_not(tmp_path: Path) -> None:
    box = 32
    star = write_views(tmp_path / "p.star", 600, box)
    source = measured_source(write_measured(star, tmp_path / "y.zarr", PIXEL_SUMS))
    truth = torch.from_numpy(volume_of(box))
    # in the lowest shells the blocks' own grid aliases, and the CTF is weak
    amplitudes = slopes(solve_maps(source, EXACT).full, truth)[4:12]
    torch.testing.assert_close(amplitudes, torch.ones(8).double(), rtol=0, atol=0.15)
    assert float(amplitudes.mean()) == pytest.approx(1, abs=0.05)
    naive = write_reconstruction(tmp_path / "naive", seen_images(source), source.path)
    taken_for_whole = solve_maps(FullParticles(read_particles(naive)), EXACT)
    assert float(slopes(taken_for_whole.full, truth)[4:12].max()) < 0.4  # four numbers of sixteen were measured


def test_passes_take_out_what_sums_of_pixels_mix(tmp_path: Path) -> None:
    source = measured_source(write_measured(write_views(tmp_path / "p.star", 300), tmp_path / "y.zarr", PIXEL_SUMS))
    truth = torch.from_numpy(volume_of(BOX))
    maps = [solve_maps(source, MapSettings(passes=passes)) for passes in (0, 8)]
    assert maps[1].converged
    plain, refined = (slopes(m.full, truth)[1:7] for m in maps)
    assert float((plain - 1).abs().max()) > 0.2
    assert float((refined - 1).abs().max()) < 0.1
    for name, least in (("half_1", 0.7), ("half_2", 0.7), ("full", 0.9)):
        before, after = (float(fsc(getattr(m, name), truth)[1:7].min()) for m in maps)
        assert before + 0.1 < after, name
        assert after > least, name


def test_dark_particles_are_solved_as_bright_ones(tmp_path: Path) -> None:
    stars = [
        write_views(tmp_path / name / "p.star", 100, sign=sign) for name, sign in (("bright", 1.0), ("dark", -1.0))
    ]
    measured = [measured_source(write_measured(star, star.parent / "y.zarr", PIXEL_SUMS)) for star in stars]
    close(solve_maps(measured[1], MapSettings(contrast=-1.0)), solve_maps(measured[0], MapSettings()))


def test_no_pass_is_made_where_nothing_is_mixed(tmp_path: Path) -> None:
    source = measured_source(write_measured(write_views(tmp_path / "p.star"), tmp_path / "y.zarr", "crop:size=8"))
    close(solve_maps(source, MapSettings(passes=3)), solve_maps(source, MapSettings()))


@pytest.mark.parametrize("operator", [PIXEL_SUMS, "fourier:pattern=uniform,compression=3,sets=60"])
def test_reconstructions_lead_from_the_map_of_the_measurements_to_their_own(tmp_path: Path, operator: str) -> None:
    star = write_views(tmp_path / "p.star", noise=1.0)
    source = measured_source(write_measured(star, tmp_path / "y.zarr", operator))
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(N, BOX, BOX)).astype(np.float32))
    particles = list(range(N))
    other = seen_images(source) + (x - source.operator.project(x, particles)).numpy()
    stack = read_particles(write_reconstruction(tmp_path / "recon", other, source.path))
    prior_free = solve_maps(source, MapSettings())
    close(solve_maps(ReconstructedParticles(stack, source.sight, 0.0), MapSettings()), prior_free, atol=1e-4)
    whole = solve_maps(FullParticles(stack), MapSettings())
    close(solve_maps(ReconstructedParticles(stack, source.sight, 1.0), MapSettings()), whole)
    between = solve_maps(ReconstructedParticles(stack, source.sight, 0.999), MapSettings())
    assert float((between.full - whole.full).abs().max()) < 0.02 * float(whole.full.abs().max())
    assert float((prior_free.full - whole.full).abs().max()) > 0.1 * float(whole.full.abs().max())


def test_some_of_a_reconstruction_goes_with_its_own_measurements(tmp_path: Path) -> None:
    source = measured_source(write_measured(write_views(tmp_path / "p.star"), tmp_path / "y.zarr", PIXEL_SUMS))
    star = write_reconstruction(tmp_path / "recon", seen_images(source), source.path)
    blocks, rows = read_star(star), np.arange(N)[::-3]
    write_star(star.with_name("some.star"), blocks["particles"].iloc[rows], blocks["optics"])
    job = MapJob.open(star.with_name("some.star"), None, 0.0)
    assert job.measured is not None
    np.testing.assert_array_equal(job.measured[0].particle_index, rows)
    np.testing.assert_array_equal(job.measured[0].y(), source.measurements.y(rows))
    alone = solve_maps(Subset(source, rows), MapSettings()).full
    torch.testing.assert_close(solve_maps(job.source, MapSettings()).full, alone, rtol=0, atol=1e-4)


def test_reconstructions_by_least_squares_give_the_prior_free_map(tmp_path: Path) -> None:
    source = measured_source(write_measured(write_views(tmp_path / "p.star"), tmp_path / "y.zarr", PIXEL_SUMS))
    stack = read_particles(write_reconstruction(tmp_path / "recon", seen_images(source), source.path))
    maps = solve_maps(ReconstructedParticles(stack, source.sight, 0.0), MapSettings())
    close(maps, solve_maps(source, MapSettings()), 1e-4)


def test_half_sets_follow_the_file_and_otherwise_the_rows(tmp_path: Path) -> None:
    star = write_views(tmp_path / "p.star")
    tables = read_star(star)
    by_rows = sum_halves(FullParticles(read_particles(star)), MapSettings())
    subset = np.where(np.arange(N) < 20, 2, 1)
    write_star(star, tables["particles"].assign(rlnRandomSubset=subset), tables["optics"])
    stack = read_particles(star)
    sums = sum_halves(FullParticles(stack), MapSettings())
    assert sums.counts == (40, 20)
    whole = sum(half.target() for half in sums.halves)
    torch.testing.assert_close(whole, sum(half.target() for half in by_rows.halves))
    for half, rows in zip(sums.halves, (range(20, N), range(20)), strict=True):
        alone = stack.subset(np.array(rows))
        alone.table["rlnRandomSubset"] = np.arange(len(rows)) % 2 + 1
        parts = sum_halves(FullParticles(alone), MapSettings()).halves
        torch.testing.assert_close(sum(part.target() for part in parts), half.target())
    odd = sum_halves(FullParticles(read_particles(write_views(star)).subset(np.arange(0, N, 2))), MapSettings())
    torch.testing.assert_close(sum(half.target() for half in odd.halves), by_rows.halves[0].target())


# the command


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return noisy particles, measurements of them, a reconstruction and the true map."""
    folder = tmp_path_factory.mktemp("map")
    star = write_views(folder / "particles.star", 120, 32, noise=2.0)
    y = write_measured(star, folder / "y.zarr", "fourier:pattern=uniform,compression=4,sets=120")
    truth = folder / "truth.mrc"
    write_map(truth, volume_of(32), PIXEL)
    recon = write_reconstruction(folder / "recon", seen_images(measured_source(y)), y)
    return {"star": star, "y": y, "truth": truth, "recon": recon}


FILES = {
    "half1.mrc",
    "half2.mrc",
    "half1_unregularised.mrc",
    "half2_unregularised.mrc",
    "map.mrc",
    "map_filtered.mrc",
    "mask.mrc",
    "fsc.csv",
    "fsc.star",
}
PAGE = {"report.html", "fsc.png", "slices.png", "fsc_by_direction.csv", "summary.json", "provenance.json"}


def command(*words: object, code: int = 0) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["map", *(str(word) for word in words)])
    assert left.value.code == code


def answer(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


def refused(capsys: pytest.CaptureFixture[str], match: str, out: Path, *words: object) -> None:
    command(*words, "-o", out, code=2)
    assert match in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    assert not list(out.parent.glob(".*partial"))


def test_the_command_writes_maps_curves_and_what_it_found(
    ready: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "map"
    command(ready["star"], "-o", out, "--truth", ready["truth"], "--json")
    summary = answer(out)
    assert json.loads(capsys.readouterr().out) == summary
    assert shown(out) == FILES | PAGE
    assert summary["n"] == 120
    assert summary["n_half"] == [60, 60]
    assert summary["voxel_size_angstrom"] == PIXEL
    assert summary["nyquist_limited"] in (True, False)
    assert 2 * PIXEL <= summary["resolution_0143_angstrom"] <= summary["resolution_05_angstrom"] < 60
    assert summary["truth"]["correlation"] > 0.8
    assert summary["contrast"] == "bright"
    assert summary["ctf"] is True
    assert summary["beside"] == {}
    assert summary["warnings"] == []
    volumes = {name: read_map(out / name) for name in FILES if name.endswith(".mrc")}
    assert all(v.shape == (32,) * 3 and size == pytest.approx(PIXEL) for v, size in volumes.values())
    assert volumes["mask.mrc"][0].min() == 0
    assert volumes["mask.mrc"][0].max() == pytest.approx(1)
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 2
    assert "truth 0.5" in page


def test_the_curves_are_those_of_the_maps_that_were_written(ready: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "map"
    run(Options(particles=ready["star"], output=out, truth=ready["truth"]))
    halves = [torch.from_numpy(read_map(out / f"half{i}.mrc")[0]) for i in (1, 2)]
    mask, whole = (torch.from_numpy(read_map(out / f"{name}.mrc")[0]) for name in ("mask", "map"))
    star, csv = read_star(out / "fsc.star")["fsc"], pd.read_csv(out / "fsc.csv")
    assert len(star) == len(csv) == 17
    np.testing.assert_allclose(star["rlnFourierShellCorrelationUnmaskedMaps"], fsc(*halves), atol=1e-5)
    masked = fsc(*(half * mask for half in halves))
    np.testing.assert_allclose(star["rlnFourierShellCorrelationMaskedMaps"], masked, atol=1e-5)
    np.testing.assert_allclose(csv["fsc_truth"], fsc(whole * mask, torch.from_numpy(volume_of(32)) * mask), atol=1e-5)
    np.testing.assert_allclose(csv["fsc_corrected"], star["rlnFourierShellCorrelationCorrected"], atol=1e-5)
    assert star["rlnAngstromResolution"].iloc[-1] == pytest.approx(2 * PIXEL)
    assert star["rlnAngstromResolution"].iloc[0] == 999.0
    filtered = torch.from_numpy(read_map(out / "map_filtered.mrc")[0])
    transfer, curve = slopes(filtered, whole), torch.from_numpy(csv["fsc_corrected"].to_numpy(copy=True)).clamp(0, 1)
    inside = torch.from_numpy(csv["resolution_angstrom"].to_numpy(copy=True)) >= answer(out)["resolution_0143_angstrom"]
    weights = (2 * curve / (1 + curve)).sqrt()[1:]
    torch.testing.assert_close(transfer[1:], torch.where(inside[1:], weights, 0), rtol=0, atol=1e-4)


def test_a_mask_and_a_limit_are_taken_as_given(ready: dict[str, Path], tmp_path: Path) -> None:
    mask = np.zeros((32,) * 3, np.float32)
    mask[6:26, 6:26, 6:26] = 1
    write_map(tmp_path / "mask.mrc", mask, PIXEL)
    out = tmp_path / "map"
    summary = run(Options(particles=ready["star"], output=out, mask=tmp_path / "mask.mrc", limit=40))
    assert summary["n"] == 40
    assert summary["mask"] == str(tmp_path / "mask.mrc")
    np.testing.assert_array_equal(read_map(out / "mask.mrc")[0], mask)
    assert "truth" not in summary


def test_measurements_are_mapped_beside_controls_of_equal_size(ready: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "map"
    command(ready["y"], "-o", out, "--controls", ready["star"], "--truth", ready["truth"])
    summary = answer(out)
    assert summary["operator"].startswith("fourier:")
    assert "prior_weight" not in summary
    assert {"full_particles", "fewer_particles", "crop", "bin", "quantize"} == set(summary["beside"])
    for place, numbers in summary["beside"].items():
        assert {p.name for p in (out / place).iterdir()} == FILES - {"mask.mrc"}
        assert numbers["truth"]["correlation"] <= summary["beside"]["full_particles"]["truth"]["correlation"] + 0.02
    assert summary["beside"]["fewer_particles"]["n"] == 30
    assert summary["beside"]["full_particles"]["n"] == 120
    page = (out / "report.html").read_text()
    assert "fewer particles" in page
    assert "Half maps of reconstructed images share the prior" not in page


def test_a_reconstruction_is_mapped_beside_the_measurements_alone(ready: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "map"
    command(ready["recon"], "-o", out)
    summary, alone = answer(out), solve_maps(measured_source(ready["y"]), MapSettings())
    assert summary["prior_weight"] == 0
    assert set(summary["beside"]) == {"prior_free"}
    for name, volume in (("half1", alone.half_1), ("half2", alone.half_2), ("map", alone.full)):
        there = volume.numpy()
        np.testing.assert_allclose(read_map(out / "prior_free" / f"{name}.mrc")[0], there, atol=1e-5 * there.max())
        np.testing.assert_allclose(read_map(out / f"{name}.mrc")[0], there, atol=2e-3 * there.max())
    page = (out / "report.html").read_text()
    assert summary["says"].endswith("; the prior is not in this map")
    assert f'<p class="lead">{summary["says"]}</p>' in page
    assert "Half maps of reconstructed images share the prior" not in page
    assert page.count("prior-free, from the measurements") == 1  # in the sentence that says that it is the same
    assert "“prior-free, from the measurements” is the same map as “posterior mean, prior weight 0”" in page
    assert page.count(SOLVER) == 1  # among the facts: in a table it would push the numbers out of sight


def test_a_reconstruction_of_the_first_particles_is_mapped(ready: dict[str, Path], tmp_path: Path) -> None:
    images = seen_images(measured_source(ready["y"]))[:50]
    star = write_reconstruction(tmp_path / "recon", images, ready["y"])
    summary = run(Options(particles=star, output=tmp_path / "map", prior_weight=0.5))
    page = (tmp_path / "map" / "report.html").read_text()
    assert "the prior is in this map with weight 0.5: its half maps flatter it" in summary["says"]
    assert "Half maps of reconstructed images share the prior" in page
    assert "is listed once" not in page
    assert summary["n"] == summary["beside"]["prior_free"]["n"] == 50
    assert summary["prior_weight"] == 0.5


def test_dark_particles_are_told_and_can_be_inverted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    star = write_views(tmp_path / "dark.star", 100, sign=-1.0)
    summary = run(Options(particles=star, output=tmp_path / "dark"))
    assert summary["contrast"] == "dark"
    assert summary["warnings"] == ["The map is dark"]
    assert "Pass invert to turn" in caplog.text
    assert "The map is dark" in (tmp_path / "dark" / "report.html").read_text()
    turned = run(Options(particles=star, output=tmp_path / "bright", invert=True))
    assert turned["contrast"] == "bright"
    assert turned["warnings"] == []
    dark, bright = (read_map(tmp_path / name / "map.mrc")[0] for name in ("dark", "bright"))
    np.testing.assert_allclose(bright, -dark, atol=1e-6)


def test_particles_without_a_ctf_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    summary = run(Options(particles=write_views(tmp_path / "p.star", ctf=False), output=tmp_path / "map"))
    assert summary["ctf"] is False
    assert summary["warnings"] == ["No CTF"]
    assert "no CTF was corrected" in caplog.text


def test_the_map_of_a_symmetric_particle_is_symmetric(tmp_path: Path) -> None:
    run(Options(particles=write_views(tmp_path / "p.star", box=17), output=tmp_path / "map", symmetry="c2"))
    volume = read_map(tmp_path / "map" / "map.mrc")[0]
    np.testing.assert_allclose(volume[:, ::-1, ::-1], volume, atol=1e-5 * volume.max())
    assert np.abs(volume[::-1] - volume).max() > 0.1 * volume.max()


def test_what_cannot_be_mapped_is_refused(
    ready: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "map"
    out.parent.mkdir()
    tables = read_star(ready["star"])
    table, optics = tables["particles"], tables["optics"]
    shutil.copy(ready["star"].with_suffix(".mrcs"), tmp_path)

    def changed(**columns: object) -> Path:
        write_star(tmp_path / "changed.star", table.assign(**columns), optics)
        return tmp_path / "changed.star"

    blind = tmp_path / "blind.star"
    write_star(blind, table.drop(columns=list(ANGLES)), optics)
    refused(capsys, "no poses (rlnAngleRot, rlnAngleTilt, rlnAnglePsi)", out, blind)
    refused(capsys, "0 particles in half 1 and 120 in half 2", out, changed(rlnRandomSubset=2))
    refused(capsys, "particle 1 has rlnRandomSubset 3; expected 1 or 2", out, changed(rlnRandomSubset=3))
    refused(capsys, "particle 1 has rlnAngleRot nan; expected a number", out, changed(rlnAngleRot=np.nan))
    write_map(tmp_path / "small.mrc", volume_of(24), PIXEL)
    refused(capsys, "24 x 24 x 24 voxels; expected 32 a side", out, ready["star"], "--truth", tmp_path / "small.mrc")
    refused(capsys, "24 x 24 x 24 voxels; expected 32 a side", out, ready["star"], "--mask", tmp_path / "small.mrc")
    write_map(tmp_path / "scaled.mrc", volume_of(32), 1.5 * PIXEL)
    refused(capsys, "12.0000 A a voxel; expected 8.0000", out, ready["star"], "--truth", tmp_path / "scaled.mrc")
    refused(capsys, "full particles have no compression to match", out, ready["star"], "--controls", ready["star"])
    refused(capsys, "expected a point group", out, ready["star"], "--symmetry", "X3")
    refused(capsys, "no such file", out, tmp_path / "absent.star")


def test_a_reconstruction_whose_measurements_are_gone_or_others_is_refused(
    ready: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, gone = tmp_path / "out" / "map", tmp_path / "gone.zarr"
    out.parent.mkdir()
    star = write_reconstruction(tmp_path / "recon", seen_images(measured_source(ready["y"])), ready["y"])
    (star.parent / "summary.json").write_text(json.dumps({"measurements": str(gone), "solver": "test"}))
    refused(capsys, "gone.zarr: these measurements, recorded in", out, star)
    other = write_measured(write_views(tmp_path / "few.star", 20, 32), tmp_path / "few.zarr", PIXEL_SUMS)
    refused(capsys, "120 particles of box 32;", out, star, "--measurements", other)


def test_an_image_that_is_not_finite_leaves_no_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    star = write_views(tmp_path / "p.star")
    images = read_particles(star).read(slice(None)).copy()
    images[4, 2, 2] = np.nan
    write_stack(star.with_suffix(".mrcs"), images, PIXEL)
    refused(capsys, "particle 5 is not finite", tmp_path / "map", star)


@pytest.mark.parametrize(
    ("field", "value"), [("prior_weight", 1.5), ("passes", -1), ("limit", 1), ("batch", 0), ("symmetry", "Q")]
)
def test_options_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match="expected a point group" if field == "symmetry" else f"^{field} "):
        Options(particles=Path("a"), output=Path("b"), **{field: value})


def test_an_output_that_holds_what_is_read_is_refused_with_overwrite_too(
    ready: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = tmp_path / "inside"
    shutil.copytree(ready["y"], inside / "y.zarr")
    star = write_reconstruction(tmp_path / "recon", seen_images(measured_source(ready["y"])), inside / "y.zarr")
    full = write_views(inside / "full.star", 120, 32).rename(tmp_path / "full.star")
    full.write_text(full.read_text().replace("@full.mrcs", "@inside/full.mrcs"))
    for words in ((inside / "y.zarr",), (star,), (full,), (ready["y"], "--controls", full)):
        command(*words, "-o", inside, "--overwrite", code=2)
        assert "which this run reads" in " ".join(capsys.readouterr().err.split())
    assert (inside / "y.zarr").is_dir()


def test_what_a_detector_leaves_in_the_map_is_said(
    ready: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocks = read_star(ready["star"])
    star = ready["star"].with_name("detected.star")
    write_star(star, blocks["particles"], blocks["optics"].assign(rlnMtfFileName="k3.star"))
    command(star, "-o", tmp_path / "map", "--limit", 12)
    assert "rlnMtfFileName k3.star is left in the images" in caplog.text
    assert "The images hold more than the map undoes" in answer(tmp_path / "map")["warnings"]
