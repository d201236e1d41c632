"""simulate: its images against RELION, its noise, its tables, what its seed decides, and every input it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior import cli
from cryoprior.errors import InputError
from cryoprior.image.spectrum import pair_weight, power_spectrum, radial_average, soft_disc
from cryoprior.io import read_map, read_particles, write_map, write_stack, write_star
from cryoprior.io.star import read_star
from cryoprior.simulation import command as simulate
from cryoprior.simulation.noise import read_noise
from cryoprior.simulation.optics import CTF_COLUMNS, read_ctf_table
from cryoprior.simulation.particles import draw_particles
from cryoprior.simulation.states import read_states

BOX, PIXEL = 32, 6.0


def blobs(box: int = BOX, width: float = 2.2, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    axis = np.arange(box) - box // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres, weights = rng.normal(scale=box / 14, size=(10, 3)), rng.uniform(0.5, 2, 10)
    return sum(
        w * np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * width**2))
        for w, (a, b, c) in zip(weights, centres, strict=True)
    ).astype(np.float32)


def write_model(path: Path, chains: Sequence[str] = ("A", "B", "C1", "C2")) -> Path:
    """Write a protein of four chains, each a cloud of 40 carbons."""
    rng, structure = np.random.default_rng(4), gemmi.Structure()
    model = gemmi.Model(1)
    for k, name in enumerate(chains):
        chain = gemmi.Chain(name)
        for i, place in enumerate(rng.normal(scale=12, size=(40, 3)) + 25 * np.eye(4, 3)[k]):
            residue = gemmi.Residue()
            residue.name, residue.seqid = "GLY", gemmi.SeqId(str(i + 1))
            atom = gemmi.Atom()
            atom.name, atom.element, atom.pos = "CA", gemmi.Element("C"), gemmi.Position(*place)
            residue.add_atom(atom)
            chain.add_residue(residue)
        model.add_chain(chain)
    structure.add_model(model)
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(path))
    return path


def ctf_table(path: Path, n: int = 40) -> Path:
    rng = np.random.default_rng(6)
    table = pd.DataFrame({c: np.zeros(n) for c in CTF_COLUMNS})
    table["defocus_u_angstrom"] = rng.uniform(9e3, 2.2e4, n)
    table["defocus_v_angstrom"] = table["defocus_u_angstrom"] + rng.uniform(-3e3, 3e3, n)  # V > U in half of them
    table["defocus_angle_deg"] = rng.uniform(-180, 180, n)
    table["voltage_kv"], table["cs_mm"] = np.where(np.arange(n) % 2, 300.0, 200.0), 2.7
    table["amplitude_contrast"], table["phase_shift_deg"] = 0.07, np.where(np.arange(n) % 4 == 0, 50.0, 0.0)
    table.to_csv(path, index=False)
    return path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    write_map(tmp_path / "blobs.mrc", blobs(), PIXEL)
    return tmp_path / "blobs.mrc"


def run(source: Path, name: str = "sim", **more: Any) -> Path:
    given = {"n": 24, "box": BOX, "pixel_size": PIXEL, "structures": (source,)} | more
    simulate.run(simulate.Options(output=source.parent / name, **given))
    return source.parent / name


def stack(folder: Path, name: str = "particles") -> np.ndarray:
    return read_particles(folder / f"{name}.star").read(slice(None))


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([np.corrcoef(i.ravel(), j.ravel())[0, 1] for i, j in zip(a, b, strict=True)])


def relion_images(folder: Path, name: str, pixel_size: float) -> np.ndarray:
    if shutil.which("relion_project") is None:
        pytest.skip("no relion_project on PATH; install RELION to compare with it")
    words = ["--i", f"maps/{name}.mrc", "--o", "relion", "--ang", "clean.star", "--ctf", "--angpix", str(pixel_size)]
    subprocess.run(["relion_project", *words], cwd=folder, check=True, capture_output=True)
    return read_particles(folder / "relion.mrcs", pixel_size=pixel_size).read(slice(None))


@pytest.mark.external
@pytest.mark.parametrize("seed", [0, 1])
def test_projections_are_those_of_relion(tmp_path: Path, seed: int) -> None:
    """The map is smooth, so that RELION's own interpolation errors stay far below what is asked."""
    write_map(tmp_path / "blobs.mrc", blobs(64, width=3.0, seed=seed), 4.0)
    table = ctf_table(tmp_path / "ctf.csv")
    folder = run(tmp_path / "blobs.mrc", n=40, box=64, pixel_size=4.0, shift=14.0, ctf=table, seed=seed)
    ours, theirs = stack(folder, "clean"), relion_images(folder, "blobs", 4.0)
    assert correlations(ours, theirs).min() > 0.9999
    scale = (ours * theirs).sum((1, 2)) / np.square(theirs).sum((1, 2))
    np.testing.assert_allclose(scale, 1, rtol=5e-3)  # the sign and the grey scale of the map are kept


