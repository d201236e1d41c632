"""Particles are simulated with every optical column that RELION knows, and their star file says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.ctf import ctf_image
from cryoprior.image.spectrum import frequency_radius
from cryoprior.io import read_particles, read_star, write_map
from cryoprior.simulation import command, read_ctf_table, simulate
from kit.projected_views import draw_blobs

BOX, PIXEL, N = 32, 5.0, 12
EVEN = "[0.3,5,-7,9,100,-200,150,80,50]"
OPTICS = {
    "rlnCtfBfactor": np.linspace(0, 400, N),
    "rlnCtfScalefactor": np.linspace(0.4, 1, N),
    "rlnEvenZernike": [EVEN, "[]"] * (N // 2),
    "rlnBeamTiltX": [0.8, -0.8] * (N // 2),
    "rlnBeamTiltY": 0.2,
    "rlnMagMat00": 1.03,
    "rlnMagMat01": 0.01,
    "rlnMagMat10": -0.02,
    "rlnMagMat11": 0.96,
}


def run(folder: Path, name: str, **columns: Any) -> Path:
    write_map(folder / "blobs.mrc", draw_blobs(BOX, 0), PIXEL)
    table = read_ctf_table(None).iloc[:N].assign(**columns)
    table.to_csv(folder / f"{name}.csv", index=False)
    given: dict[str, Any] = {"n": 20, "box": BOX, "pixel_size": PIXEL, "snr": 2.0, "ctf": folder / f"{name}.csv"}
    command.run(command.Options(structures=(folder / "blobs.mrc",), output=folder / name, **given))
    return folder / name


def transforms(folder: Path, kind: str = "clean") -> np.ndarray:
    return np.fft.rfft2(read_particles(folder / f"{kind}.star").read().astype(np.float64))


def test_the_star_file_holds_them_where_relion_looks(tmp_path: Path) -> None:
    blocks = read_star(run(tmp_path, "sim", **OPTICS) / "particles.star")
    by_particle = {"rlnCtfBfactor", "rlnCtfScalefactor"}
    assert by_particle <= set(blocks["particles"].columns)
    assert set(OPTICS) - by_particle <= set(blocks["optics"].columns)
    assert len(blocks["optics"]) == 2
    assert sorted(blocks["optics"]["rlnEvenZernike"]) == sorted([EVEN, "[]"])
    drawn = blocks["particles"].merge(blocks["optics"], on="rlnOpticsGroup")
    for row in drawn.itertuples():
        source = int(np.argmin(np.abs(OPTICS["rlnCtfBfactor"] - row.rlnCtfBfactor)))
        assert row.rlnCtfScalefactor == pytest.approx(OPTICS["rlnCtfScalefactor"][source])
        assert row.rlnBeamTiltX == OPTICS["rlnBeamTiltX"][source]


@pytest.mark.external
def test_images_are_those_of_relion_project(tmp_path: Path) -> None:
    """It honours B-factor, scale, even Zernike terms and phase shift, the rest only where maps are made."""
    if shutil.which("relion_project") is None:
        pytest.skip("no relion_project on PATH; install RELION to compare with it")
    honoured = {name: OPTICS[name] for name in ("rlnCtfBfactor", "rlnCtfScalefactor", "rlnEvenZernike")}
    folder = run(tmp_path, "sim", **honoured, phase_shift_deg=np.linspace(0, 120, N))
    words = ["--i", "maps/blobs.mrc", "--o", "relion", "--ang", "clean.star", "--ctf", "--angpix", str(PIXEL)]
    subprocess.run(["relion_project", *words], cwd=folder, check=True, capture_output=True)
    theirs = read_particles(folder / "relion.mrcs", pixel_size=PIXEL).read()
    ours = read_particles(folder / "clean.star").read()
    found = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(ours, theirs, strict=True)]
    assert min(found) > 0.9999
    assert ours.std() / theirs.std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("flag", ["rlnCtfDataAreCtfPremultiplied", "rlnCtfDataArePhaseFlipped"])
def test_treated_particles_are_plain_ones_times_their_ctf_or_its_sign(flag: str, tmp_path: Path) -> None:
    plain, treated = run(tmp_path, "plain"), run(tmp_path, "treated", **{flag: 1})
    assert read_particles(treated / "particles.star").optics[flag].tolist() == [1]
    parameters = read_particles(plain / "particles.star").ctf_parameters() or {}
    tensors = {name: torch.from_numpy(np.array(values)) for name, values in parameters.items()}
    ctf = ctf_image(tensors, torch.full((20,), PIXEL), BOX).numpy()
    factor = ctf if flag == "rlnCtfDataAreCtfPremultiplied" else np.sign(ctf)
    inside = (frequency_radius(BOX).numpy() < 0.49) & (np.abs(ctf) > 0.01)
    for kind in ("clean", "particles"):
        expected = transforms(plain, kind) * factor
        error = np.abs(transforms(treated, kind) - expected)[inside]
        assert error.max() < 1e-4 * np.abs(expected).max()


def test_in_memory_as_from_files(tmp_path: Path) -> None:
    folder = run(tmp_path, "sim", **OPTICS)
    stack = read_particles(folder / "clean.star")
    table = read_ctf_table(folder.parent / "sim.csv")
    particles = simulate(draw_blobs(BOX, 0), n=20, pixel_size=PIXEL, snr=2.0, ctf=table)
    np.testing.assert_allclose(particles.clean.numpy(), stack.read(), atol=1e-4 * float(particles.clean.std()))
    for name, values in (stack.ctf_parameters() or {}).items():
        np.testing.assert_allclose(particles.ctf[name], values, rtol=1e-6, atol=1e-9)
    again = simulate(draw_blobs(BOX, 0), n=20, pixel_size=PIXEL, snr=2.0, ctf=particles.ctf)
    assert set(again.ctf) == set(particles.ctf)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"b_factor": 10.0}, r"sim\.csv: column b_factor is none that changes an image; expected of .*remove it"),
        ({"rlnCtfBfactor": "high"}, r"sim\.csv: particle 1 has rlnCtfBfactor high; expected a number"),
        ({"rlnOddZernike": "1;2"}, r"particle 1 has rlnOddZernike 1;2; expected \[a,b,...\]"),
    ],
)
def test_what_is_no_column_is_refused(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run(tmp_path, "sim", **columns)


def test_a_table_of_data_frame_columns_and_of_arrays_is_one() -> None:
    table = read_ctf_table(None).iloc[:2]
    arrays = {"odd_zernike": np.array([[0, 0, 1.0], [0, 0, 2.0]]), "premultiplied": np.array([True, False])}
    particles = simulate(draw_blobs(BOX, 0), n=6, pixel_size=PIXEL, ctf={**dict(table), **arrays})
    assert set(np.unique(particles.ctf["odd_zernike"][:, 2])) == {1.0, 2.0}
