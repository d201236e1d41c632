from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.io import read_measurements, read_particles, write_stack
from cryoprior.measurement import command as measure
from cryoprior.measurement import files
from cryoprior.operators import parse_operator
from kit.stacks import N, write_particles

PIXEL = "pixel:block=4,masks=6,sets=2"


@pytest.fixture
def options(tmp_path: Path) -> measure.Options:
    path, _, _ = write_particles(tmp_path)
    return measure.Options(particles=path, output=tmp_path / "y.zarr", operator=PIXEL, seed=3)


def test_measurements_are_those_of_the_operator(options: measure.Options) -> None:
    summary = measure.run(options)
    measured = read_measurements(options.output)
    operator = parse_operator(measured.operator_spec)
    measured.check_operator(operator.digest())
    images = torch.from_numpy(read_particles(options.particles).read(slice(None)))
    expected = operator.forward(images, list(range(N))).numpy()
    np.testing.assert_allclose(measured.y(slice(None)), expected, rtol=1e-5, atol=1e-5)
    assert {"n", "compression", "effective_compression", "stored", "digest"} <= set(summary)
    assert summary["compression"] == pytest.approx(16 / 6)
    assert measured.source == str(options.particles.resolve())
    assert measured.particles_digest == read_particles(options.particles).digest()
    assert {"summary.json", "provenance.json", "particles.star"} <= {p.name for p in options.output.iterdir()}


@pytest.mark.parametrize("operator", [PIXEL, "fourier:compression=3,symmetry=published,sets=2", "identity"])
def test_noise_is_white_and_belongs_to_the_particle(options: measure.Options, operator: str, tmp_path: Path) -> None:
    clean = replace(options, operator=operator, output=tmp_path / "clean.zarr")
    noisy = replace(clean, sigma=0.5, output=tmp_path / "noisy.zarr")
    small = replace(noisy, batch=2, limit=5, output=tmp_path / "small.zarr")
    for run in (clean, noisy, small):
        measure.run(run)
    a, b, c = (read_measurements(run.output) for run in (clean, noisy, small))
    np.testing.assert_allclose(c.y(slice(None)), b.y(slice(0, 5)), rtol=1e-4, atol=1e-5)
    noise = b.y(slice(None)) - a.y(slice(None))
    assert noise[noise != 0].std() == pytest.approx(0.5, rel=0.1)
    assert b.sigma == 0.5
    assert not noise[a.y(slice(None)) == 0].any()


@pytest.mark.parametrize(
    "operator", ["pixel:block=32,masks=256,rows=bernoulli,sets=2", "fourier:compression=2", "identity"]
)
def test_float16_round_trip(tmp_path: Path, operator: str) -> None:
    path, images, _ = write_particles(tmp_path, box=64)
    images += 1000
    if "pixel" in operator:  # the level of a block is no matter for its rounding
        images += np.kron([[3000, -500], [0, 900]], np.ones((32, 32))).astype(np.float32)
    write_stack(tmp_path / "a.mrcs", images, 1.5)
    kwargs = {"particles": path, "operator": operator}
    for dtype in ("float32", "float16"):
        measure.run(measure.Options(output=tmp_path / dtype, dtype=dtype, **kwargs))
    exact, half = (read_measurements(tmp_path / dtype) for dtype in ("float32", "float16"))
    y = exact.y(slice(None))
    about = np.sqrt(512 if "pixel" in operator else 1)
    error = half.y(slice(None)) - y
    assert half.rounding < 2e-3 * about
    assert error.std() == pytest.approx(half.rounding, rel=0.05)
    assert half.sigma == pytest.approx(half.rounding)


def test_resizing_carries_the_pixel_size(options: measure.Options) -> None:
    measure.run(replace(options, box=8))
    measured = read_measurements(options.output)
    assert measured.box == 8
    np.testing.assert_allclose(measured.pixel_size, 2 * read_particles(options.particles).pixel_size)
    assert measured.header.resize == {"original_box": 16, "box": 8, "method": "fourier"}


@pytest.mark.parametrize(("value", "fault"), [(np.nan, "holds NaN or infinity"), (None, "is constant")])
def test_bad_images_are_refused(options: measure.Options, value: float | None, fault: str) -> None:
    images = read_particles(options.particles).read(slice(None))
    images[4, slice(None) if value is None else 2] = 1.0 if value is None else value
    write_stack(options.particles.with_name("a.mrcs"), images, 1.5)
    with pytest.raises(InputError, match=rf"particle 5 \(000005@a.mrcs\) {fault}; expected an image; leave it out"):
        measure.run(options)
    assert not options.output.exists()
    assert {p.name for p in options.output.parent.iterdir()} == {"a.mrcs", "particles.star"}


def test_an_output_in_use_is_kept(options: measure.Options) -> None:
    measure.run(options)
    with pytest.raises(InputError, match=r"in use; pass another output, or overwrite"):
        measure.run(options)
    measure.run(replace(options, overwrite=True))


def test_of_two_runs_at_once_one_works_and_the_other_is_refused(
    options: measure.Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, other = files.measure_unrounded, list[str]()

    def slow(*given: Any) -> torch.Tensor:
        if not other:  # a second process, in the middle of the first
            words = ["measure", options.particles, "-o", options.output, "--operator", PIXEL, "--overwrite"]
            ran = subprocess.run(
                [sys.executable, "-m", "cryoprior", *words], capture_output=True, text=True, check=False
            )
            other.append(ran.stderr)
            assert ran.returncode == 2
        return whole(*given)

    monkeypatch.setattr(files, "measure_unrounded", slow)
    measure.run(options)
    assert "another run is writing it" in other[0]
    assert read_measurements(options.output).y(slice(None)).shape == (N, 96)


def test_the_particles_are_never_overwritten_by_their_measurements(options: measure.Options) -> None:
    folder = options.particles.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"the output holds .*particles.star, which this run reads; pass another"):
            measure.run(replace(options, output=folder, overwrite=overwrite))
    (folder / "images").mkdir()
    (folder / "a.mrcs").rename(folder / "images" / "a.mrcs")  # the images apart from their table
    given = replace(options, datadir=folder / "images", output=folder / "images", overwrite=True)
    with pytest.raises(InputError, match=r"the output holds .*a.mrcs, which this run reads"):
        measure.run(given)
    assert (folder / "images" / "a.mrcs").read_bytes() == before["a.mrcs"]
    assert options.particles.read_bytes() == before["particles.star"]


def test_bad_options_are_refused(options: measure.Options) -> None:
    with pytest.raises(InputError, match=r"sigma -1: expected at least 0"):
        replace(options, sigma=-1)
    with pytest.raises(InputError, match=r"block"):
        measure.run(replace(options, operator="pixel:block=5,masks=6"))
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"device .cuda.: .*; use auto, cpu or cuda"):
            measure.run(replace(options, device="cuda"))