@pytest.mark.external
def test_what_is_not_a_projection_of_relion_is_seen(tmp_path: Path) -> None:
    """Half a pixel, the other hand, the other CTF sign or no astigmatism: each breaks the correlation that is asked."""
    write_map(tmp_path / "blobs.mrc", blobs(64, width=3.0), 4.0)
    folder = run(tmp_path / "blobs.mrc", n=20, box=64, pixel_size=4.0, ctf=ctf_table(tmp_path / "ctf.csv"))
    ours, theirs = stack(folder, "clean"), relion_images(folder, "blobs", 4.0)
    half = torch.exp(-1j * torch.pi * torch.fft.rfftfreq(64))  # a shift by half a pixel
    moved = torch.fft.irfft2(torch.fft.rfft2(torch.from_numpy(ours)) * half, s=(64, 64)).numpy()
    assert correlations(moved, theirs).max() < 0.9999
    write_map(folder / "maps" / "mirrored.mrc", read_map(folder / "maps" / "blobs.mrc")[0][:, :, ::-1].copy(), 4.0)
    assert correlations(ours, relion_images(folder, "mirrored", 4.0)).max() < 0.9999
    assert correlations(-ours, theirs).max() < -0.9999
    blocks = read_star(folder / "clean.star")
    particles = blocks["particles"].copy()
    u, v = (particles[f"rlnDefocus{axis}"].astype(float) for axis in "UV")
    round_ones = particles.assign(rlnDefocusU=(u + v) / 2, rlnDefocusV=(u + v) / 2)
    write_star(folder / "clean.star", round_ones, blocks["optics"])
    astigmatic = np.abs(u - v) > 500
    assert correlations(ours, relion_images(folder, "blobs", 4.0))[astigmatic].min() < 0.9996


@pytest.mark.external
def test_projections_of_a_protein_are_those_of_relion(tmp_path: Path, shared_data: Path) -> None:
    model = tmp_path / "1oel.pdb.gz"
    shutil.copy(shared_data / "structures" / "1oel.pdb.gz", model)
    folder = run(model, n=16, box=64, pixel_size=5.0, b_factor=1500.0)
    assert correlations(stack(folder, "clean"), relion_images(folder, "1oel", 5.0)).min() > 0.9999


@pytest.mark.parametrize("snr", [0.05, 1.0])
def test_signal_to_noise_inside_the_mask_is_what_was_asked(volume: Path, snr: float) -> None:
    folder = run(volume, n=300, snr=snr)
    radius = json.loads((folder / "summary.json").read_text())["mask_radius_angstrom"] / PIXEL
    mask = (soft_disc(BOX, radius) > 0.5).numpy()
    clean, noisy = stack(folder, "clean"), stack(folder)
    signal = clean[:, mask].var(axis=1).mean()
    assert signal / (noisy - clean).var() == pytest.approx(snr, rel=0.05)


def test_noise_is_white_of_variance_one_by_default(volume: Path) -> None:
    folder = run(volume, n=300)
    noise = torch.from_numpy(stack(folder) - stack(folder, "clean"))
    power = radial_average(power_spectrum(noise))[2:]  # the innermost shells have few coefficients
    torch.testing.assert_close(power, torch.ones(22).double(), rtol=0.06, atol=0)


