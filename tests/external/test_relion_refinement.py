"""External reconstruction inside RELION: our map against its own, and refinements that call us."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import read_map
from cryoprior.io.mrc_writing import write_map
from cryoprior.metrics.fsc import fsc
from cryoprior.refinement.command import Options, run
from cryoprior.simulation import command as simulation
from kit.half_maps import particle
from kit.relion_sums import write_sums

pytestmark = pytest.mark.external
BOX, VOXEL = 32, 4.0
OURS = f"{sys.executable} -m cryoprior external-reconstruct --quiet --threads 1"


@pytest.fixture(autouse=True)
def relion() -> None:
    if shutil.which("relion_external_reconstruct") is None:
        pytest.skip("RELION is not installed")


def volume(path: Path) -> torch.Tensor:
    return torch.from_numpy(read_map(path)[0]).double()


def agree(ours: torch.Tensor, theirs: torch.Tensor, current: int, gain: float = 1e-4) -> None:
    assert float(fsc(ours, theirs)[: current // 2].min()) > 0.99999
    assert float((ours * theirs).sum() / theirs.square().sum()) == pytest.approx(1, abs=gain)


@pytest.mark.parametrize(("padding", "current"), [(2, 32), (2, 22), (1, 32)])
def test_without_a_prior_the_map_is_relions(tmp_path: Path, padding: int, current: int) -> None:
    truth = (particle() * sphere_mask(BOX, 0.35 * BOX, 3.0)).numpy()
    star = write_sums(
        tmp_path, truth, noise=0.1, padding=padding, current_size=current, tau2=np.geomspace(2, 0.05, BOX // 2 + 1)
    )
    subprocess.run(["relion_external_reconstruct", star.name], cwd=tmp_path, check=True, capture_output=True)
    theirs = volume(star.with_suffix(".mrc"))
    run(Options(star=star, map_prior="none"))
    agree(volume(star.with_suffix(".mrc")), theirs, current)


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relion")
    write_map(folder / "true.mrc", (particle() * sphere_mask(BOX, 0.35 * BOX, 3.0)).numpy(), VOXEL)
    simulation.run(
        simulation.Options(
            structures=(folder / "true.mrc",),
            output=folder / "sim",
            n=120,
            box=BOX,
            pixel_size=VOXEL,
            snr=0.5,
            threads=1,
        )
    )
    return folder / "sim"


def refine(particles: Path, output: Path, words: str) -> subprocess.CompletedProcess[str]:
    """Run one iteration with known poses; ``words`` follow ours, and without any RELION reconstructs by itself."""
    output.mkdir()
    command = ["relion_refine", "--i", "particles.star", "--ref", "../true.mrc", "--o", str(output / "run")]
    command += [
        "--iter",
        "1",
        "--skip_align",
        "--ctf",
        "--ctf_corrected_ref",
        "--particle_diameter",
        "100",
        "--pad",
        "2",
    ]
    command += ["--dont_check_norm", "--zero_mask", "--ini_high", "20", "--norm", "--j", "1"]
    command += ["--external_reconstruct"] if words else []
    environment = dict(os.environ, RELION_EXTERNAL_RECONSTRUCT_EXECUTABLE=f"{OURS} {words}", OMP_NUM_THREADS="1")
    return subprocess.run(command, cwd=particles, env=environment, capture_output=True, text=True, check=False)


def test_a_refinement_takes_our_map_for_its_own(particles: Path, tmp_path: Path) -> None:
    own, ours, prior = (tmp_path / name for name in ("own", "ours", "prior"))
    for output, words in ((own, ""), (ours, "--map-prior none"), (prior, "--map-prior default")):
        done = refine(particles, output, words)
        assert done.returncode == 0, done.stderr
    theirs, found, with_prior = (volume(folder / "run_it001_class001.mrc") for folder in (own, ours, prior))
    agree(found, theirs, BOX, gain=1e-3)  # RELION's own two programs differ by this much
    result = prior / "run_it001_class001_external_reconstruct"
    given, mean = (volume(Path(f"{result}{end}")) for end in (".mrc", "_prior.mrc"))
    assert torch.equal(given, mean)
    assert float((with_prior * given).sum() / given.square().sum()) == pytest.approx(1, abs=1e-3)
    true = volume(particles.parent / "true.mrc")
    assert (
        float(fsc(with_prior, true)[3:12].mean()) > float(fsc(with_prior.flip(0).roll(1, 0), true)[3:12].mean()) + 0.2
    )


def test_relion_shows_our_line_and_stops(particles: Path, tmp_path: Path) -> None:
    done = refine(particles, tmp_path / "run", "--map-prior nowhere/prior")
    assert done.returncode != 0
    assert "error: nowhere/prior: no such map prior; expected 'default'" in done.stderr
    assert not (tmp_path / "run" / "run_it001_class001_external_reconstruct.mrc").exists()
