"""Exposures share one dose: counts are Poisson's, a mask has its share, and what that costs is what theory says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.io import read_measurements, read_particles
from cryoprior.measurement import command as measure
from cryoprior.measurement.dose import Dose, exposures
from cryoprior.operators import parse_operator
from kit.stacks import PIXEL_SIZE, write_particles

BOX, N = 16, 400


def dose(electrons: float = 40.0, **more: float) -> Dose:
    given = {"readout": 0.0, "contrast": 0.1, "pixel_size": 2.0, "mean": 5.0, "deviation": 3.0, **more}
    return Dose(electrons, **given)


def flat() -> torch.Tensor:
    return torch.full((N, BOX, BOX), 5.0)


@pytest.mark.parametrize("spec", ["identity", "bin:factor=2", "pixel:block=4,masks=6", "pixel:block=4,masks=16"])
@pytest.mark.parametrize("readout", [0.0, 20.0])
def test_noise_is_as_large_as_it_says_and_the_mean_is_right(spec: str, readout: float) -> None:
    operator, given = parse_operator(spec, box=BOX), dose(readout=readout)
    y = given.counted(flat(), operator, 3, list(range(N)))
    error = y - operator.forward(flat(), list(range(N)))
    assert float(error.square().mean().sqrt()) == pytest.approx(given.sigma(operator), rel=0.02)
    assert abs(float(error.mean())) < 4 * given.sigma(operator) / np.sqrt(error.numel())


def test_counts_are_those_of_poisson() -> None:
    given, operator = dose(electrons=1.0, pixel_size=1.0), parse_operator("identity", box=BOX)
    y = given.counted(flat(), operator, 3, list(range(N))).double()
    counts = 1 + (y - 5.0) * given.contrast / given.deviation
    assert float((counts - counts.round()).abs().max()) < 1e-4
    assert float(counts.mean()) == pytest.approx(float(counts.var()), rel=0.02)
    assert float((counts.round() == 0).double().mean()) == pytest.approx(np.exp(-1), rel=0.02)


def test_exposures_share_the_dose() -> None:
    few, many = (parse_operator(f"pixel:block=4,masks={masks}", box=BOX) for masks in (4, 16))
    assert (exposures(few), exposures(many)) == (4, 16)
    assert dose().per_pixel(few) == pytest.approx(4 * dose().per_pixel(many)) == pytest.approx(40 * 4 / 4)
    assert dose().per_pixel(parse_operator("identity", box=BOX)) == pytest.approx(160)


@pytest.mark.parametrize("block", [2, 4, 8])
def test_masks_cost_more_than_twice_the_pixels_of_a_block(block: int) -> None:
    """All masks of a block: its pixels are known, but for their mean, as by 1 / (2 K^2) of the dose at best.

    Least squares does not know that the sum of all pixels has twice the noise, and comes to 1 / (3 K^2).
    """
    text = f"pixel:block={block},masks={block**2},rows=hadamard"
    errors = []
    for operator in (parse_operator("identity", box=BOX), parse_operator(text, box=BOX)):
        x = operator.pinv(dose().counted(flat(), operator, 3, list(range(N))).double(), list(range(N)))
        blocks = x.reshape(N, BOX // block, block, BOX // block, block)
        errors.append(float((blocks - blocks.mean(dim=(2, 4), keepdim=True)).square().mean()))
    assert 2 * block**2 < errors[1] / errors[0]
    assert errors[1] / errors[0] == pytest.approx(3 * block**2, rel=0.1)


def test_a_particle_counts_alone_as_in_a_batch() -> None:
    operator = parse_operator("pixel:block=4,masks=6,sets=3", box=BOX)
    whole = dose().counted(flat(), operator, 3, list(range(N)))
    torch.testing.assert_close(dose().counted(flat()[:1], operator, 3, [17])[0], whole[17])


@pytest.mark.parametrize("spec", ["identity", "pixel:block=4,masks=6", "quantize:bits=2"])
def test_the_command_counts(tmp_path: Path, spec: str) -> None:
    path, _, _ = write_particles(tmp_path)
    options = {"particles": path, "operator": spec, "pixel_size": PIXEL_SIZE}
    plain = measure.run(measure.Options(output=tmp_path / "plain.zarr", **options))
    counted = measure.run(measure.Options(output=tmp_path / "dose.zarr", dose=400.0, readout=2.0, **options))
    assert counted["dose"]["electrons_per_square_angstrom"] == 400
    assert counted["dose"]["exposures"] == (6 if spec.startswith("pixel") else 1)
    assert counted["sigma"] > plain["sigma"] == 0
    stored = read_measurements(tmp_path / "dose.zarr")
    assert stored.sigma_added == counted["sigma"]
    if "bits" not in spec:
        difference = stored.y() - read_measurements(tmp_path / "plain.zarr").y()
        assert np.sqrt(np.square(difference).mean()) == pytest.approx(counted["sigma"], rel=0.1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"sigma": 0.1, "dose": 40.0}, "dose and sigma are both given"),
        ({"readout": 1.0}, "readout without dose"),
        ({"dose": -1.0}, "dose -1: expected electrons"),
        ({"dose": 40.0, "contrast": 0.0}, "contrast 0: expected above 0"),
        ({"dose": 40.0, "operator": "fourier:compression=2"}, "its numbers are no counts of electrons"),
        ({"dose": 40.0, "pixel_size": None}, "pixels of 2 sizes"),
    ],
)
def test_what_cannot_be_counted_is_refused(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    path, _, _ = write_particles(tmp_path)
    given = {"particles": path, "operator": "identity", "output": tmp_path / "y.zarr", "pixel_size": PIXEL_SIZE, **more}
    with pytest.raises(InputError, match=message):
        measure.run(measure.Options(**given))
    assert not (tmp_path / "y.zarr").exists()
    assert read_particles(path).n == 7
