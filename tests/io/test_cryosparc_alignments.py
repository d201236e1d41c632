"""Which alignment of a .cs file is a particle's pose: none from two dimensions, the best of several classes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.io import ParticleStack, read_particles, write_stack, write_star
from cryoprior.io.cryosparc.joining import structured
from cryoprior.io.cryosparc.writing import write_cryosparc
from kit.stacks import BOX, N, draw_images

RNG = np.random.default_rng(8)
CLASSES = 3
POSES = RNG.normal(size=(N, CLASSES, 3)).astype(np.float32)
SHIFTS = RNG.normal(size=(N, CLASSES, 2)).astype(np.float32)
POSTERIOR = RNG.dirichlet(np.ones(CLASSES), N).astype(np.float32)
BEST = POSTERIOR.argmax(1)


def saved(folder: Path, **columns: np.ndarray) -> Path:
    """Return a .cs file of N particles with these columns beside their images; __ stands for the stroke."""
    write_stack(folder / "a.mrcs", draw_images(), 1.5)
    images = {
        "uid": np.arange(10, 10 + N, dtype=np.uint64),
        "blob/path": np.array([b"a.mrcs"] * N),
        "blob/idx": np.arange(N, dtype=np.uint32),
        "blob/shape": np.full((N, 2), BOX, np.uint32),
        "blob/psize_A": np.full(N, 1.5, np.float32),
    }
    path = folder / "particles.cs"
    with path.open("wb") as file:
        np.save(file, structured({**images, **{name.replace("__", "/"): v for name, v in columns.items()}}))
    return path


def check_best(stack: ParticleStack, psize: float) -> None:
    angles, origins = stack.poses() or (np.zeros((N, 3)), np.zeros((N, 2)))
    turn = Rotation.from_euler("ZYZ", angles, degrees=True).inv() * Rotation.from_rotvec(POSES[np.arange(N), BEST])
    assert np.abs(turn.magnitude()).max() < 1e-6
    np.testing.assert_allclose(origins, SHIFTS[np.arange(N), BEST] * psize, rtol=1e-6)
    assert list(stack.table["rlnClassNumber"]) == list(BEST + 1)


def test_an_angle_in_the_plane_is_no_pose(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    angle, shift = RNG.normal(size=N).astype(np.float32), RNG.normal(size=(N, 2)).astype(np.float32)
    columns = {"alignments2D__pose": angle, "alignments2D__shift": shift, "alignments2D__class": BEST.astype(np.uint32)}
    path = saved(tmp_path, **columns, alignments2D__psize_A=np.full(N, 3, np.float32))
    with caplog.at_level(logging.WARNING, "cryoprior"):
        stack = read_particles(path)
    assert stack.poses() is None
    assert "aligned in two dimensions; the particles have no pose in three" in caplog.text
    np.testing.assert_allclose(stack.table["rlnAnglePsi"], np.degrees(angle), rtol=1e-6)
    np.testing.assert_allclose(stack.table["rlnOriginXAngst"], 3 * shift[:, 0], rtol=1e-6)
    assert list(stack.table["rlnClassNumber"]) == list(BEST + 1)


def test_the_best_of_several_classes_is_taken_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = saved(
        tmp_path,
        alignments3D_multi__pose=POSES,
        alignments3D_multi__shift=SHIFTS,
        alignments3D_multi__psize_A=np.full(N, 3, np.float32),
        alignments3D_multi__class_posterior=POSTERIOR,
        alignments3D_multi__class=np.tile(np.arange(CLASSES, dtype=np.uint32), (N, 1)),
    )
    with caplog.at_level(logging.INFO, "cryoprior"):
        stack = read_particles(path)
    assert "each particle has the pose of the best of its 3 classes in alignments3D_multi" in caplog.text
    check_best(stack, 3.0)


def by_class(*names: str) -> dict[str, np.ndarray]:
    values = {"pose": POSES, "shift": SHIFTS, "class_posterior": POSTERIOR}
    return {f"alignments_class_{k}__{name}": values[name][:, k] for k in range(CLASSES) for name in names}


def test_so_it_is_of_an_ab_initio_job_s_classes(tmp_path: Path) -> None:
    check_best(read_particles(saved(tmp_path, **by_class("pose", "shift", "class_posterior"))), 1.5)


def test_a_single_class_needs_no_posterior(tmp_path: Path) -> None:
    stack = read_particles(saved(tmp_path, alignments_class_0__pose=POSES[:, 0]))
    angles, _ = stack.poses() or (np.zeros((N, 3)), None)
    turn = Rotation.from_euler("ZYZ", angles, degrees=True).inv() * Rotation.from_rotvec(POSES[:, 0])
    assert np.abs(turn.magnitude()).max() < 1e-6
    assert set(stack.table["rlnClassNumber"]) == {1}


def test_several_without_posterior_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"poses in 3 classes \(alignments_class_0, .*\) without class_posterior"):
        read_particles(saved(tmp_path, **by_class("pose")))
    with pytest.raises(InputError, match=r"poses in 3 classes \(alignments3D_multi\) without class_posterior"):
        read_particles(saved(tmp_path, alignments3D_multi__pose=POSES))


def test_one_refinement_wins_over_classes(tmp_path: Path) -> None:
    stack = read_particles(saved(tmp_path, **by_class("pose", "class_posterior"), alignments3D__pose=POSES[:, 1]))
    angles, _ = stack.poses() or (np.zeros((N, 3)), None)
    turn = Rotation.from_euler("ZYZ", angles, degrees=True).inv() * Rotation.from_rotvec(POSES[:, 1])
    assert np.abs(turn.magnitude()).max() < 1e-6


@pytest.mark.parametrize("kind", ["multi", "classes", "plane"])
def test_all_of_them_come_back_from_a_star_file(tmp_path: Path, kind: str) -> None:
    columns = {
        "multi": {"alignments3D_multi__pose": POSES, "alignments3D_multi__class_posterior": POSTERIOR},
        "classes": by_class("pose", "class_posterior"),
        "plane": {"alignments2D__pose": POSES[:, 0, 0], "alignments2D__shift": SHIFTS[:, 0]},
    }[kind]
    path = saved(tmp_path, **columns)
    stack = read_particles(path)
    write_star(tmp_path / "a.star", stack.table, stack.optics)
    star = read_particles(tmp_path / "a.star")
    again = np.load(write_cryosparc(tmp_path / "again.cs", star.table, star.optics))
    rows = np.load(path)
    for name in rows.dtype.names or ():
        np.testing.assert_array_equal(again[name], rows[name], err_msg=name)


def test_shifts_of_unknown_pixels_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "cryoprior"):
        read_particles(saved(tmp_path, alignments3D__pose=POSES[:, 0], alignments3D__shift=SHIFTS[:, 0]))
    assert "shifts without psize_A; taken as pixels of the images" in caplog.text


def test_a_shift_by_the_optics_is_told_or_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shift = np.full((N, 2), 0.1, np.float32)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        read_particles(saved(tmp_path, ctf__shift_A=shift, ctf__something=np.ones(N, np.float32)))
    assert "ctf/shift_A of up to 0.1 A is kept, but not applied" in caplog.text
    assert "ctf/something: unknown, so kept, but not applied" in caplog.text
    with pytest.raises(InputError, match=r"ctf/shift_A of up to 1 A at 1\.5 A a pixel; expected at most 0\.25 pixel"):
        read_particles(saved(tmp_path, ctf__shift_A=10 * shift))


def test_damaged_and_other_formats_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, alignments3D__pose=POSES[:, 0])
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(InputError, match=r"truncated: \d+ bytes found, \d+ expected for 7 particles; copy it again"):
        read_particles(path)
    path.write_bytes(whole.replace(b"'shape': (7,)", b"'shape': (9" + b"9" * 8 + b",)", 1))
    with pytest.raises(InputError, match=r"truncated|not a cryoSPARC file"):
        read_particles(path)
    path.write_bytes(b"\x94CSDAT" + whole)
    with pytest.raises(InputError, match=r"cryoSPARC's compressed format; expected a numpy array"):
        read_particles(path)
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    path.write_bytes((tmp_path / "a.npz").read_bytes())
    with pytest.raises(InputError, match=r"not a cryoSPARC file: .*expected a structured numpy array"):
        read_particles(path)
    objects = np.array([({"a": 1},)], [("uid", object)])
    with path.open("wb") as file:
        np.save(file, objects, allow_pickle=True)
    with pytest.raises(InputError, match=r"columns of Python objects; expected numbers and texts"):
        read_particles(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"blob__idx": np.full(N, -1)}, r"blob/idx -1; expected whole numbers from 0"),
        ({"blob__idx": np.full(N, 0.5)}, r"blob/idx of type <f8, one a particle; expected whole numbers from 0, one"),
        ({"blob__shape": np.full(N, BOX)}, r"blob/shape of type <i8, one a particle; expected .*, 2 a particle"),
        ({"blob__psize_A": np.full(N, np.nan)}, r"particle 1 has blob/psize_A nan; expected finite numbers"),
        ({"blob__psize_A": np.full(N, 1e38)}, r"particle 1 has blob/psize_A 1e\+38; expected angstrom per pixel"),
        ({"alignments3D__pose": POSES[:, 0, :2]}, r"alignments3D/pose of type <f4, 2 a particle; expected numbers, 3"),
        ({"alignments3D__pose": np.where(np.eye(N, 3), np.inf, 0)}, r"particle 1 has alignments3D/pose \[inf"),
        ({"alignments_class_0__shift": SHIFTS[:, 0, :1]}, r"alignments_class_0/shift of type <f4, 1 a particle"),
        ({"ctf__df1_A": np.full(N, b"x")}, r"ctf/df1_A of type \|S1, one a particle; expected numbers"),
        ({"ctf__exp_group_id": np.full(N, np.nan)}, r"ctf/exp_group_id of type <f8"),
        ({"uid": np.full(N, 5, np.uint64)}, r"a uid stands in two rows; expected each once"),
    ],
)
def test_columns_that_are_not_what_cryosparc_writes_are_named(
    tmp_path: Path, columns: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_particles(saved(tmp_path, **columns))
