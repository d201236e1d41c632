"""Draws of a map prior beside a map: right where the posterior is known, found out where they are not, and on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import cryoprior
from cryoprior.audit import command as audit
from cryoprior.errors import InputError
from cryoprior.image.shells import Shells
from cryoprior.io import read_map, write_map
from cryoprior.maps import command as maps
from cryoprior.metrics.fsc import volume_shell_sums
from cryoprior.prior import MapPrior
from cryoprior.prior.volume.checkpoint import save_map_prior
from cryoprior.referee.deviation import Drawing, PriorDeviation
from cryoprior.referee.judging import judge_prior
from cryoprior.referee.result import Audit
from cryoprior.simulation import command as simulate
from kit.half_maps import D, particle
from prior.volume.test_map_prior import VOXEL_SIZE, gaussian_world, prior

BOX = 24


class Shrunk(MapPrior):
    """A prior whose draws lie half as far from their mean as they should."""

    def samples(self, volume: Tensor, voxel_size: float, ssnr: Tensor, count: int, **how: Any) -> Iterator[Tensor]:
        mean = self.mean(volume, voxel_size, ssnr)
        for drawn in super().samples(volume, voxel_size, ssnr, count, **how):
            yield mean + 0.5 * (drawn - mean)


def world(asked: MapPrior) -> tuple[Tensor, tuple[Tensor, Tensor], Audit]:
    """Return a field of the prior's own spectrum, two half maps of it, and the audit of what the prior makes of them.

    The last layer of the network is 0: what is left is the Gaussian prior, of which mean and deviation are known.
    """
    truth, noisy, ssnr = gaussian_world(BOX)
    other = torch.randn(BOX, BOX, BOX, generator=torch.Generator().manual_seed(9))
    halves = (noisy, truth + float((noisy - truth).std()) * other)
    made = [asked.mean(half, VOXEL_SIZE, ssnr.float()) for half in halves]
    return truth, halves, judge_prior(halves, (made[0], made[1]), VOXEL_SIZE)


@lru_cache
def gaussian() -> MapPrior:
    return prior(trained=False)


@lru_cache
def drawn(asked: MapPrior, count: int = 6) -> tuple[PriorDeviation, Tensor]:
    truth, halves, found = world(asked)
    made = Drawing(asked, (halves[0] + halves[1]) / 2, halves, None, count, seed=1).made(found)
    return made, truth


def test_draws_of_a_gaussian_prior_are_as_far_apart_as_its_mean_is_from_the_truth() -> None:
    made, truth = drawn(gaussian())
    assert made.ratio is not None
    value, error = made.ratio
    assert value == pytest.approx(1, abs=0.12)
    assert error < 0.05
    assert "as it should be" in made.says()
    inside = Shells(BOX).inside
    off = torch.fft.irfftn(torch.fft.rfftn(made.mean - truth) * inside, s=(BOX,) * 3)
    assert float(off.square().mean()) == pytest.approx(float(made.deviation.square().mean()) * (1 + 1 / 6), rel=0.1)


def test_the_half_maps_find_out_a_deviation_that_is_too_small() -> None:
    model = gaussian()
    whole, _ = drawn(model)
    half, _ = drawn(Shrunk(model.network, model.config))
    assert whole.ratio is not None
    assert half.ratio is not None
    assert half.ratio[0] == pytest.approx(2 * whole.ratio[0], rel=0.05)
    assert "too small: multiply it by that" in half.says()
    torch.testing.assert_close(half.deviation, whole.deviation / 2, rtol=1e-3, atol=1e-4 * float(whole.deviation.max()))


def test_the_error_that_the_half_maps_say_is_the_true_one() -> None:
    truth, _, found = world(gaussian())
    made, _ = drawn(gaussian())
    off = torch.fft.rfftn((found.maps.prior - truth).double(), norm="ortho").abs().square()
    true = volume_shell_sums(off)
    deviations = ((made.error - true) / made.error_deviation)[made.known]
    assert len(deviations) > 6
    assert float(deviations.abs().max()) < 4
    assert float(deviations.square().mean()) < 3


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Return a folder with what map wrote with draws and audit of its half maps, and both summaries."""
    folder = tmp_path_factory.mktemp("samples")
    small = prior(trained=False)
    (folder / "small").mkdir()
    save_map_prior(folder / "small", small.network, small.config)
    write_map(folder / "blobs.mrc", particle().float().numpy(), 5.0)
    options = {"n": 100, "box": D, "pixel_size": 5.0, "snr": 1.0, "seed": 2}
    simulate.run(simulate.Options(structures=(folder / "blobs.mrc",), output=folder / "sim", **options))
    asked = {"map_prior": str(folder / "small"), "samples": 2}
    mapped = maps.run(maps.Options(particles=folder / "sim/particles.star", output=folder / "map", **asked))
    halves = {f"half{half}": folder / f"map/half{half}.mrc" for half in (1, 2)}
    audited = audit.run(audit.Options(**halves, output=folder / "audit", tests=False, **asked))
    return folder, mapped, audited


