"""RELION's own programs read what cryoSPARC's aberrations become: the phases are those that the conversion states."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.io import read_map, read_particles, read_star, write_map, write_stack, write_star
from cryoprior.io.cryosparc.aberrations import relion_aberrations, wavelength
from kit.cryosparc_rows import optics_row

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(shutil.which("relion_project") is None, reason="RELION is not installed"),
]
D, VOXEL, N, KV, CS = 64, 1.5, 60, 300.0, 2.7
DEFOCUS, ANGLE, CONTRAST = (8000.0, 7500.0), 30.0, 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a map of blobs and RELION's projections of it, with the plain CTF."""
    path = tmp_path_factory.mktemp("relion")
    rng = np.random.default_rng(0)
    axis = (np.arange(D) - D // 2) * VOXEL
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    places = rng.uniform(-18, 18, (12, 3))
    body = sum(np.exp(-((z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2) / 18) for c in places)
    write_map(path / "truth.mrc", body, VOXEL)
    project(path, "plain", {})
    return path


def star(path: Path, stack: str, columns: dict[str, object]) -> Path:
    rng = np.random.default_rng(1)
    turns = [rng.uniform(-180, 180, N), np.degrees(np.arccos(rng.uniform(-1, 1, N))), rng.uniform(-180, 180, N)]
    table = pd.DataFrame(dict(zip(("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"), turns, strict=True)))
    names = [f"{i + 1:06d}@{stack}" for i in range(N)]
    table = table.assign(rlnImageName=names, rlnOriginXAngst=0.0, rlnOriginYAngst=0.0, rlnOpticsGroup=1)
    table = table.assign(rlnDefocusU=DEFOCUS[0], rlnDefocusV=DEFOCUS[1], rlnDefocusAngle=ANGLE)
    optics = {"rlnOpticsGroup": 1, "rlnOpticsGroupName": "a", "rlnVoltage": KV, "rlnSphericalAberration": CS}
    optics |= {"rlnAmplitudeContrast": CONTRAST, "rlnImagePixelSize": VOXEL, "rlnImageSize": D}
    write_star(path, table, pd.DataFrame([optics | {"rlnImageDimensionality": 2} | columns]))
    return path


def run(folder: Path, *words: object) -> None:
    done = subprocess.run([*map(str, words)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def project(folder: Path, name: str, columns: dict[str, object]) -> np.ndarray:
    """Return RELION's projections, with the CTF that the columns of the optics group ask for."""
    star(folder / f"{name}_in.star", f"{name}.mrcs", columns)
    words = ["--i", "truth.mrc", "--ang", f"{name}_in.star", "--o", name, "--ctf", "--angpix", VOXEL]
    run(folder, "relion_project", *words)
    return read_particles(folder / f"{name}.mrcs").read().astype(np.float64)


def reconstruct(folder: Path, stack: str, name: str, columns: dict[str, object]) -> np.ndarray:
    star(folder / f"{name}.star", stack, columns)
    run(folder, "relion_reconstruct", "--i", f"{name}.star", "--o", f"{name}.mrc", "--ctf", "--angpix", VOXEL)
    return read_map(folder / f"{name}.mrc")[0]


def frequencies() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return kx, ky and the length of the frequencies of an image in 1/angstrom, and their angle from x to y."""
    kx, ky = np.meshgrid(np.fft.fftfreq(D, VOXEL), np.fft.fftfreq(D, VOXEL))
    return kx, ky, np.hypot(kx, ky), np.arctan2(ky, kx)


def converted(**columns: tuple[float, ...]) -> dict[str, object]:
    return {name: values[0] for name, values in relion_aberrations(optics_row(KV, CS, **columns)).items()}


def test_tetrafoil_is_in_the_ctf_that_relion_applies(folder: Path) -> None:
    tetra = (4e7, -3e7, 5e7, 6e7)
    _, _, k, t = frequencies()
    length = float(wavelength(np.array([KV]))[0])
    defocus = (sum(DEFOCUS) + (DEFOCUS[0] - DEFOCUS[1]) * np.cos(2 * (t - np.radians(ANGLE)))) / 2
    gamma = -np.pi * length * defocus * k**2 + np.pi / 2 * CS * 1e7 * length**3 * k**4 - np.arcsin(CONTRAST)
    more = 2 * np.pi * (tetra[0] * np.cos(2 * t) + tetra[1] * np.sin(2 * t))
    more = (more + np.pi / 2 * (tetra[2] * np.cos(4 * t) + tetra[3] * np.sin(4 * t))) * length**3 * k**4
    before = np.fft.fft2(project(folder, "plain", {}))
    after = np.fft.fft2(project(folder, "tetra", converted(tetra=tetra)))
    strong = (np.abs(np.sin(gamma)) > 0.3) & (k > 0.02) & (k < 0.3)
    strong &= np.abs(before).min(0) > 1e-4 * np.abs(before).max()
    ratio = (after / before).real[:, strong]
    expected = (np.sin(gamma + more) / np.sin(gamma))[strong]
    assert np.abs(expected - 1).mean() > 0.3  # it is no small thing
    np.testing.assert_allclose(ratio, np.broadcast_to(expected, ratio.shape), atol=1e-3)


def test_coma_as_beam_tilt_and_as_zernike_is_one_to_relion(folder: Path) -> None:
    kx, ky, k, _ = frequencies()
    length, tilt = float(wavelength(np.array([KV]))[0]), (81000.0, -54000.0)
    phase = -2 * np.pi * length**2 * k**2 * (tilt[0] * kx + tilt[1] * ky)  # what the conversion states
    images = np.fft.ifft2(np.fft.fft2(project(folder, "plain", {})) * np.exp(1j * phase)).real
    write_stack(folder / "coma.mrcs", images.astype(np.float32), VOXEL)
    tilted = converted(tilt=tilt)
    zernike = {"rlnOddZernike": relion_aberrations(optics_row(KV, 0.0, tilt=tilt))["rlnOddZernike"][0]}
    assert "rlnOddZernike" not in tilted
    truth = read_map(folder / "truth.mrc")[0]
    maps = {
        "tilted": reconstruct(folder, "coma.mrcs", "tilted", tilted),
        "zernike": reconstruct(folder, "coma.mrcs", "zernike", zernike),
        "ignored": reconstruct(folder, "coma.mrcs", "ignored", {}),
        "other sign": reconstruct(folder, "coma.mrcs", "other", converted(tilt=(-tilt[0], -tilt[1]))),
        "no coma": reconstruct(folder, "plain.mrcs", "none", {}),
    }
    np.testing.assert_allclose(maps["tilted"], maps["zernike"], atol=1e-6 * np.abs(truth).max())
    score = {name: float(np.corrcoef(volume.ravel(), truth.ravel())[0, 1]) for name, volume in maps.items()}
    assert score["other sign"] < score["ignored"] < score["tilted"]
    assert score["tilted"] == pytest.approx(score["no coma"], abs=2e-4)


def test_trefoil_is_undone_by_relion(folder: Path) -> None:
    _, _, k, t = frequencies()
    length, trefoil = float(wavelength(np.array([KV]))[0]), (400000.0, 250000.0)
    phase = -2 * np.pi / 3 * length**2 * k**3 * (trefoil[0] * np.cos(3 * t) + trefoil[1] * np.sin(3 * t))
    images = np.fft.ifft2(np.fft.fft2(project(folder, "plain", {})) * np.exp(1j * phase)).real
    write_stack(folder / "trefoil.mrcs", images.astype(np.float32), VOXEL)
    truth = read_map(folder / "truth.mrc")[0]
    maps = [
        reconstruct(folder, "trefoil.mrcs", "honoured", converted(trefoil=trefoil)),
        reconstruct(folder, "trefoil.mrcs", "forgotten", {}),
        reconstruct(folder, "plain.mrcs", "none", {}),
    ]
    honoured, forgotten, none = (float(np.corrcoef(volume.ravel(), truth.ravel())[0, 1]) for volume in maps)
    assert forgotten < none - 1e-3
    assert honoured == pytest.approx(none, abs=2e-4)


def test_columns_of_cryosparc_pass_through_relion(folder: Path) -> None:
    label = "cryosparc:ctf/shift_A:f4x2"
    plain, carried = project(folder, "plain", {}), project(folder, "carried", {label: "[0.0,0.0]"})
    np.testing.assert_array_equal(plain, carried)
    assert label in read_star(folder / "carried.star")["optics"].columns
