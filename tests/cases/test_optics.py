"""What RELION's columns say of the transfer is honoured: cases 01, 03, 04 and 23, images of one known molecule.

The particles are the same 22 in all cases. RELION's FSC with the truth on them, relion_reconstruct 3.1.3 with --ctf and
for case 23 --ctf_phase_flipped, is .866 at shell 8 in cases 01 and 23; maps of 600: benchmarks/results/cases.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cryoprior import cli
from cryoprior.errors import InputError
from cryoprior.evaluation.comparison import open_comparison
from cryoprior.image.projection import project_particles
from cryoprior.io import ParticleStack, read_particles
from cryoprior.maps.geometry import Geometry
from cryoprior.maps.making import make_maps
from cryoprior.metrics.fsc import fsc
from cryoprior.simulation.states import read_states
from cryoprior.training.inputs import read_training_data
from cryoprior.training.setup import TrainingChoices, prepare

BOX, PIXEL = 64, 1.5


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> Path:
    return shared_data / "cases"


@pytest.fixture(scope="module")
def truth(cases: Path) -> Tensor:
    """Return the density that the images were projected from, on another scale."""
    return torch.from_numpy(read_states(cases / "00-make-600" / "one_chain.pdb", BOX, PIXEL, (), (), 80.0)[0].volume)


def model(stack: ParticleStack, truth: Tensor, sign: float = 1.0) -> Tensor:
    """Return the transforms that the files promise, (n, box, half); the odd phases turned by ``sign``."""
    geometry, rows = Geometry.read(stack, stack.table, stack.optics), np.arange(stack.n)
    transfer = geometry.transfer(rows, truth)
    assert transfer is not None
    euler, origin = (torch.from_numpy(np.array(a)) for a in (geometry.euler_deg, geometry.origin_pixel))
    plain = torch.fft.rfft2(project_particles(truth, euler, origin, transfer.ctf))
    return plain if transfer.phase is None else plain * transfer.phase**sign


def shell(lowest: int, highest: int) -> Tensor:
    radius = BOX * torch.hypot(torch.fft.fftfreq(BOX)[:, None], torch.fft.rfftfreq(BOX)[None])
    return (radius >= lowest) & (radius < highest)


def test_premultiplied_and_phase_flipped_images_give_one_map(cases: Path, truth: Tensor) -> None:
    """Both are X sign(c) or X c of one X: numerators and weights are the same, the noise is read from other images."""
    one, two = (
        make_maps(read_particles(cases / name / "p.star")).full for name in ("01-ctf-premultiplied", "23-phase-flipped")
    )
    assert float(fsc(one, two)[1 : BOX // 2].min()) > 0.99
    curve = fsc(one, truth)
    assert float(curve[2]) > 0.95
    assert float(curve[8]) > 0.4  # the CTF's sign changes before: with it ignored -.3


def test_scale_and_b_factor_are_those_of_the_particle(cases: Path, truth: Tensor) -> None:
    """Every image is its model times one number, the unit of the stack; without the columns it follows the scale."""
    stack = read_particles(cases / "03-ctf-bfactor-scalefactor" / "p.star")
    images, expected = torch.fft.rfft2(torch.from_numpy(np.array(stack.read()))), model(stack, truth)
    shared, power = (images * expected.conj()).real, expected.abs().square()
    low, high = shell(1, 4), shell(8, 14)
    slopes = shared[:, low].sum(1) / power[:, low].sum(1)
    assert float(slopes.std() / slopes.mean()) < 0.1  # .41 without the scale
    ratio = shared[:, high].sum() / power[:, high].sum() * power[:, low].sum() / shared[:, low].sum()
    assert float(ratio) == pytest.approx(1, abs=0.1)  # .68 without the B-factor


def test_a_beam_tilt_is_in_the_phases_with_relions_sign(cases: Path, truth: Tensor) -> None:
    stack = read_particles(cases / "04-beam-tilt" / "p.star")
    images = torch.fft.rfft2(torch.from_numpy(np.array(stack.read())))
    found = []
    for sign in (1.0, 0.0, -1.0):
        expected, band = model(stack, truth, sign), shell(20, 32)
        a, b = images[:, band], expected[:, band]
        found.append(float((a * b.conj()).real.sum() / (a.abs().square().sum() * b.abs().square().sum()).sqrt()))
    assert found[0] > 1.05 * found[1] > 1.2 * found[2]


def run(*words: object) -> int:
    """Return the exit code of a command line."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_premultiplied_images_stay_known_as_such_to_the_end(
    cases: Path, tiny_prior: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The measurements and the reconstruction carry the flag; a plain prior and another reference are told."""
    star, other = cases / "01-ctf-premultiplied" / "p.star", cases / "23-phase-flipped" / "p.star"
    y, recon, report = tmp_path / "y.zarr", tmp_path / "recon", tmp_path / "report"
    assert run("measure", star, "-o", y, "--operator", "fourier:compression=2") == 0
    solver = ("--solver", "gaussian", "--limit", 3, "--contrast", "bright")
    assert run("reconstruct", y, "-o", recon, "--prior", tiny_prior, *solver) == 0
    assert "images are premultiplied, those that trained the prior plain" in caplog.text
    summary = json.loads((recon / "summary.json").read_text())
    assert (summary["treatment"], summary["trained_treatment"]) == ("premultiplied", "plain")
    assert read_particles(recon / "particles.star").optics["rlnCtfDataAreCtfPremultiplied"].tolist() == [1]
    caplog.clear()
    assert run("evaluate", recon, "-o", report, "--reference", other) == 2
    assert not report.exists()
    comparison = open_comparison(recon, star)  # the particles that were measured are taken
    assert comparison.n == 3


def test_a_prior_records_what_was_done_to_its_images(cases: Path) -> None:
    data = read_training_data([cases / "23-phase-flipped" / "p.star"], [], None)
    setup = prepare(data, TrainingChoices(steps=1, width=0.25, precision="no", validation=0.2, device="cpu"))
    assert setup.config.treatment == "phase_flipped"


def test_clean_images_that_were_treated_otherwise_train_nothing(cases: Path) -> None:
    pair = [cases / name / "p.star" for name in ("01-ctf-premultiplied", "03-ctf-bfactor-scalefactor")]
    with pytest.raises(InputError, match=r"its images were not treated with their CTF as those of .* were"):
        read_training_data(pair[:1], pair[1:], None)
