"""Foreign programs: found, run, logged, told apart when they fail; and RELION itself, where it is installed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.external import PROGRAMS, Program
from cryoprior.external.program import tail
from cryoprior.external.relion import (
    RELION,
    postprocess,
    read_poses,
    readable_star,
    reconstruct,
    relion_version,
    write_particles,
)
from cryoprior.external.relion_optics import phase_flipped
from cryoprior.io import read_map, read_particles, read_star, write_stack, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.io.mrc import read_header
from kit.projected_views import draw_blobs, draw_views, project_views

BOX, PIXEL = 32, 6.0
VOLUME = draw_blobs(BOX, seed=0)
PYTHON = Program("Python", Path(sys.executable).name, "put it on the PATH")


@pytest.fixture
def _python_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def particle_tables(n: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables of n particles with random poses, defocus and half-sets."""
    table, optics = draw_views(np.random.default_rng(seed), "stack.mrcs", n, BOX, PIXEL)
    table["rlnRandomSubset"] = np.arange(n) % 2 + 1
    return table, optics


def write_set(folder: Path, n: int, noise: float = 0.0, seed: int = 0) -> Path:
    """Return the star file of n projections of the blobs without a CTF, each with its pose."""
    table, optics = particle_tables(n, seed)
    images = project_views(VOLUME, table, optics, ctf=False)
    images = images + noise * np.random.default_rng(seed).normal(size=images.shape)
    folder.mkdir(parents=True, exist_ok=True)
    write_stack(folder / "stack.mrcs", images.astype(np.float32), PIXEL)
    write_star(folder / "set.star", table, optics)
    return folder / "set.star"


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_an_absent_program_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert RELION.path is None
    for ask in (relion_version, RELION.find, lambda: reconstruct(tmp_path / "a.star", tmp_path / "a.mrc")):
        with pytest.raises(InputError, match=r"RELION: no relion_\w+ on the PATH; .*apt-get install relion"):
            ask()
    assert PROGRAMS["relion"] is RELION


