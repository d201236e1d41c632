"""RELION undoes every optical column as we draw it: maps of relion_reconstruct of particles that simulate made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cryoprior.external.relion import RELION, reconstruct
from cryoprior.io import read_map, read_particles, read_star, write_map, write_star
from cryoprior.io.formats.columns import TRANSFER
from cryoprior.maps.making import make_maps
from cryoprior.metrics.fsc import fsc
from cryoprior.simulation import command as simulation
from cryoprior.simulation import read_ctf_table
from kit.projected_views import draw_blobs

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(RELION.path is None, reason="no relion_reconstruct on the PATH"),
]
N, BOX, PIXEL, SHELLS = 300, 32, 3.0, 11
KINDS: dict[str, dict[str, Any]] = {
    "tilt": {"rlnBeamTiltX": [18.0, -18.0], "rlnBeamTiltY": [9.0, -9.0]},
    "odd": {"rlnOddZernike": ["[0,0,400,0,0,200]", "[5,0,-300,100,0,0]"]},
    "even": {"rlnEvenZernike": ["[0.3,5,0,9,300,-200,150,80,50]", "[]"]},
    "magnification": {
        "rlnMagMat00": [1.08, 1.0],
        "rlnMagMat01": [0.04, 0.0],
        "rlnMagMat10": [-0.03, 0.0],
        "rlnMagMat11": [0.9, 1.0],
    },
    "premultiplied": {"premultiplied": [1, 0]},
    "phase-flipped": {"phase_flipped": 1},
}
KINDS["mixed"] = {**KINDS["odd"], **KINDS["even"], **KINDS["magnification"], **KINDS["premultiplied"]}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "blobs.mrc"
    write_map(path, draw_blobs(BOX, 0, n=20, spread=4.5, variance=1.0), PIXEL)
    return path


def curve(volume: Tensor, truth: Path) -> Tensor:
    return fsc(volume, torch.from_numpy(read_map(truth)[0].copy()))[1 : SHELLS + 1]


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_both_programs_agree_with_the_truth(kind: str, truth: Path, tmp_path: Path) -> None:
    table = read_ctf_table(None).iloc[:40].assign(**{name: _alternating(value) for name, value in KINDS[kind].items()})
    table.to_csv(tmp_path / "ctf.csv", index=False)
    given: dict[str, Any] = {"n": N, "box": BOX, "pixel_size": PIXEL, "ctf": tmp_path / "ctf.csv"}
    simulation.run(simulation.Options(structures=(truth,), output=tmp_path / "sim", **given))
    star = tmp_path / "sim" / "clean.star"
    theirs = curve(torch.from_numpy(read_map(reconstruct(star, tmp_path / "relion.mrc"))[0].copy()), truth)
    ours = curve(make_maps(read_particles(star)).full, truth)
    assert float(theirs.min()) > 0.95
    assert float((theirs - ours).max()) < 0.05
    blocks = read_star(star)
    bare = {name: frame.drop(columns=[c for c in TRANSFER if c in frame.columns]) for name, frame in blocks.items()}
    write_star(star.with_name("bare.star"), bare["particles"], bare["optics"])
    ignored = reconstruct(star.with_name("bare.star"), tmp_path / "bare.mrc")
    assert float((theirs - curve(torch.from_numpy(read_map(ignored)[0].copy()), truth)).max()) > 0.05


def _alternating(value: Any) -> Any:
    return value * 20 if isinstance(value, list) else value