def test_noise_follows_a_curve_in_angstrom(volume: Path, tmp_path: Path) -> None:
    frequency = np.linspace(0, 0.5 / PIXEL, 30)
    power = 0.2 + np.exp(-((frequency / 0.03) ** 2))
    curve = pd.DataFrame({"frequency_per_angstrom": frequency, "power": 17 * power})
    curve.to_csv(tmp_path / "noise.csv", index=False)
    folder = run(volume, n=300, noise_like=tmp_path / "noise.csv")
    noise = stack(folder) - stack(folder, "clean")
    assert noise.var() == pytest.approx(1, rel=0.03)
    spectrum = radial_average(power_spectrum(torch.from_numpy(noise)))[: BOX // 2 + 1].numpy()
    expected = np.interp(np.arange(BOX // 2 + 1) / (BOX * PIXEL), frequency, power)
    np.testing.assert_allclose(spectrum / spectrum.mean(), expected / expected.mean(), rtol=0.12)
    written = pd.read_csv(folder / "noise_spectrum.csv")
    np.testing.assert_allclose(written["power"] / written["power"].mean(), expected / expected.mean(), rtol=0.03)
    np.testing.assert_allclose(written["frequency_per_angstrom"].iloc[-1], 0.5 / PIXEL)


def test_noise_is_that_of_a_stack_with_particles_and_another_pixel(volume: Path, tmp_path: Path) -> None:
    box, pixel = 48, 4.0
    white = torch.randn(200, box, box, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ky, kx = torch.fft.fftfreq(box)[:, None], torch.fft.rfftfreq(box)[None]
    shape = 1 + 4 * torch.exp(-60 * (kx**2 + ky**2))
    noise = torch.fft.irfft2(torch.fft.rfft2(white) * shape.sqrt(), s=(box, box))
    stack_path = tmp_path / "real.mrcs"
    write_stack(stack_path, (3 * noise + 20 * soft_disc(box, 8.0) + 100).float().numpy(), pixel)
    power = read_noise(stack_path, BOX, PIXEL, 13 * pixel)
    assert float((power * pair_weight(BOX)).sum() / BOX**2) == pytest.approx(1)
    radius = torch.hypot(*torch.meshgrid(torch.fft.fftfreq(BOX), torch.fft.rfftfreq(BOX), indexing="ij"))
    expected = 1 + 4 * torch.exp(-60 * (radius * pixel / PIXEL) ** 2).double()
    expected /= (expected * pair_weight(BOX)).sum() / BOX**2
    torch.testing.assert_close(power, expected, rtol=0.15, atol=0)


def test_the_seed_decides_every_byte_and_the_batch_none(volume: Path) -> None:
    one = run(volume, "one", batch=24)
    time.sleep(1.01)  # a time of writing would show
    same = run(volume, "same", batch=24)
    for name in ("particles.mrcs", "clean.mrcs", "particles.star", "labels.csv"):
        assert (one / name).read_bytes() == (same / name).read_bytes()
    batched, other = run(volume, "batched", batch=5), run(volume, "other", seed=1)
    np.testing.assert_allclose(stack(batched), stack(one), rtol=0, atol=1e-5)
    assert (batched / "particles.star").read_bytes() == (one / "particles.star").read_bytes()
    assert correlations(stack(other), stack(one)).max() < 0.9


def test_more_particles_begin_with_the_same_ones(volume: Path) -> None:
    few, many = run(volume, "few", n=6), run(volume, "many", n=9)
    noise = [stack(f) - stack(f, "clean") for f in (few, many)]
    np.testing.assert_allclose(noise[1][:6], noise[0], atol=1e-5)
    np.testing.assert_allclose(correlations(stack(many, "clean")[:6], stack(few, "clean")), 1, atol=1e-6)


def test_noisy_and_clean_are_apart_and_the_tables_agree(volume: Path) -> None:
    folder = run(volume, n=200, snr=0.5)
    noise = stack(folder) - stack(folder, "clean")
    assert abs(np.corrcoef(noise.ravel(), stack(folder, "clean").ravel())[0, 1]) < 0.01
    particles, clean = (read_particles(folder / f"{name}.star") for name in ("particles", "clean"))
    pd.testing.assert_frame_equal(
        particles.table.drop(columns="rlnImageName"), clean.table.drop(columns="rlnImageName")
    )
    assert particles.pixel_size.tolist() == [PIXEL] * 200
    assert {"optics", "particles"} <= set(read_star(folder / "particles.star"))
    assert (folder / "provenance.json").is_file()


def test_ctf_rows_come_from_the_table_with_their_optics(volume: Path, tmp_path: Path) -> None:
    table = pd.read_csv(ctf_table(tmp_path / "ctf.csv"))
    parameters = pd.DataFrame(
        read_particles(run(volume, n=60, ctf=tmp_path / "ctf.csv") / "particles.star").ctf_parameters()
    )
    known = {tuple(np.round(row, 4)) for row in table[list(CTF_COLUMNS)].to_numpy()}
    drawn = {tuple(np.round(row, 4)) for row in parameters[list(CTF_COLUMNS)].to_numpy()}
    assert drawn <= known
    assert len(drawn) > 20
    assert set(parameters["voltage_kv"]) == {200.0, 300.0}


def test_orientations_and_origins_have_their_laws() -> None:
    draws = draw_particles(4000, 3, read_ctf_table(None), 4.0, seed=0)
    tilt = np.cos(np.radians(draws.euler_deg[:, 1]))
    assert np.histogram(tilt, bins=8, range=(-1, 1))[0] == pytest.approx(np.full(8, 500), abs=90)
    for angle in draws.euler_deg[:, [0, 2]].T:
        assert np.histogram(angle, bins=8, range=(-180, 180))[0] == pytest.approx(np.full(8, 500), abs=90)
    assert np.bincount(draws.state) == pytest.approx(np.full(3, 1333), abs=130)
    assert draws.origin_angstrom.std() == pytest.approx(4.0, rel=0.05)


def test_states_are_the_assembly_with_chains_left_out(tmp_path: Path) -> None:
    model = write_model(tmp_path / "rna.cif")
    folder = run(model, n=60, leave_out=("C*", "A, B"), snr=5.0)
    names = ["rna", "rna-without-C*", "rna-without-A-B"]
    labels = pd.read_csv(folder / "labels.csv")
    assert labels["particle"].tolist() == list(range(60))
    assert set(labels["name"]) == set(names)
    assert [names[s] for s in labels["state"]] == labels["name"].tolist()
    assert (read_particles(folder / "particles.star").table["rlnClassNumber"].astype(int) - 1).tolist() == labels[
        "state"
    ].tolist()
    whole, without_c, only_c = (read_map(folder / "maps" / f"{name}.mrc")[0].astype(np.float64) for name in names)
    assert without_c.sum() / whole.sum() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(without_c + only_c, whole, atol=1e-3 * whole.max())  # in one frame, on one scale
    scores = {name: [] for name in names}
    clean = stack(folder, "clean")
    for image, name in zip(clean, labels["name"], strict=True):
        scores[name].append(image.sum())
    assert abs(np.mean(scores[names[1]])) < abs(np.mean(scores[names[0]]))
    assert json.loads((folder / "summary.json").read_text())["states"] == labels["name"].value_counts()[names].to_dict()


def test_chains_may_be_chosen(tmp_path: Path) -> None:
    model = write_model(tmp_path / "rna.cif")
    kept = read_states(model, BOX, PIXEL, ("C?",), (), 300.0)
    assert [s.name for s in kept] == ["rna"]
    axis = np.arange(BOX) - BOX // 2
    centre = [(kept[0].volume.sum(axis=tuple({0, 1, 2} - {a})) * axis).sum() / kept[0].volume.sum() for a in range(3)]
    np.testing.assert_allclose(centre, 0, atol=0.1)


@pytest.mark.parametrize(("size", "voxel"), [(40, PIXEL), (24, PIXEL), (64, PIXEL / 2)])
def test_a_map_of_another_size_keeps_its_centre_and_its_scale(tmp_path: Path, size: int, voxel: float) -> None:
    write_map(tmp_path / "a.mrc", blobs(64, width=2.2 * PIXEL / voxel)[_middle(64, size)], voxel)
    volume = read_states(tmp_path / "a.mrc", BOX, PIXEL, (), (), 0.0)[0].volume
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    rng = np.random.default_rng(0)
    centres, weights = rng.normal(scale=64 / 14, size=(10, 3)) * voxel / PIXEL, rng.uniform(0.5, 2, 10)
    expected = sum(
        w * np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / (2 * 2.2**2))
        for w, (a, b, c) in zip(weights, centres, strict=True)
    )
    inner = _middle(BOX, 16)
    np.testing.assert_allclose(volume[inner], expected[inner], atol=0.02 * expected.max())


def _middle(box: int, size: int) -> tuple[slice, ...]:
    return (slice(box // 2 - size // 2, box // 2 - size // 2 + size),) * 3


def refused(source: Path, text: str, **more: Any) -> None:
    with pytest.raises(InputError, match=text):
        run(source, **more)
    assert not (source.parent / "sim").exists()
    assert not list(source.parent.glob(".sim.*.partial"))


def test_refuses_sources_that_are_none(volume: Path, tmp_path: Path) -> None:
    refused(tmp_path / "absent.cif", "absent.cif: no such file; expected an atomic model")
    (tmp_path / "text.cif").write_text("no structure\n")
    refused(tmp_path / "text.cif", "text.cif: not a structure that gemmi reads")
    (tmp_path / "empty.pdb").write_text("END\n")
    refused(tmp_path / "empty.pdb", "empty.pdb: no atoms inside")
    refused(volume, "a map has no chains", leave_out=("A",))
    write_map(tmp_path / "bare.mrc", blobs(), 0.0)
    refused(tmp_path / "bare.mrc", "bare.mrc: the header gives no voxel size")


def test_refuses_chains_that_are_not_there(tmp_path: Path) -> None:
    model = write_model(tmp_path / "rna.cif")
    refused(model, r"rna: no chain matches 'Z\*'; its chains are A, B, C1, C2", leave_out=("A,Z*",))
    refused(model, "no chain matches 'Q'", keep_chains=("Q",))
    refused(model, "no atom is left", leave_out=("A,B,C*",))
    refused(model, "the model reaches .* pass a larger box", pixel_size=1.0)


def test_refuses_tables_that_say_too_little(volume: Path, tmp_path: Path) -> None:
    refused(volume, r"none.csv: no such file; expected a CSV with defocus_u", ctf=tmp_path / "none.csv")
    ctf_table(tmp_path / "ctf.csv")
    table = pd.read_csv(tmp_path / "ctf.csv")
    table.drop(columns=["cs_mm", "voltage_kv"]).to_csv(tmp_path / "less.csv", index=False)
    refused(volume, "less.csv: .*voltage_kv, cs_mm", ctf=tmp_path / "less.csv")
    table.iloc[:0].to_csv(tmp_path / "rows.csv", index=False)
    refused(volume, "rows.csv: 0 rows", ctf=tmp_path / "rows.csv")
    (tmp_path / "noise.csv").write_text("a,b\n1,2\n")
    refused(volume, "noise.csv: columns a, b; expected frequency_per_angstrom", noise_like=tmp_path / "noise.csv")
    (tmp_path / "falls.csv").write_text("frequency_per_angstrom,power\n0.1,1\n0.05,1\n")
    refused(volume, "falls.csv: 2 rows; expected at least 2 rows with increasing", noise_like=tmp_path / "falls.csv")
    refused(volume, "absent.csv: no such file", noise_like=tmp_path / "absent.csv")
    refused(volume, "absent.star: no such file", noise_like=tmp_path / "absent.star")


def test_refuses_ctf_values_that_are_no_numbers(volume: Path, tmp_path: Path) -> None:
    table = pd.read_csv(ctf_table(tmp_path / "ctf.csv"))
    table.loc[3, "defocus_u_angstrom"] = np.nan
    table.to_csv(tmp_path / "nan.csv", index=False)
    refused(volume, "nan.csv: row 4 has defocus_u_angstrom nan; expected a number", ctf=tmp_path / "nan.csv")


def test_an_output_in_use_is_left_alone_unless_replaced(volume: Path) -> None:
    folder = run(volume)
    with pytest.raises(InputError, match="in use"):
        run(volume, n=3)
    assert len(stack(folder)) == 24
    run(volume, n=3, overwrite=True)
    assert len(stack(folder)) == 3


def test_the_command_line_leaves_with_2_and_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["simulate", str(tmp_path / "absent.cif"), "-o", str(tmp_path / "sim"), "--n", "3"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert f"error: {tmp_path / 'absent.cif'}: no such file" in said
    assert "Traceback" not in said


def test_an_output_that_holds_what_is_read_is_refused_with_overwrite_too(volume: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(4, BOX, BOX)).astype(np.float32)
    (tmp_path / "real").mkdir()
    write_stack(tmp_path / "real" / "real.mrcs", images, PIXEL)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@real/real.mrcs" for i in range(4)], "rlnOpticsGroup": 1})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [BOX]})
    write_star(tmp_path / "real.star", table, optics)
    with pytest.raises(InputError, match="which this run reads"):
        simulate.run(simulate.Options(structures=(volume,), output=tmp_path, overwrite=True))
    with pytest.raises(InputError, match=r"real\.mrcs, which this run reads"):
        run(volume, "real", noise_like=tmp_path / "real.star", overwrite=True)
    assert volume.is_file()