@pytest.mark.usefixtures("_python_on_path")
def test_what_a_program_prints_is_kept_with_its_command_line(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "run.log"
    script = "import os, sys; print(os.getcwd(), os.environ['WORD']); print('hidden', file=sys.stderr)"
    for word in ("one", "two"):
        PYTHON.run([PYTHON.executable, "-c", script], folder=tmp_path, log=log, environment={"WORD": word})
    text = log.read_text()
    assert text.count("$ ") == text.splitlines().count("hidden") == 2
    assert f"{tmp_path} one" in text
    assert f"{tmp_path} two" in text


@pytest.mark.usefixtures("_python_on_path")
def test_a_failure_ends_with_the_end_of_the_log(tmp_path: Path) -> None:
    script = "import sys; [print('line', i) for i in range(40)]; print('0 %\\r50 %\\r99 %'); sys.exit('it broke')"
    with pytest.raises(InputError, match=r"(?s)failed \(1\); its log is .*run\.log.*line 39\n99 %\nit broke") as caught:
        PYTHON.run([PYTHON.executable, "-c", script], folder=tmp_path, log=tmp_path / "run.log")
    assert "line 20\n" not in str(caught.value)
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(InputError, match="was killed by signal 9"):
        PYTHON.run([PYTHON.executable, "-c", killed], folder=tmp_path, log=tmp_path / "run.log")


def test_the_tail_of_an_empty_log_is_empty(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_bytes(b"")
    assert not tail(tmp_path / "run.log")


def test_particles_are_written_as_relion_reads_them_with_or_without_their_poses(tmp_path: Path) -> None:
    star = write_set(tmp_path / "set", 5)
    particles = read_particles(star).subset([4, 0, 2])
    with_poses = write_particles(particles, tmp_path / "a", change=lambda images: -2 * images)
    written, tables = read_particles(with_poses), read_star(with_poses)
    np.testing.assert_allclose(written.read(slice(None)), -2 * particles.read(slice(None)), rtol=1e-6)
    for mine, other in zip(written.poses(), particles.poses(), strict=True):
        np.testing.assert_array_equal(mine, other)
    for name, values in particles.ctf_parameters().items():
        np.testing.assert_array_equal(written.ctf_parameters()[name], values)
    assert tables["particles"]["rlnRandomSubset"].tolist() == [1, 1, 1]
    blind = read_star(write_particles(particles, tmp_path / "b", poses=False))["particles"]
    assert not [name for name in blind if "Angle" in name.replace("DefocusAngle", "") or "Origin" in name]
    assert "rlnRandomSubset" not in blind


def test_only_what_relion_cannot_read_is_written_again(tmp_path: Path) -> None:
    star = write_set(tmp_path / "set", 4)
    assert readable_star(star, tmp_path / "copy") == star
    images = read_particles(star).read(slice(None))
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(star, half / "set.star")
    with mrcfile.new(half / "stack.mrcs") as mrc:
        mrc.set_data(images.astype(np.float16))
        mrc.set_image_stack()
    copy = readable_star(half / "set.star", tmp_path / "copy")
    assert copy.parent == tmp_path / "copy"
    assert read_header(copy.with_name("particles.mrcs")).dtype == np.float32
    below = tmp_path / "set" / "deeper"
    below.mkdir()
    shutil.copy(star, below / "set.star")  # found by us in the folder above, by RELION nowhere
    assert readable_star(below / "set.star", tmp_path / "other").parent == tmp_path / "other"


def test_two_pixel_sizes_are_refused(tmp_path: Path) -> None:
    star = write_set(tmp_path, 4)
    table, optics = particle_tables(4)
    table.loc[2:, "rlnOpticsGroup"] = 2
    second = optics.assign(rlnOpticsGroup=2, rlnImagePixelSize=PIXEL * 1.1)
    write_star(star, table, pd.concat([optics, second], ignore_index=True))
    with pytest.raises(InputError, match=r"pixel sizes 6\.0000, 6\.6000 A"):
        write_particles(read_particles(star), tmp_path / "out")


def test_poses_are_read_in_the_order_of_the_images_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    table, optics = particle_tables(6)
    table["rlnMaxValueProbDistribution"] = np.arange(6) / 6
    write_star(tmp_path / "data.star", table.iloc[[3, 5, 0, 1, 4, 2]], optics)
    found = read_poses(tmp_path / "data.star", 6)
    np.testing.assert_array_equal(found.euler_deg, table[list(ANGLES)])
    np.testing.assert_array_equal(found.origin_angstrom, table[list(ORIGINS)])
    np.testing.assert_array_equal(found.probability, np.arange(6) / 6)
    with pytest.raises(InputError, match="6 particles; expected each of 7 once"):
        read_poses(tmp_path / "data.star", 7)
    write_star(tmp_path / "data.star", table.drop(columns="rlnAngleTilt"), optics)
    with pytest.raises(InputError, match="no column rlnAngleTilt"):
        read_poses(tmp_path / "data.star", 6)


@pytest.mark.external
def test_relion_reconstructs_half_maps_and_finds_their_resolution(tmp_path: Path) -> None:
    if RELION.path is None:
        pytest.skip("no relion_refine on the PATH")
    assert int(relion_version().split(".")[0]) >= 3
    star = write_set(tmp_path / "set", 300, noise=0.5)
    maps = [reconstruct(star, tmp_path / f"half{half}.mrc", ctf=False, half=half) for half in (1, 2)]
    whole = reconstruct(star, tmp_path / "whole.mrc", ctf=False)
    volumes = [read_map(path)[0] for path in (*maps, whole)]
    assert read_map(whole)[1] == pytest.approx(PIXEL)
    assert correlation(volumes[2], VOLUME) > max(correlation(v, VOLUME) for v in volumes[:2]) > 0.8
    assert not np.array_equal(volumes[0], volumes[1])
    slope = float((volumes[2] * VOLUME).sum() / np.square(VOLUME).sum())
    assert slope == pytest.approx(1, abs=0.15)  # grey values of projections are sums along the beam
    found = postprocess(*maps, tmp_path / "post")
    assert 2 * PIXEL <= found.resolution_angstrom < 60
    assert len(found.curves) == BOX // 2 + 1
    assert found.map.is_file()
    assert (tmp_path / "post" / "run.log").stat().st_size > 0


@pytest.mark.external
def test_relion_says_why_it_fails(tmp_path: Path) -> None:
    if RELION.path is None:
        pytest.skip("no relion_refine on the PATH")
    star = write_set(tmp_path, 4)
    with pytest.raises(InputError, match=r"(?s)relion_reconstruct .*; its log is .*no\.log.*X9"):
        reconstruct(star, tmp_path / "no.mrc", symmetry="X9")
    assert not (tmp_path / "no.mrc").exists()


def treated(flag: str, folder: Path, values: object = 1) -> Path:
    star = write_set(folder, 6)
    tables = read_star(star)
    write_star(star, tables["particles"].assign(**{flag: values}), tables["optics"])
    return star


def test_what_relion_takes_from_the_optics_is_written_there(tmp_path: Path) -> None:
    star = write_set(tmp_path / "set", 6)
    tables = read_star(star)
    more = {"rlnBeamTiltX": [0.1, 0.1, 0.2, 0.2, 0.1, 0.1], "rlnCtfBfactor": [1.0, 2, 3, 4, 5, 6]}
    optics = tables["optics"].assign(rlnEvenZernike="[0,1,2]", rlnMagMat00=1.01, rlnMagMat01=0.0)
    optics = optics.assign(rlnMagMat10=0.0, rlnMagMat11=0.99, rlnPhaseShift=30.0)
    write_star(star, tables["particles"].assign(**more), optics)
    particles = read_particles(star)
    written = write_particles(particles, tmp_path / "out")
    blocks = read_star(written)
    assert blocks["optics"]["rlnBeamTiltX"].tolist() == [0.1, 0.2]
    assert blocks["particles"]["rlnOpticsGroup"].tolist() == [1, 1, 2, 2, 1, 1]
    assert blocks["particles"]["rlnCtfBfactor"].tolist() == more["rlnCtfBfactor"]
    assert blocks["particles"]["rlnPhaseShift"].tolist() == [30.0] * 6
    again = read_particles(written).ctf_parameters()
    for name, values in particles.ctf_parameters().items():
        np.testing.assert_array_equal(again[name], values)


def test_relion_is_told_that_images_were_phase_flipped(tmp_path: Path) -> None:
    assert phase_flipped(treated("rlnCtfDataArePhaseFlipped", tmp_path / "all"))
    assert not phase_flipped(treated("rlnCtfDataArePhaseFlipped", tmp_path / "none", 0))
    assert not phase_flipped(write_set(tmp_path / "plain", 6))
    some = treated("rlnCtfDataArePhaseFlipped", tmp_path / "some", [1, 0, 0, 1, 0, 0])
    with pytest.raises(
        InputError, match="rlnCtfDataArePhaseFlipped 1 for 2 of 6 particles; RELION is told once for all"
    ):
        phase_flipped(some)
