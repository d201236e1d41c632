from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from cryoprior.errors import InputError
from cryoprior.housekeeping import validate
from cryoprior.io import ReconstructionWriter, ShardWriter, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.prior.volume.checkpoint import map_prior_folder
from kit.sealed import change_header
from kit.stacks import BOX, N, draw_images, draw_optics, draw_table, write_particles


def check(path: Path) -> dict:
    return validate.run(validate.Options(path=path))


def test_good_particles(tmp_path: Path) -> None:
    path, _, _ = write_particles(tmp_path)
    summary = check(path)
    assert (summary["kind"], summary["n"], summary["box"]) == ("particles", N, BOX)
    assert summary["pixel_size_angstrom"] == [1.25, 1.5]


def test_every_finding_is_listed(tmp_path: Path) -> None:
    path, images, table = write_particles(tmp_path)
    images[1, 0, 0], images[2] = np.nan, 0.5
    write_stack(tmp_path / "a.mrcs", images, 1.5)
    write_star(path, table, draw_optics().assign(rlnVoltage=3.0))
    with pytest.raises(InputError) as error:
        check(path)
    text = str(error.value)
    assert "particles with 3 finding(s)" in text
    assert "particle 2 (000002@a.mrcs) holds NaN or infinity" in text
    assert "particle 3 (000003@a.mrcs) is constant" in text
    assert "rlnVoltage 3; expected 50 to 1500 (kV)" in text


def test_missing_columns_are_found(tmp_path: Path) -> None:
    path, _, table = write_particles(tmp_path)
    write_star(path, table.drop(columns="rlnAnglePsi"), draw_optics().drop(columns="rlnVoltage"))
    with pytest.raises(InputError, match=r"(?s)2 finding.*rlnDefocusU without rlnVoltage.*without rlnAnglePsi"):
        check(path)


def test_measurements(tmp_path: Path) -> None:
    path, _, _ = write_particles(tmp_path)
    out = tmp_path / "y.zarr"
    measure.run(measure.Options(particles=path, output=out, operator="pixel:block=4,masks=6"))
    assert check(out)["kind"] == "measurements"
    zarr.open_group(out)["y"][3] = np.nan
    with pytest.raises(InputError, match=r"(?s)1 finding.*y/c/0/0: damaged: its digest is"):
        check(out)
    change_header(out, digest="0" * 64)
    with pytest.raises(InputError, match=r"(?s)2 finding.*not finite or all equal: 4.*digest 000000000000, found"):
        check(out)


def test_reconstructions(tmp_path: Path) -> None:
    with ReconstructionWriter(tmp_path, draw_table(), draw_optics(), shard_size=4) as writer:
        writer.write(draw_images())
    assert check(tmp_path)["kind"] == "reconstruction"
    with ShardWriter(tmp_path, range(7, 8), BOX, 1.5) as writer:
        writer.write(draw_images(1))
    with pytest.raises(InputError, match=r"shards that no particle refers to: 000000007-000000008.mrcs"):
        check(tmp_path)
    (tmp_path / "particles.star").unlink()
    with pytest.raises(InputError, match=r"particles.star: no such file"):
        check(tmp_path)


def test_priors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"prior with 1 finding\(s\):\n  - no model.safetensors"):
        check(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"config.json: not the configuration of a prior \('spectra'\)"):
        check(tmp_path)


def test_map_priors(tmp_path: Path) -> None:
    found = check(map_prior_folder("default"))
    assert (found["kind"], found["valid"], found["voxel_size_angstrom"]) == ("map prior", True, [1.5, 6.0])
    assert found["parameters"] > 1e6
    for path in map_prior_folder("default").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(InputError, match=r"map prior with 1 finding\(s\):\n  - .*model.safetensors"):
        check(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"map prior with 1 finding\(s\):\n  - .*no model.safetensors"):
        check(tmp_path)


def test_other_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no such file or folder; expected one of particles, measurements, prior, map prior, recon"
    ):
        check(tmp_path / "no")
    with pytest.raises(InputError, match=r"holds no zarr.json \(measurements\), model.safetensors \(prior\) or part"):
        check(tmp_path)
    (tmp_path / "a.png").write_text("")
    with pytest.raises(InputError, match=r"unknown extension '.png'; expected one of .star"):
        check(tmp_path / "a.png")
