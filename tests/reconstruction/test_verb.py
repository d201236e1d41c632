"""cryoprior.reconstruct: the command without its files, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.io import read_measurements, read_particles, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.reconstruction import Reconstruction
from cryoprior.reconstruction import command as reconstruct
from kit.stacks import draw_optics, draw_table

N, BOX = 10, 32
OPERATOR = f"pixel:block=4,masks=8,sets=3,box={BOX}"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Write particles whose mean grey value and contrast no prior has, and noisy measurements of the last seven."""
    axis = np.arange(BOX) - BOX // 2
    disc = np.hypot(*np.meshgrid(axis, axis)) < BOX / 4
    images = np.random.default_rng(0).normal(30, 5, (N, BOX, BOX)) - 6 * disc
    write_stack(tmp_path / "a.mrcs", images.astype(np.float32), 5.0)
    write_star(tmp_path / "particles.star", draw_table(N), draw_optics(BOX))
    options = {"operator": OPERATOR, "sigma": 0.5, "output": tmp_path / "y.zarr"}
    measure.run(measure.Options(particles=tmp_path / "particles.star", **options))
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "least-squares"},
        {"solver": "posterior"},
        {"solver": "exact:steps=3", "estimate": "sample", "contrast": "bright", "seed": 4},
        {"solver": "exact:steps=2", "deviation": True, "samples": 2, "dtype": "bfloat16"},
        {"solver": "nesterov:steps=3", "spectrum": "prior"},
        {"steps": 2},
    ],
)
def test_the_verb_and_the_command_give_the_same_bits(files: Path, tiny_prior: Path, options: dict[str, object]) -> None:
    given = {"prior": str(tiny_prior), "batch": 4, "device": "cpu", **options}
    summary = reconstruct.run(reconstruct.Options(measurements=files / "y.zarr", output=files / "recon", **given))
    y = read_measurements(files / "y.zarr").y(slice(None))
    verb = cryoprior.reconstruct(y, OPERATOR, sigma=0.5, **given)
    written = read_particles(files / "recon" / "particles.star").read(slice(None))
    np.testing.assert_array_equal(verb.images.numpy(), written)
    if verb.deviation is not None:
        spread = read_particles(files / "recon" / "deviation" / "particles.star").read(slice(None))
        np.testing.assert_array_equal(verb.deviation.numpy(), spread)
    told = {name: summary[name] for name in ("solver", "estimate", "evaluations", "backward")}
    assert told == {name: getattr(verb, name) for name in told}
    assert float(verb.residual.mean()) == pytest.approx(summary["residual"])
    if verb.intensity is not None and verb.contrast is not None:
        assert summary["intensity"] == vars(verb.intensity)
        assert summary["contrast"] == vars(verb.contrast)


def test_particles_keep_their_masks_and_draws_in_any_part(tiny_prior: Path) -> None:
    x = torch.randn(N, BOX, BOX, generator=torch.Generator().manual_seed(0))
    operator = cryoprior.parse_operator(OPERATOR)
    y = cryoprior.measure(x, operator)
    part = cryoprior.reconstruct(y[4:], operator, solver="least-squares", particles=range(4, N))
    torch.testing.assert_close(part.images, operator.pinv(y, range(N))[4:])


def gaussian() -> GaussianPrior:
    return GaussianPrior(torch.ones(BOX, BOX // 2 + 1))


def test_any_denoiser_is_a_prior_and_the_grey_scale_is_found() -> None:
    x = 7 + 3 * torch.randn(N, BOX, BOX, generator=torch.Generator().manual_seed(1))
    y = cryoprior.measure(x, OPERATOR)
    result = cryoprior.reconstruct(y, OPERATOR, gaussian(), contrast="bright")
    assert isinstance(result, Reconstruction)
    assert result.solver.startswith("posterior")  # a Gaussian prior knows every operator
    assert result.intensity is not None
    assert result.intensity.offset == pytest.approx(7, abs=0.2)
    assert result.intensity.scale == pytest.approx(3, rel=0.1)
    assert float(result.residual.max()) < 1e-4
    assert result.warnings == ()


def test_doubts_are_told_in_the_callers_words(tiny_prior: Path) -> None:
    x = torch.randn(N, BOX, BOX, generator=torch.Generator().manual_seed(1))
    operator = cryoprior.parse_operator("crop:size=8", box=BOX)
    result = cryoprior.reconstruct(cryoprior.measure(x, operator), operator, str(tiny_prior), steps=1)
    assert any("pass contrast=bright or dark" in warning for warning in result.warnings)
    assert any("not trained on such measurements" in warning for warning in result.warnings)
    assert len(result.warnings) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "magic"}, "no solver is called 'magic'"),
        ({"solver": "gaussian", "estimate": "sample"}, "estimate 'sample': solver 'gaussian' has mean, signal"),
        ({"solver": "least-squares", "steps": 3}, "steps: solver 'least-squares' has none"),
        ({"contrast": "grey"}, "contrast 'grey': expected one of auto, bright, dark"),
        ({"spectrum": "mine"}, "spectrum 'mine': expected one of measured, prior"),
        ({"dtype": "int8"}, "dtype 'int8': expected one of float32, bfloat16"),
        ({"particles": [1]}, "particles: 1 numbers for 10 rows"),
        ({"sigma": -1.0}, "sigma -1.0: expected at least 0"),
        ({"batch": 0}, "batch 0: expected at least 1"),
        ({"prior": "nowhere"}, "nowhere: no config.json"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, object], message: str) -> None:
    y = torch.randn(N, cryoprior.parse_operator(OPERATOR).m)
    with pytest.raises(InputError, match=message):
        cryoprior.reconstruct(y, OPERATOR, **{"prior": gaussian(), **options})


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(4), r"y: an array of shape \(4,\); expected \(particles, numbers\)"),
        (np.full((2, 4), np.nan), "y: row 0 holds values that are not finite"),
        (np.ones((2, 4)), r"pixel: measurements of shape \(2, 4\)"),
    ],
)
def test_measurements_that_cannot_be_are_refused(y: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        cryoprior.reconstruct(y, OPERATOR, gaussian())


def test_its_repr_is_one_short_line(tiny_prior: Path) -> None:
    y = torch.randn(N, cryoprior.parse_operator(OPERATOR).m)
    result = cryoprior.reconstruct(y, OPERATOR, solver="least-squares")
    assert repr(result).startswith("Reconstruction(10 x 32 x 32, least-squares by least-squares, residual ")
    assert len(result) == N


def test_a_ddpm_of_diffusers_is_named_by_its_folder(files: Path) -> None:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    shape = {"in_channels": 1, "out_channels": 1, "layers_per_block": 1, "block_out_channels": (32, 32)}
    UNet2DModel(sample_size=BOX, **shape, **blocks).save_pretrained(files / "ddpm")
    options = {"prior": str(files / "ddpm"), "steps": 2, "batch": 4, "device": "cpu"}
    summary = reconstruct.run(reconstruct.Options(measurements=files / "y.zarr", output=files / "recon", **options))
    assert summary["solver"].startswith("exact")
    verb = cryoprior.reconstruct(read_measurements(files / "y.zarr").y(), OPERATOR, sigma=0.5, **options)
    np.testing.assert_array_equal(verb.images.numpy(), read_particles(files / "recon" / "particles.star").read())
