"""Training particles are recognised by their images: no split, order, name, type or format hides them."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.evaluation.comparison import open_comparison
from cryoprior.housekeeping import convert
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.io.digests import digests_of, image_digests
from cryoprior.io.mrc_writing import StackWriter
from cryoprior.measurement import command as measure
from cryoprior.measurement.reading import open_measurements
from cryoprior.prior.checkpoint import load_prior
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction.overlap import training_overlap, warn_of_overlap
from cryoprior.training import command as train
from kit.sealed import change_json

N, BOX, TRAINED = 30, 32, 16
OPERATOR = "fourier:compression=2,sets=32"
TINY: dict[str, Any] = {"width": 0.25, "steps": 2, "batch": 2, "every": 2, "cpu": True, "validation": 0.2}


def write(folder: Path, name: str, images: np.ndarray, names: list[str] | None = None) -> Path:
    n, box = images.shape[:2]
    write_stack(folder / f"{name}.mrcs", images, 4.0)
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [box]})
    table = pd.DataFrame({"rlnImageName": names or [f"{i + 1}@{name}.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    write_star(folder / f"{name}.star", table, optics)
    return folder / f"{name}.star"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with particles, split by convert at half their box, and a prior of the training part."""
    folder = tmp_path_factory.mktemp("recognised")
    images = np.random.default_rng(0).normal(10, 3, size=(N, BOX, BOX)).astype(np.float32)
    whole = write(folder, "whole", images)
    convert.run(convert.Options(particles=whole, output=folder / "small", box=16, split=20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cryoprior.training.pictures.draw_pictures", lambda *_: None)
        train.run(train.Options(particles=(folder / "small/train.star",), output=folder / "prior", **TINY))
    return folder


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("draw_pictures", "draw_measured_pictures"):
        monkeypatch.setattr(f"cryoprior.training.pictures.{name}", lambda *_: None)


def overlap(work: Path, star: Path, out: Path, **options: Any) -> tuple[int, str | None]:
    measure.run(measure.Options(particles=star, output=out / "y.zarr", operator=OPERATOR, **options))
    found = training_overlap(load_prior(work / "prior"), open_measurements(out / "y.zarr")[0])
    return found.count, found.known_by


@pytest.mark.parametrize(("name", "count"), [("train", TRAINED), ("particles", TRAINED), ("validation", 0)])
def test_the_parts_that_convert_writes(work: Path, tmp_path: Path, name: str, count: int) -> None:
    assert overlap(work, work / f"small/{name}.star", tmp_path) == (count, "images")


def test_the_stack_that_was_resized_to_train(work: Path, tmp_path: Path) -> None:
    assert overlap(work, work / "whole.star", tmp_path, box=16) == (TRAINED, "images")


def test_a_subset_of_its_rows_in_another_order(work: Path, tmp_path: Path) -> None:
    stack = read_particles(work / "small/train.star")
    rows = np.random.default_rng(3).permutation(20)[:15]
    write(tmp_path, "other", stack.read()[rows])
    trained = load_prior(work / "prior").particles
    assert trained is not None
    expected = int(trained.among(image_digests(stack, rows)[:, None]).sum())
    assert 0 < expected < 15
    assert overlap(work, tmp_path / "other.star", tmp_path) == (expected, "images")


def test_a_stack_saved_again_in_float16(work: Path, tmp_path: Path) -> None:
    images = read_particles(work / "small/particles.star").read()
    star = write(tmp_path, "half", images)
    with StackWriter(tmp_path / "half.mrcs", N, 16, 4.0, float16=True) as writer:
        writer.write(images)
    assert not np.array_equal(read_particles(star).read(), images)
    assert overlap(work, star, tmp_path) == (TRAINED, "images")


def test_one_grey_value_in_a_thousand_makes_another_image(work: Path, tmp_path: Path) -> None:
    """What cannot be recognised: images that were changed, as by normalising."""
    images = read_particles(work / "small/particles.star").read()
    assert overlap(work, write(tmp_path, "brighter", images * np.float32(1.01)), tmp_path) == (0, "images")


def test_reconstruct_says_it_and_evaluate_shows_it(
    work: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    star = write(tmp_path, "again", read_particles(work / "small/particles.star").read()[::-1].copy())
    measure.run(measure.Options(particles=star, output=tmp_path / "y.zarr", operator=OPERATOR))
    options = {"measurements": tmp_path / "y.zarr", "prior": str(work / "prior"), "solver": "gaussian"}
    with caplog.at_level(logging.WARNING, "cryoprior"):
        summary = reconstruct.run(reconstruct.Options(output=tmp_path / "recon", **options))
    assert (summary["trained_on_overlap"], summary["trained_on_known_by"]) == (TRAINED, "images")
    assert f"{TRAINED} of {N} particles TRAINED this prior" in caplog.text
    alerts = [alert.title for alert in open_comparison(tmp_path / "recon", star).warnings()]
    assert alerts[0] == "The prior was trained on these particles"


def test_a_prior_of_measurements_knows_what_was_measured(work: Path, tmp_path: Path) -> None:
    measure.run(measure.Options(work / "small/train.star", output=tmp_path / "t.zarr", operator=OPERATOR, sigma=0.1))
    train.run(train.Options(particles=(tmp_path / "t.zarr",), output=tmp_path / "prior", **TINY))
    assert overlap(tmp_path, work / "small/particles.star", tmp_path) == (TRAINED, "images")


def test_a_prior_that_goes_on_knows_all_that_trained_it(work: Path, tmp_path: Path) -> None:
    held_out = work / "small/validation.star"
    options = {"init": str(work / "prior"), "output": tmp_path / "prior", **TINY}
    train.run(train.Options(particles=(held_out,), **options))
    assert overlap(tmp_path, work / "small/particles.star", tmp_path) == (TRAINED + 8, "images")
    assert overlap(tmp_path, held_out, tmp_path / "v")[0] == 8


def test_an_older_prior_knows_the_file_alone_and_says_so(
    work: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(work / "prior", tmp_path / "prior")
    change_json(tmp_path / "prior/config.json", lambda config: config.pop("digests"))
    assert overlap(tmp_path, work / "small/train.star", tmp_path / "a") == (TRAINED, "file")
    assert overlap(tmp_path, work / "small/particles.star", tmp_path / "b") == (0, "file")
    found = training_overlap(load_prior(tmp_path / "prior"), open_measurements(tmp_path / "b/y.zarr")[0])
    with caplog.at_level(logging.WARNING, "cryoprior"):
        warn_of_overlap(found, N, "prior/")
        warn_of_overlap(found, N, "default")
    assert [r.getMessage()[:47] for r in caplog.records if "recognised" in r.getMessage()] == [
        "prior/: not all images that trained it are reco"
    ]


def test_digests_that_were_damaged_are_refused(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work / "prior", tmp_path / "prior")
    path = tmp_path / "prior/particles.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match=r"particles.safetensors: damaged: its digest is not the one in config.json"):
        load_prior(tmp_path / "prior")
    path.unlink()
    with pytest.raises(InputError, match=r"particles.safetensors: no such file"):
        load_prior(tmp_path / "prior")


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e8])
def test_a_digest_tells_images_apart_at_any_grey_scale(scale: float) -> None:
    images = (scale * np.random.default_rng(1).normal(size=(6, 8, 8))).astype(np.float32)
    found = digests_of(images)
    assert len(set(found.tolist())) == 6
    np.testing.assert_array_equal(digests_of(images[::-1].copy())[::-1], found)
    changed = images.copy()
    changed[2, 3, 3] *= 1.01
    assert (digests_of(changed) != found).tolist() == [False, False, True, False, False, False]


def test_the_sign_of_zero_is_nothing() -> None:
    image = np.ones((1, 4, 4), np.float32)
    image[0, 0, 0] = 0.0
    other = image.copy()
    other[0, 0, 0] = -0.0
    assert digests_of(image) == digests_of(other)
    assert digests_of(image * 1e-9) == digests_of(other * 1e-9)
