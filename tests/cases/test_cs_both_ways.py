"""cryoSPARC's particles measured, reconstructed and converted go back to it with uid, order and every column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cryoprior.housekeeping import convert
from cryoprior.io import read_particles
from cryoprior.measurement import command as measure
from cryoprior.reconstruction import command as reconstruct

IMAGES = {"blob/path", "blob/idx", "blob/shape", "blob/psize_A", "location/micrograph_path"}


@pytest.fixture
def case(shared_data: Path) -> Path:
    return shared_data / "cases" / "17-cs-aberrations" / "J15" / "J15_particles.cs"


def same_but_images(again: Path, before: Path) -> None:
    found, rows = np.load(again), np.load(before)
    assert set(found.dtype.names) == set(rows.dtype.names)
    for name in sorted(set(rows.dtype.names) - IMAGES):
        np.testing.assert_array_equal(found[name], rows[name], err_msg=name)


def test_a_reconstruction_goes_back(case: Path, tmp_path: Path) -> None:
    y, recon = tmp_path / "y.zarr", tmp_path / "recon"
    measure.run(measure.Options(particles=case, output=y, operator="pixel:block=4,masks=16", threads=1))
    reconstruct.run(reconstruct.Options(measurements=y, output=recon, solver="least-squares", shard_size=4, cs=True))
    same_but_images(recon / "particles.cs", case)
    cs, star = (read_particles(recon / f"particles.{ending}") for ending in ("cs", "star"))
    np.testing.assert_array_equal(cs.read(), star.read())
    np.testing.assert_allclose(cs.read(), read_particles(case).read(), atol=1e-4)  # 16 sums of 16 pixels say all
    assert cs.files == star.files


def test_no_column_is_lost_through_any_chain_of_formats(case: Path, tmp_path: Path) -> None:
    chain = [case]
    for step in range(3):
        folder = tmp_path / str(step)
        convert.run(convert.Options(particles=chain[-1], output=folder, cs=True))
        same_but_images(folder / "particles.cs", case)
        chain.append(folder / ("particles.star" if step % 2 == 0 else "particles.cs"))
    np.testing.assert_array_equal(read_particles(chain[-1]).read(), read_particles(case).read())


def test_resized_particles_have_the_new_box_and_the_same_origins(case: Path, tmp_path: Path) -> None:
    convert.run(convert.Options(particles=case, output=tmp_path / "a", box=16, cs=True, split=0.5))
    rows, before = np.load(tmp_path / "a" / "particles.cs"), np.load(case)
    assert (rows["blob/shape"] == 16).all()
    assert (rows["blob/psize_A"] == 2 * before["blob/psize_A"]).all()
    origins = [r["alignments3D/shift"] * r["alignments3D/psize_A"][:, None] for r in (rows, before)]
    np.testing.assert_allclose(origins[0], origins[1], rtol=1e-6)
    parts = [np.load(tmp_path / "a" / f"{name}.cs")["uid"] for name in ("train", "validation")]
    assert sorted(np.concatenate(parts)) == sorted(before["uid"])
