"""Every particle format reads as the star file of the same particles, and the check finds a reader that does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.io import FORMATS, read_particles, write_stack, write_star
from cryoprior.io.formats import Companions, Metadata, read_relion
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.testing import check_format
from kit.stacks import N, draw_images, draw_optics, draw_table


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Return a star file of particles of one pixel size, the images in two orders."""
    write_stack(tmp_path / "a.mrcs", draw_images(), 1.5)
    table = draw_table().assign(rlnOpticsGroup=1)
    write_star(tmp_path / "p.star", table, draw_optics().iloc[:1])
    return tmp_path / "p.star"


def write_cs(star: Path) -> Path:
    table = read_particles(star).table
    rotations = Rotation.from_euler("ZYZ", table[list(ANGLES)].to_numpy(float), degrees=True)
    columns = {
        "blob/path": np.array([b">a.mrcs"] * N),
        "blob/idx": np.arange(N, dtype=np.uint32),
        "blob/psize_A": np.full(N, 1.5),
        "alignments3D/pose": rotations.as_rotvec(),
        "alignments3D/shift": table[list(ORIGINS)].to_numpy(float) / 1.5,
        "alignments3D/psize_A": np.full(N, 1.5),
    }
    rows = np.empty(N, [(name, values.dtype, values.shape[1:]) for name, values in columns.items()])
    for name, values in columns.items():
        rows[name] = values
    path = star.with_suffix(".cs")
    with path.open("wb") as file:
        np.save(file, rows)
    return path


def write_list(star: Path) -> Path:
    path = star.with_suffix(".txt")
    path.write_text("a.mrcs\n")
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    ".star": lambda star: star,
    ".cs": write_cs,
    ".mrcs": lambda star: star.with_name("a.mrcs"),
    ".mrc": lambda star: Path(shutil.copy(star.with_name("a.mrcs"), star.with_name("b.mrc"))),
    ".txt": write_list,
}


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_is_under_the_laws(extension: str, star: Path) -> None:
    check_format(FILES[extension](star), star)


def changed(**columns: float) -> Callable[[Path, Companions], Metadata]:
    """Return a reader of star files that adds to columns."""

    def read(path: Path, companions: Companions) -> Metadata:
        metadata = read_relion(path, companions)
        table = metadata.table.assign(**{name: metadata.table[name] + by for name, by in columns.items()})
        return Metadata(table, metadata.optics)

    return read


def in_another_order(path: Path, companions: Companions) -> Metadata:
    metadata = read_relion(path, companions)
    return Metadata(metadata.table.iloc[::-1].reset_index(drop=True), metadata.optics)


def fewer(path: Path, companions: Companions) -> Metadata:
    metadata = read_relion(path, companions)
    return Metadata(metadata.table.iloc[1:].reset_index(drop=True), metadata.optics)


def of_another_size(path: Path, companions: Companions) -> Metadata:
    metadata = read_relion(path, companions)
    return Metadata(metadata.table, metadata.optics.assign(rlnImagePixelSize=1.6))


def crashing(path: Path, companions: Companions) -> Metadata:
    path.read_text()
    return read_relion(path, companions)


def mute(path: Path, companions: Companions) -> Metadata:
    if not path.is_file():
        raise InputError("no such file")
    return read_relion(path, companions)


BROKEN = [
    (fewer, "the same particles: n: found 6, expected 7"),
    (of_another_size, "the same particles: pixel size: found a difference of 0.1"),
    (in_another_order, "the same particles: images: found a difference of"),
    (changed(rlnAngleRot=0.1), "the same particles: rotations: found a difference of 0.1 degrees"),
    (changed(rlnOriginXAngst=0.1), "the same particles: origins: found a difference of 0.1"),
    (changed(rlnDefocusU=10), "the same particles: defocus_u_angstrom: found a difference of 10"),
    (crashing, "a file that is not there is refused in words that name it: found FileNotFoundError"),
    (mute, "a file that is not there is refused in words that name it: found 'no such file'"),
]


@pytest.fixture
def registered() -> Iterator[None]:
    yield
    FORMATS._registered.clear()


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(("reader", "words"), BROKEN)
def test_a_broken_reader_is_found(reader: Callable[[Path, Companions], Metadata], words: str, star: Path) -> None:
    FORMATS.register(".odd", reader)
    odd = Path(shutil.copy(star, star.with_suffix(".odd")))
    with pytest.raises(AssertionError) as failed:
        check_format(odd, star)
    assert str(failed.value).startswith(words), failed.value


@pytest.mark.usefixtures("registered")
def test_an_empty_file_that_is_read_is_found(star: Path) -> None:
    def easy(path: Path, companions: Companions) -> Metadata:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        metadata = read_relion(star, companions)
        names = [f"{i}@{star.parent / 'a.mrcs'}" for i in range(1, N + 1)]
        return Metadata(metadata.table.assign(rlnImageName=names), metadata.optics)

    FORMATS.register(".odd", easy)
    odd = Path(shutil.copy(star, star.with_suffix(".odd")))
    with pytest.raises(AssertionError, match="an empty file is refused in words that name it: found"):
        check_format(odd, star)
