from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.housekeeping import describe
from cryoprior.io import MeasurementHeader, MeasurementsWriter
from cryoprior.operators import format_operator, parse_operator
from cryoprior.prior import load_map_prior
from cryoprior.prior.volume.checkpoint import map_prior_folder


def test_an_operator_by_its_text() -> None:
    summary = describe.run(describe.Options(target="pixel:block=16,masks=192", box=32))
    assert summary["compression"] == pytest.approx(4 / 3)
    assert summary["effective_compression"] == pytest.approx(4 / 3)
    assert summary["rank"] == summary["m"] == summary["stored"] == 768
    assert summary["condition"] == pytest.approx(summary["singular_value_max"] / summary["singular_value_min"])
    assert summary["digest"] == parse_operator("pixel:block=16,masks=192", box=32).digest()
    assert summary["nominal"] == "K²/b = 256/192"
    assert summary["bytes_per_set"] > 0
    json.dumps(summary)


def test_a_map_prior_says_what_it_is() -> None:
    folder = map_prior_folder("default")
    summary = describe.run(describe.Options(target=str(folder)))
    config = load_map_prior("default").config
    assert summary["map_prior"] == str(folder)
    assert summary["voxel_size_angstrom"] == list(config.voxel_size_angstrom)
    assert summary["trained_on_files"] == len(config.trained_on) > 50
    with pytest.raises(InputError, match="a map prior takes maps of any box; leave box out"):
        describe.run(describe.Options(target=str(folder), box=32))


def test_box_of_the_text_or_the_default() -> None:
    assert describe.run(describe.Options(target="bin:factor=2"))["box"] == 128
    assert describe.run(describe.Options(target="bin:factor=2,box=64"))["box"] == 64
    with pytest.raises(InputError, match="box"):
        describe.run(describe.Options(target="bin:factor=2,box=64", box=32))


def write_measurements(path: Path, digest: str | None = None) -> str:
    operator = parse_operator("fourier:compression=2,sets=2", box=8, seed=3)
    header = MeasurementHeader(
        m=operator.m,
        box=8,
        operator=format_operator(operator),
        digest=digest or operator.digest(),
        sigma=0.5,
        seed=0,
        source="particles.star",
        particles_digest="0",
    )
    table = pd.DataFrame({"rlnImageName": ["1@a.mrcs", "2@a.mrcs"], "rlnOpticsGroup": [1, 1]})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [2.0], "rlnImageSize": [8]})
    with MeasurementsWriter(path, header, table, optics, np.arange(2)) as writer:
        writer.write(np.zeros((2, operator.m), np.float32))
    return operator.digest()


def test_measurements(tmp_path: Path) -> None:
    path = tmp_path / "y.zarr"
    digest = write_measurements(path)
    summary = describe.run(describe.Options(target=str(path), output=tmp_path / "out"))
    assert (summary["n"], summary["sigma"], summary["digest"], summary["mask_sets"]) == (2, 0.5, digest, 2)
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written == summary
    with pytest.raises(InputError, match="in use"):
        describe.run(describe.Options(target=str(path), output=tmp_path / "out"))


def test_measurements_of_another_operator(tmp_path: Path) -> None:
    write_measurements(tmp_path / "y.zarr", digest="0" * 64)
    with pytest.raises(InputError, match="digest"):
        describe.run(describe.Options(target=str(tmp_path / "y.zarr")))


def test_what_is_neither(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no operator is called"):
        describe.run(describe.Options(target="nothing"))
    with pytest.raises(InputError, match="no such folder"):
        describe.run(describe.Options(target=str(tmp_path / "nothing.zarr")))