@pytest.mark.parametrize("name", ["map", "audit"])
def test_what_is_written_is_what_was_drawn(ran: Any, name: str) -> None:
    folder, mapped, audited = ran
    summary = {"map": mapped, "audit": audited}[name]
    kept = [read_map(folder / name / f"prior_samples/sample_{i:03d}.mrc")[0] for i in (1, 2)]
    assert len(list((folder / name / "prior_samples").iterdir())) == 2
    np.testing.assert_allclose(read_map(folder / name / "prior_samples_mean.mrc")[0], np.mean(kept, 0), atol=1e-6)
    spread = np.std(kept, 0, ddof=1)
    np.testing.assert_allclose(read_map(folder / name / "prior_deviation.mrc")[0], spread, atol=1e-5 * spread.max())
    said = summary["prior_deviation"]
    assert said["samples"] == 2
    assert said["ratio"] > 0
    assert said == json.loads((folder / name / "summary.json").read_text())["prior_deviation"]
    table = pd.read_csv(folder / name / "prior_deviation.csv")
    assert list(table["shell"]) == list(range(1, D // 2 + 1))
    page = (folder / name / "report.html").read_text()
    assert "How uncertain the prior" in page
    assert escape(said["says"]) in page


def test_the_verb_draws_the_same(ran: Any) -> None:
    folder, _, _ = ran
    stack = cryoprior.read_particles(folder / "sim/particles.star")
    made = cryoprior.make_maps(stack, map_prior=str(folder / "small"), samples=2, device="cpu").deviation
    assert made is not None
    np.testing.assert_array_equal(read_map(folder / "map/prior_deviation.mrc")[0], made.deviation.numpy())


def test_draws_without_a_prior_and_too_few_are_refused(tmp_path: Path) -> None:
    given = {"particles": tmp_path / "particles.star", "output": tmp_path / "out"}
    for options in (maps.Options, audit.Options):
        with pytest.raises(InputError, match=r"samples 1: a deviation needs at least 2; ask for more"):
            options(**given, map_prior="default", samples=1)
    with pytest.raises(InputError, match="samples without map_prior: a map prior is what they are drawn from"):
        maps.Options(**given, samples=4)
    halves = {"half1": tmp_path / "1.mrc", "half2": tmp_path / "2.mrc", "output": tmp_path / "out"}
    with pytest.raises(InputError, match="samples without map_prior"):
        audit.Options(**halves, prior_half1=tmp_path / "1.mrc", prior_half2=tmp_path / "2.mrc", samples=4)
    with pytest.raises(InputError, match="samples without map_prior"):
        cryoprior.make_maps(np.zeros((4, D, D)), np.zeros((4, 3)), pixel_size=5.0, samples=4)
