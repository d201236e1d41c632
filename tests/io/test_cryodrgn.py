from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.io import read_particles, read_pickle, write_stack
from cryoprior.io.euler import euler_of_matrix
from kit.stacks import BOX, N, draw_images, write_text


def dump(path: Path, value: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def relion_matrix(rot: float, tilt: float, psi: float) -> np.ndarray:
    """Return RELION's matrix of Euler angles, which is cryoDRGN's, written out from the definition of its manual."""
    a, b, c = np.radians([rot, tilt, psi])
    about_z = lambda t: np.array([[np.cos(t), np.sin(t), 0], [-np.sin(t), np.cos(t), 0], [0, 0, 1]])  # noqa: E731
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    return about_z(c) @ about_y @ about_z(a)


def ctf_rows(box: int = 2 * BOX) -> np.ndarray:
    row = [box, 0.75, 15000, 14000, 30, 300, 2.7, 0.1, 5]
    return np.tile(row, (N, 1)).astype(np.float32)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_stack_with_pickles(tmp_path: Path, protocol: int) -> None:
    images = draw_images()
    write_stack(tmp_path / "a.mrcs", images, 9.0)
    angles = np.random.default_rng(0).uniform([-180, 1, -180], [180, 179, 180], (N, 3))
    matrices = np.stack([relion_matrix(*row) for row in angles])
    shifts = np.random.default_rng(1).normal(size=(N, 2)) / BOX
    poses = dump(tmp_path / "poses.pkl", (matrices, shifts), protocol)
    ctf = dump(tmp_path / "ctf.pkl", ctf_rows(), protocol)
    ind = dump(tmp_path / "ind.pkl", np.array([4, 1]), protocol)
    stack = read_particles(tmp_path / "a.mrcs", poses=poses, ctf=ctf, ind=ind)
    np.testing.assert_array_equal(stack.read(slice(None)), images[[4, 1]])
    np.testing.assert_allclose(stack.pixel_size, 1.5)
    found, origin = stack.poses() or (None, None)
    np.testing.assert_allclose(found, angles[[4, 1]], atol=1e-6)
    np.testing.assert_allclose(origin, shifts[[4, 1]] * BOX * 1.5)
    np.testing.assert_array_equal(stack.index, [4, 1])
    values = stack.ctf_parameters()
    assert values is not None
    assert {name: float(v[0]) for name, v in values.items()} == pytest.approx(
        {
            "defocus_u_angstrom": 15000,
            "defocus_v_angstrom": 14000,
            "defocus_angle_deg": 30,
            "voltage_kv": 300,
            "cs_mm": 2.7,
            "amplitude_contrast": 0.1,
            "phase_shift_deg": 5,
        }
    )


def test_the_matrix_is_the_transpose_of_ours() -> None:
    ours = Rotation.from_euler("ZYZ", [10, 20, 30], degrees=True).as_matrix()
    np.testing.assert_allclose(relion_matrix(10, 20, 30), ours.T, atol=1e-12)


def test_views_along_the_axis_warn_of_nothing() -> None:
    found = euler_of_matrix(Rotation.from_euler("ZYZ", [[10, 0, 30]], degrees=True).as_matrix())
    assert found[0, 0] + found[0, 2] == pytest.approx(40)


def test_list_of_stacks(tmp_path: Path) -> None:
    images = draw_images()
    (tmp_path / "far").mkdir()
    write_stack(tmp_path / "a.mrcs", images[:3], 2.0)
    write_stack(tmp_path / "far" / "b.mrcs", images[3:], 2.0)
    stack = read_particles(write_text(tmp_path / "all.txt", "a.mrcs\nfar/b.mrcs\n"))
    np.testing.assert_array_equal(stack.read(slice(None)), images)
    keep = dump(tmp_path / "ind.pkl", np.arange(N) > 4)
    np.testing.assert_array_equal(read_particles(tmp_path / "all.txt", ind=keep).index, [5, 6])


def test_a_pickle_runs_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    path = dump(tmp_path / "a.pkl", Evil())
    with pytest.raises(InputError, match=r"not a pickle of numpy arrays: it names .*mkdir, which is no numpy array"):
        read_pickle(path)
    assert not (tmp_path / "ran").exists()


def test_bad_pickles_are_refused(tmp_path: Path) -> None:
    write_stack(tmp_path / "a.mrcs", draw_images(), 9.0)
    path = tmp_path / "a.mrcs"
    with pytest.raises(InputError, match=r"no such file; expected a pickle of numpy arrays"):
        read_particles(path, ctf=tmp_path / "no.pkl")
    with pytest.raises(InputError, match=r"not a pickle of numpy arrays"):
        read_particles(path, ctf=write_text(tmp_path / "text.pkl", "hello"))
    with pytest.raises(InputError, match=r"ctf.pkl: \(6, 9\); expected \(7, 9\), one row per image of"):
        read_particles(path, ctf=dump(tmp_path / "ctf.pkl", ctf_rows()[:6]))
    with pytest.raises(InputError, match=r"rotations \(6, 3, 3\); expected \(7, 3, 3\)"):
        read_particles(path, poses=dump(tmp_path / "poses.pkl", (np.zeros((6, 3, 3)), np.zeros((6, 2)))))
    with pytest.raises(InputError, match=r"shifts \(6, 2\); expected \(7, 2\)"):
        read_particles(path, poses=dump(tmp_path / "poses.pkl", (np.tile(np.eye(3), (7, 1, 1)), np.zeros((6, 2)))))
    with pytest.raises(InputError, match=r"ind.pkl: expected indices from 0 to 6"):
        read_particles(path, ind=dump(tmp_path / "ind.pkl", np.array([7])))
    with pytest.raises(InputError, match=r"an array of Python objects; expected numbers"):
        read_pickle(dump(tmp_path / "o.pkl", np.array([None])))


def test_real_pickles(shared_data: Path) -> None:
    z = read_pickle(shared_data / "published" / "original_z.99.pkl")
    assert z.shape == (26380, 8)


@pytest.mark.parametrize(
    ("indices", "text"),
    [(np.array([0, 2, 2]), "names particle 2 more than once"), (np.zeros(5, bool), "expected indices from 0 to 4")],
)
def test_a_selection_names_every_particle_once(tmp_path: Path, indices: np.ndarray, text: str) -> None:
    write_stack(tmp_path / "a.mrcs", np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32), 2.0)
    with pytest.raises(InputError, match=rf"ind\.pkl: .*{text}"):
        read_particles(tmp_path / "a.mrcs", ind=dump(tmp_path / "ind.pkl", indices))
