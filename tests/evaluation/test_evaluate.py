"""evaluate: its numbers, its files, and every input that it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.evaluation import command as evaluate
from cryoprior.io import ReconstructionWriter, read_measurements, read_star, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.operators import parse_operator
from kit.folders import shown

N, BOX, PIXEL_SIZE = 6, 32, 4.0


def write_particles(path: Path, images: np.ndarray, pixel_size: float = PIXEL_SIZE) -> Path:
    n, box = images.shape[:2]
    write_stack(path.with_suffix(".mrcs"), images.astype(np.float32), pixel_size)
    names = [f"{i + 1:06d}@{path.stem}.mrcs" for i in range(n)]
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [pixel_size], "rlnImageSize": [box]})
    write_star(path, pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1}), optics)
    return path


def write_reconstruction(folder: Path, images: np.ndarray, measurements: Path, **summary: object) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    table, optics = read_measurements(measurements).particles
    with ReconstructionWriter(folder, table.iloc[: len(images)], optics) as writer:
        writer.write(images.astype(np.float32))
    recorded = {"measurements": str(measurements), "solver": "test", "estimate": "mean", **summary}
    (folder / "summary.json").write_text(json.dumps(recorded))
    return folder


def particles(n: int = N, box: int = BOX) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy and clean images of one disc."""
    y, x = np.mgrid[:box, :box] - box // 2
    clean = np.repeat((np.hypot(y, x) < box / 4).astype(np.float32)[None], n, 0)
    return clean + np.random.default_rng(0).normal(size=clean.shape).astype(np.float32), clean


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    noisy, clean = particles()
    reference, known = (write_particles(tmp_path / f"{k}.star", v) for k, v in (("particles", noisy), ("clean", clean)))
    y = tmp_path / "y.zarr"
    measure.run(measure.Options(particles=reference, output=y, operator="fourier:pattern=uniform,compression=2,sets=4"))
    recon = write_reconstruction(tmp_path / "recon", noisy, y)
    return {"reference": reference, "clean": known, "y": y, "recon": recon, "out": tmp_path / "report"}


def options(files: dict[str, Path], **more: object) -> evaluate.Options:
    given = {"reconstruction": files["recon"], "reference": files["reference"], "output": files["out"], "lpips": "off"}
    return evaluate.Options(**{**given, **more})


def least_squares(y: Path) -> np.ndarray:
    measured = read_measurements(y)
    operator = parse_operator(measured.operator_spec, box=measured.box)
    x = operator.pinv(torch.from_numpy(measured.y(slice(None))), [int(i) for i in measured.particle_index])
    return x.numpy()


def test_the_original_scores_best_and_the_floors_stand_below(files) -> None:
    summary = evaluate.run(options(files))
    assert summary["n"] == N
    assert summary["metrics"]["ssim"] == {"mean": pytest.approx(1), "std": pytest.approx(0, abs=1e-6)}
    assert summary["metrics"]["residual"]["mean"] < 1e-5
    floors = summary["floors"]
    assert floors["constant"]["ssim"] < floors["least_squares"]["ssim"] < 1
    assert floors["spectrum_noise"]["psnr"] < floors["constant"]["psnr"] < floors["least_squares"]["psnr"]
    assert summary["metrics"]["lpips"]["mean"] is None
    assert floors["constant"]["lpips"] is None
    assert summary["over_least_squares"]["ssim"]["mean"] > 0


def test_a_reconstruction_by_least_squares_scores_as_its_floor(files) -> None:
    write_reconstruction(files["recon"], least_squares(files["y"]), files["y"])
    summary = evaluate.run(options(files, clean=files["clean"]))
    for metric in ("ssim", "psnr"):
        assert summary["metrics"][metric]["mean"] == pytest.approx(summary["floors"]["least_squares"][metric], abs=1e-4)
    clean = summary["clean"]
    assert clean["correlation"] == pytest.approx(clean["least_squares"]["correlation"], abs=1e-4)
    assert clean["frc"] == pytest.approx(clean["least_squares"]["frc"], abs=1e-4)
    assert clean["full_image"]["correlation"] > clean["correlation"] > 0


def test_every_file_is_written_and_says_the_same(files) -> None:
    summary = evaluate.run(options(files, clean=files["clean"], pictures=2))
    out = files["out"]
    names = {"summary.json", "report.json", "report.html", "particles.csv", "frc.csv", "provenance.json"}
    assert shown(out) == names
    assert json.loads((out / "summary.json").read_text())["metrics"]["psnr"] == summary["metrics"]["psnr"]
    table, shells = pd.read_csv(out / "particles.csv"), pd.read_csv(out / "frc.csv")
    assert len(table) == N
    assert table["ssim"].mean() == pytest.approx(summary["metrics"]["ssim"]["mean"], rel=1e-4)
    assert len(shells) == BOX // 2 + 1
    assert shells["resolution_angstrom"].iloc[-1] == 2 * PIXEL_SIZE
    assert shells["frc.reconstruction.original"].min() == pytest.approx(1)
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "posterior mean" in page
    assert 'role="alert"' not in page


