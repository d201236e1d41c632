"""Standard tests of a map prior: what stands in for particles, and what is found where a prior is false or invents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import cryoprior
from cryoprior.audit.command import Options, run
from cryoprior.audit.noise_test import noise_alone
from cryoprior.audit.stand_ins import NoiseAlone, RandomPhases
from cryoprior.audit.standard import audit_map_prior, other_hand, random_phases
from cryoprior.audit.subject import Subject
from cryoprior.audit.tests_section import said_of_tests, section_of_tests
from cryoprior.errors import InputError
from cryoprior.image.spectrum import power_spectrum, radial_average, shell_index
from cryoprior.io import read_map, write_map
from cryoprior.maps.source import Source
from cryoprior.maps.sources import FullParticles, MeasuredParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement import command as measure
from cryoprior.measurement.reading import open_measurements
from cryoprior.prior.volume.checkpoint import save_map_prior
from cryoprior.prior.volume.network import MapNetwork
from cryoprior.simulation import command as simulate
from kit.half_maps import D, Halves, by_shell, particle
from kit.map_priors import embedded, stand_in

VOXEL, SEED = 5.0, 7
OPERATORS = {"full": None, "fourier": "fourier:compression=2,sets=4", "pixel": "pixel:block=8,masks=24,sets=4"}


@pytest.fixture(scope="module")
def particles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the star file of simulated particles of blobs."""
    folder = tmp_path_factory.mktemp("particles")
    write_map(folder / "blobs.mrc", particle().float().numpy(), VOXEL)
    options = {"n": 120, "box": D, "pixel_size": VOXEL, "snr": 1.0, "seed": 2}
    simulate.run(simulate.Options(structures=(folder / "blobs.mrc",), output=folder / "sim", **options))
    return folder / "sim" / "particles.star"


def source_of(particles: Path, kind: str, folder: Path) -> Source:
    operator = OPERATORS[kind]
    if operator is None:
        return FullParticles(cryoprior.read_particles(particles))
    measure.run(measure.Options(particles=particles, output=folder / "y.zarr", operator=operator))
    return MeasuredParticles(*open_measurements(folder / "y.zarr"))


def subject(seed: int = 0) -> Subject:
    of = Halves(seed)
    return Subject((of.halves[0].float(), of.halves[1].float()), VOXEL)


@pytest.mark.parametrize("kind", OPERATORS)
def test_random_phases_begin_at_a_shell_and_leave_the_amplitudes(kind: str, particles: Path, tmp_path: Path) -> None:
    source, start = source_of(particles, kind, tmp_path), 6
    rows = np.arange(5, 15)
    before, share = source.views(rows)
    after, share_after = RandomPhases(source, SEED, start).views(rows)
    a, b = (torch.fft.rfft2(images.double()) for images in (before, after))
    beyond = shell_index(D) >= start
    if kind != "pixel":  # sums of pixels mix frequencies, so that what was measured of random phases reaches below
        torch.testing.assert_close(a[:, ~beyond], b[:, ~beyond], rtol=1e-3, atol=1e-2)
        torch.testing.assert_close(a.abs(), b.abs(), rtol=1e-3, atol=1e-2)
    coherence = (a * b.conj()).real[:, beyond].sum() / (a.abs() * b.abs())[:, beyond].sum()
    assert abs(float(coherence)) < (0.3 if kind == "pixel" else 0.1)
    torch.testing.assert_close(source.seen(after, rows), after, rtol=1e-3, atol=1e-3)
    if share is not None:
        torch.testing.assert_close(share, share_after)


