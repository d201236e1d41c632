"""cryoprior.evaluate: the command without its files, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cryoprior
from cryoprior.errors import InputError
from cryoprior.evaluation import command as evaluate
from cryoprior.io import ReconstructionWriter, read_measurements, write_stack, write_star
from cryoprior.measurement import command as measure

N, BOX, PIXEL_SIZE = 6, 32, 4.0
OPERATOR = "fourier:compression=2,sets=4"


def stacks() -> dict[str, np.ndarray]:
    """Return clean discs, the same in noise, and a reconstruction between the two."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    clean = np.repeat((np.hypot(y, x) < BOX / 4).astype(np.float32)[None], N, 0)
    particles = clean + np.random.default_rng(0).normal(size=clean.shape).astype(np.float32)
    return {"clean": clean, "particles": particles, "recon": 0.7 * clean + 0.3 * particles}


@pytest.mark.parametrize("with_clean", [True, False])
def test_the_verb_and_the_command_give_the_same_numbers(tmp_path: Path, with_clean: bool) -> None:
    images, optics = stacks(), {"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL_SIZE], "rlnImageSize": [BOX]}
    for name in ("clean", "particles"):
        write_stack(tmp_path / f"{name}.mrcs", images[name], PIXEL_SIZE)
        names = [f"{i + 1:06d}@{name}.mrcs" for i in range(N)]
        table = pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1})
        write_star(tmp_path / f"{name}.star", table, pd.DataFrame(optics))
    reference, path = tmp_path / "particles.star", tmp_path / "y.zarr"
    measure.run(measure.Options(particles=reference, output=path, operator=OPERATOR))
    measurements = read_measurements(path)
    with ReconstructionWriter(tmp_path / "recon", *measurements.particles) as writer:
        writer.write(images["recon"])
    (tmp_path / "recon" / "summary.json").write_text(json.dumps({"measurements": str(path)}))
    clean, seed = (tmp_path / "clean.star" if with_clean else None), {"seed": 3, "batch": 4, "lpips": "off"}
    summary = evaluate.run(
        evaluate.Options(tmp_path / "recon", reference=reference, output=tmp_path / "out", clean=clean, **seed)
    )
    verb = cryoprior.evaluate(
        images["recon"],
        images["particles"],
        images["clean"] if with_clean else None,
        measurements.y(slice(None)),
        measurements.operator_spec,
        pixel_size=PIXEL_SIZE,
        **seed,
    )
    assert verb.summary == {key: value for key, value in summary.items() if key != "warnings"}
    shells = json.loads((tmp_path / "out" / "report.json").read_text())["shells"]
    for name, values in verb.shells.items():
        np.testing.assert_array_equal(values[1:], np.array(shells[name][1:]))


def test_without_measurements_there_is_no_residual_and_no_least_squares() -> None:
    images = stacks()
    scores = cryoprior.evaluate(images["recon"], images["particles"], images["clean"], lpips="off")
    assert set(scores.floors) == {"constant", "spectrum_noise"}
    assert "residual" not in scores.metrics
    assert scores.floors["constant"]["ssim"] < scores.metrics["ssim"]["mean"] < 1
    assert scores.summary["clean"]["correlation"] > scores.clean["original"]["correlation"]
    assert set(scores.curves("frc", "clean")) == {"reconstruction", "full noisy image"}
    assert len(scores.particles["psnr"]) == N


def test_its_repr_is_one_short_line() -> None:
    images = stacks()
    text = repr(cryoprior.evaluate(images["recon"], images["particles"], lpips="off"))
    assert text.startswith("Evaluation(6 particles of 32 x 32, ssim ")
    assert len(text) < 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"original": np.ones((N, BOX, BOX))}, "original: row 0 is constant"),
        ({"original": stacks()["particles"][1:]}, r"original: images of shape \(5, 32, 32\); x has \(6, 32, 32\)"),
        ({"clean": stacks()["clean"][:, 1:, 1:]}, r"clean: images of shape \(6, 31, 31\)"),
        ({"y": np.ones((N, 3))}, "y and operator belong together"),
        ({"operator": OPERATOR}, "y and operator belong together"),
        ({"y": np.ones((2, 3)), "operator": OPERATOR}, "y: 2 rows; x has 6"),
        ({"lpips": "on"}, "lpips 'on': expected one of auto, off, fetch"),
        ({"batch": 0}, "batch 0: expected at least 1"),
    ],
)
def test_what_does_not_belong_together_is_refused(options: dict[str, object], message: str) -> None:
    given = {"x": stacks()["recon"], "original": stacks()["particles"], "lpips": "off", **options}
    with pytest.raises(InputError, match=message):
        cryoprior.evaluate(**given)