def test_results_do_not_depend_on_the_batch(files) -> None:
    scores = []
    for batch in (4, 6):
        evaluate.run(options(files, batch=batch, overwrite=True))
        scores.append(pd.read_csv(files["out"] / "particles.csv").drop(columns="image").to_numpy())
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-5)


def test_limit_and_box_follow_the_measurement(files, tmp_path: Path) -> None:
    noisy, clean = particles(8, 48)
    whole, known = (write_particles(tmp_path / f"{k}.star", v) for k, v in (("large", noisy), ("large_clean", clean)))
    y = tmp_path / "small.zarr"
    spec = "pixel:block=4,masks=8,rows=hadamard"
    measure.run(measure.Options(particles=whole, output=y, operator=spec, box=BOX, resize="bicubic", limit=3))
    write_reconstruction(files["recon"], least_squares(y), y)
    summary = evaluate.run(options(files, reference=whole, clean=known))
    assert summary["n"] == 3
    assert summary["metrics"]["residual"]["mean"] < 1e-4
    assert summary["metrics"]["ssim"]["mean"] == pytest.approx(summary["floors"]["least_squares"]["ssim"], abs=1e-4)


def test_a_reconstruction_of_the_first_particles_is_compared_with_the_first(files) -> None:
    write_reconstruction(files["recon"], particles()[0][:4], files["y"], n=4)
    summary = evaluate.run(options(files, clean=files["clean"]))
    assert summary["n"] == 4
    assert summary["metrics"]["ssim"]["mean"] == pytest.approx(1)


def test_trained_on_particles_are_reported_loudly(files, caplog: pytest.LogCaptureFixture) -> None:
    write_reconstruction(files["recon"], particles()[0], files["y"], trained_on_overlap=5)
    summary = evaluate.run(options(files))
    assert summary["warnings"] == ["The prior was trained on these particles"]
    page = (files["out"] / "report.html").read_text()
    assert 'class="alert danger"' in page
    assert "5 of these particles trained the prior" in page
    assert "trained the prior" in caplog.text


@pytest.mark.parametrize("known", [False, True, None])
def test_a_kind_of_operator_that_the_prior_was_not_trained_on_is_noted(
    files, caplog: pytest.LogCaptureFixture, known: bool | None
) -> None:
    write_reconstruction(files["recon"], particles()[0], files["y"], trained_operator=known)
    title, warned = "The prior was not trained on this kind of operator", known is False
    summary = evaluate.run(options(files))
    assert summary["warnings"] == ([title] if warned else [])
    page = (files["out"] / "report.html").read_text()
    assert (title in page) is warned
    assert ("compare it with the solver exact" in caplog.text) is warned


def test_another_reference_than_the_measured_one_is_noted(files, tmp_path: Path) -> None:
    other = write_particles(tmp_path / "other.star", particles()[0] + 1)
    summary = evaluate.run(options(files, reference=other))
    assert summary["warnings"] == ["The reference differs from what was measured"]


@pytest.fixture
def drawn(tmp_path: Path) -> dict[str, Path]:
    """Return files of particles that differ from one another, noisy and clean, with poses that say which are which."""
    rng = np.random.default_rng(5)
    clean = rng.normal(size=(N, BOX, BOX)).cumsum(1).cumsum(2)
    clean = (clean - clean.mean((1, 2), keepdims=True)) / clean.std((1, 2), keepdims=True)
    files = {}
    for name, images in (("particles", clean + rng.normal(size=clean.shape)), ("clean", clean)):
        path = write_particles(tmp_path / f"{name}.star", images)
        blocks = read_star(path)
        angles = {f"rlnAngle{k}": 10.0 * i + np.arange(N) for i, k in enumerate(("Rot", "Tilt", "Psi"))}
        write_star(path, blocks["particles"].assign(**angles), blocks["optics"])
        files[name] = path
    y = tmp_path / "y.zarr"
    spec = "fourier:pattern=uniform,compression=2,sets=4"
    measure.run(measure.Options(particles=files["particles"], output=y, operator=spec))
    recon = write_reconstruction(tmp_path / "recon", least_squares(y), y)
    return {
        "reference": files["particles"],
        "clean": files["clean"],
        "y": y,
        "recon": recon,
        "out": tmp_path / "report",
    }