@pytest.mark.parametrize("kind", OPERATORS)
def test_noise_has_the_power_of_the_particles_and_nothing_else_of_them(
    kind: str, particles: Path, tmp_path: Path
) -> None:
    source = source_of(particles, kind, tmp_path)
    rows = np.arange(source.n)
    real, noise = (one.views(rows)[0] for one in (source, NoiseAlone(source, SEED)))
    power = [radial_average(power_spectrum(images))[1 : D // 2] for images in (real, noise)]
    assert float((power[1] / power[0]).log().abs().max()) < (0.5 if kind == "pixel" else 0.25)
    correlation = float((real * noise).sum() / real.norm() / noise.norm())
    assert abs(correlation) < 0.02
    torch.testing.assert_close(source.seen(noise, rows), noise, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("of", [lambda source: NoiseAlone(source, SEED), lambda source: RandomPhases(source, SEED, 4)])
def test_a_particle_does_not_depend_on_its_batch(of: Any, particles: Path, tmp_path: Path) -> None:
    made = of(source_of(particles, "full", tmp_path))
    together, alone = made.views(np.array([3, 9, 4]))[0], made.views(np.array([9]))[0]
    torch.testing.assert_close(together[1:2], alone)


def test_particles_are_audited_as_map_does(particles: Path, tmp_path: Path) -> None:
    summary = run(Options(particles=particles, map_prior="default", output=tmp_path / "audit"))
    audit = cryoprior.make_maps(cryoprior.read_particles(particles), map_prior="default", device="cpu").audit
    assert audit is not None
    rows = [{name: value for name, value in row.items() if name != "fsc_randomised"} for row in summary["verdict"]]
    assert rows == audit.rows()
    assert summary["worth_particles"] == audit.worth.ratio
    for name, volume in {"map": audit.maps.free, "map_gated": audit.maps.gated}.items():
        np.testing.assert_array_equal(read_map(tmp_path / f"audit/{name}.mrc")[0], volume.numpy())
    assert set(summary["tests"]) == {"other_hand", "noise"}
    assert "randomised" in summary
    assert json.loads((tmp_path / "audit/summary.json").read_text())["tests"] == summary["tests"]
    noise = pd.read_csv(tmp_path / "audit/noise.csv")
    assert list(noise["shell"]) == list(range(D // 2 + 1))
    assert (tmp_path / "audit/noise_prior.mrc").stat().st_size > 4 * D**3
    assert "Standard tests" in (tmp_path / "audit/report.html").read_text()


def test_a_prior_that_knows_the_hand_is_closed_in_the_other() -> None:
    of, asked = Halves(0), subject()

    def knows(half: Tensor) -> Tensor:
        return by_shell(0.3 * half.double() + of.truth, of.wiener_gain).float()

    def blind(half: Tensor) -> Tensor:
        return (by_shell(half.double(), of.wiener_gain) * of.solvent).clamp(min=0).float()

    of.solvent = (of.solvent + of.solvent.flip(0)) / 2
    right, wrong = subject().judged(asked.asked(stand_in(knows))), other_hand(asked, stand_in(knows))
    assert right.worth.ratio > 2
    assert wrong.worth.ratio < 1.1
    both = audit_map_prior(asked, stand_in(blind))
    assert any("does not know one hand from the other" in text for text in said_of_tests(*both))


def test_random_phases_find_what_a_prior_makes_up() -> None:
    of, asked = Halves(0), subject()
    planted = by_shell(of.density(), of.shell >= 8).float()
    honest = random_phases(asked, stand_in(lambda half: by_shell(half.double(), of.wiener_gain).float()), SEED)
    planted = planted / planted.std()
    inventing = random_phases(asked, stand_in(lambda half: half + 3 * half.std() * planted), SEED)
    assert honest is not None
    assert inventing is not None
    assert abs(float(honest.fsc[honest.first :].mean())) < 0.1
    assert float(inventing.fsc[inventing.first :].mean()) > 0.5


def test_a_molecule_in_noise_is_found_where_the_prior_puts_one_there(particles: Path, tmp_path: Path) -> None:
    source, settings = source_of(particles, "full", tmp_path), MapSettings()
    audited = Subject.of_particles(source, settings)
    scale = float(audited.halves[0].std())
    molecule = particle(1).float()
    molecule = molecule / molecule.std() * 3 * scale
    for answer, appears in ((lambda half: 0.5 * half, False), (lambda half: half + molecule, True)):
        prior = stand_in(answer)
        audit = audited.judged(audited.asked(prior))
        found = noise_alone(audited, prior, audit, SEED, source, settings)
        assert found.appears is appears
        assert abs(found.mean(found.halves)) < 0.1
        assert found.summary()["appears"] is appears


def test_a_wrong_prior_is_compared(tmp_path: Path) -> None:
    network = MapNetwork(embedded().config.network)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)
    (tmp_path / "wrong").mkdir()
    save_map_prior(tmp_path / "wrong", network, embedded().config)
    wrong = cryoprior.load_map_prior(tmp_path / "wrong")
    audit, tests = audit_map_prior(subject(), embedded(), wrong, tests=False)
    assert tests.other_hand is None
    assert audit.randomised is None
    assert set(tests.summary()) == {"wrong_prior"}
    assert tests.summary()["wrong_prior"]["prior_worth_particles"] < 0.5 * audit.prior_worth.ratio
    assert any(text.startswith("Of the wrong prior") for text in said_of_tests(audit, tests))
    section = section_of_tests(audit, tests)
    assert section is not None
    assert "the wrong prior" in section.html()


def test_an_image_prior_is_judged_by_withheld_numbers_too(particles: Path, tmp_path: Path, tiny_prior: Path) -> None:
    measure.run(measure.Options(particles=particles, output=tmp_path / "y.zarr", operator=str(OPERATORS["fourier"])))
    for given in (particles, tmp_path / "y.zarr"):
        out = tmp_path / f"audit-{given.stem}"
        asked: dict[str, Any] = {"map_prior": "default", "tests": False, "passes": 0, "image_prior": str(tiny_prior)}
        summary = run(Options(particles=given, output=out, **asked))
        assert summary["check"]["n"] == 120
        assert "cannot tell the prior from the linear estimate" in summary["check"]["says"]  # it is the linear estimate
        assert len(pd.read_csv(out / "check.csv")) == D // 2
        assert "What the prior knows, without truth" in (out / "report.html").read_text()


def test_what_excludes_each_other_is_refused(particles: Path, tmp_path: Path) -> None:
    given = {"particles": particles, "output": tmp_path / "out"}
    with pytest.raises(InputError, match="map_prior is missing: of particles only a map prior can be asked"):
        Options(**given)
    with pytest.raises(InputError, match="half1 beside particles: the half maps are made of these"):
        Options(**given, map_prior="default", half1=particles)
    with pytest.raises(InputError, match="randomise_beyond beside particles"):
        Options(**given, map_prior="default", randomise_beyond=4)
    with pytest.raises(InputError, match="wrong_prior without map_prior"):
        Options(half1=particles, half2=particles, prior_half1=particles, prior_half2=particles, wrong_prior="default",
                output=tmp_path)  # fmt: skip
    with pytest.raises(InputError, match="image_prior without particles: half maps hold no images"):
        Options(half1=particles, half2=particles, map_prior="default", image_prior="default", output=tmp_path)
    with pytest.raises(InputError, match="no such map prior"):
        run(Options(**given, map_prior=str(tmp_path) + "/none"))
    with pytest.raises(InputError, match=r"voxels of 9 A: the map prior was trained at"):
        run(Options(**given, map_prior="default", pixel_size=9.0))