def reordered(path: Path, rows: list[int], **columns: object) -> Path:
    blocks = read_star(path)
    table = blocks["particles"].iloc[rows].assign(**columns)
    write_star(path.with_name(f"reordered_{path.name}"), table, blocks["optics"])
    return path.with_name(f"reordered_{path.name}")


def test_the_order_of_reference_and_clean_does_not_matter(drawn, caplog: pytest.LogCaptureFixture) -> None:
    straight = evaluate.run(options(drawn, clean=drawn["clean"]))
    others = {key: reordered(drawn[key], [3, 0, 5, 1, 2, 4]) for key in ("reference", "clean")}
    turned = evaluate.run(options(drawn, **others, overwrite=True))
    assert turned["warnings"] == ["The reference differs from what was measured"]
    for key in ("metrics", "clean", "floors"):
        assert turned[key] == straight[key]
    assert straight["clean"]["full_image"]["correlation"] > 0.6
    assert "nothing says which" not in caplog.text


def test_particles_that_are_not_in_the_reference_are_named(drawn) -> None:
    some = reordered(drawn["reference"], [3, 0, 5, 1])
    refuse(
        drawn, r"reordered_particles.star: 2 of the 6 particles of .*y.zarr are not in it, by image f", reference=some
    )


def test_other_images_under_the_same_names_are_refused(drawn, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = write_particles(
        tmp_path / "elsewhere" / "particles.star", np.random.default_rng(8).normal(size=(N, BOX, BOX))
    )
    refuse(drawn, r"particles.star: its images are not those that were measured .*: their correlation", reference=other)


def test_missing_lpips_weights_say_how_to_get_them(files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRYOPRIOR_CACHE", str(tmp_path / "no cache"))
    summary = evaluate.run(options(files, lpips="auto"))
    assert "--lpips fetch" in summary["metrics"]["lpips"]["note"]
    assert "--lpips fetch" in (files["out"] / "report.html").read_text()


def refuse(files: dict[str, Path], match: str, **more: object) -> None:
    with pytest.raises(InputError, match=match):
        evaluate.run(options(files, **more))
    assert not files["out"].exists()
    assert not list(files["out"].parent.glob(".*partial"))


def test_what_does_not_belong_together_is_refused(files, tmp_path: Path) -> None:
    noisy, _ = particles(N + 1)
    more = write_particles(tmp_path / "more.star", noisy)
    fewer = write_particles(tmp_path / "fewer.star", noisy[:4])
    small = write_particles(tmp_path / "small.star", noisy[:N, :24, :24])
    scaled = write_particles(tmp_path / "scaled.star", noisy[:N], 2 * PIXEL_SIZE)
    refuse(files, "4 particles; .* has 6", reference=fewer)
    refuse(files, "4 particles; .* has 6", clean=fewer)
    refuse(files, "7 particles; .* has 6", clean=more)
    refuse(files, "box 24; .* has box 32", reference=small)
    refuse(files, "box 24; .* has box 32", clean=small)
    refuse(files, r"pixel size 8.0000 A .* has 4.0000 A", reference=scaled)


def test_an_incomplete_reconstruction_is_refused(files, tmp_path: Path) -> None:
    whole = particles()[0]
    write_reconstruction(files["recon"], whole[:4], files["y"])
    refuse(files, "6 particles; .* has 4; pass the measurements that were reconstructed")
    write_reconstruction(files["recon"], whole, files["y"])
    refuse(
        files,
        "no particles.star; expected a folder that cryoprior reconstruct wrote",
        reconstruction=tmp_path / "nothing",
    )
    (files["recon"] / "summary.json").write_text("{}")
    refuse(files, "records no measurements; pass measurements=y.zarr")
    (files["recon"] / "summary.json").write_text("{")
    refuse(files, "not JSON")
    (files["recon"] / "summary.json").write_text('{"measurements": "gone.zarr"}')
    refuse(files, "gone.zarr: these measurements, .* are not there; pass measurements=y.zarr")
    assert evaluate.run(options(files, measurements=files["y"]))["n"] == N


def test_images_that_have_no_score_are_refused(files, tmp_path: Path) -> None:
    noisy, _ = particles()
    noisy[2] = np.nan
    write_reconstruction(files["recon"], noisy, files["y"])
    refuse(files, "particle 3 is not finite")
    noisy[2] = 1
    refuse(files, "particle 3 is constant", reference=write_particles(tmp_path / "constant.star", noisy))


def test_an_output_in_use_is_refused(files) -> None:
    evaluate.run(options(files))
    with pytest.raises(InputError, match="in use"):
        evaluate.run(options(files))


@pytest.mark.parametrize(("field", "value"), [("lpips", "perhaps"), ("limit", 0), ("batch", 0), ("pictures", -1)])
def test_options_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{field} "):
        evaluate.Options(reconstruction=Path("a"), reference=Path("b"), output=Path("c"), **{field: value})
