from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.measurement import command as measure
from kit.models import fold, write_model
from kit.stacks import BOX, N, draw_images, write_particles

ROOMS = (
    *("evaluation", "heterogeneity", "maps", "measurement", "models", "poses", "prior", "reconstruction"),
    *("referee", "simulation", "training"),
    *("solvers", "operators", "metrics", "io", "report"),
)


@pytest.mark.parametrize("name", cryoprior.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(cryoprior, name) is not None


def test_the_lists_of_names_agree() -> None:
    assert {*cryoprior._MODULES, *cryoprior._NAMES, "__version__"} == set(cryoprior.__all__) == set(dir(cryoprior))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _ = cryoprior.nope


@pytest.mark.parametrize("module", ["cryoprior", "cryoprior.errors", "cryoprior.io"])
def test_these_are_imported_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [name for name in cryoprior.__all__ if callable(getattr(cryoprior, name))])
def test_every_public_name_says_what_it_is(name: str) -> None:
    item = getattr(cryoprior, name)
    text = inspect.getdoc(item) or ""
    assert text.split("\n")[0].endswith("."), f"{name}: its docstring begins with no sentence"
    if inspect.isfunction(item):
        missing = [p for p in inspect.signature(item).parameters if not p.startswith("_") and p not in text]
        assert not missing, f"{name}: its docstring does not tell of {', '.join(missing)}"
        assert "InputError" in text, f"{name}: its docstring promises no error"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_lists_its_public_names(room: str) -> None:
    module = importlib.import_module(f"cryoprior.{room}")
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    for name in module.__all__:
        item = getattr(module, name)
        assert not name.startswith("_")
        assert inspect.getdoc(item), name
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _ = module.nope


def objects(folder: Path) -> list[Any]:
    """Return one of every kind of object that a caller meets."""
    particles = write_particles(folder)[0]
    measure.run(measure.Options(particles=particles, output=folder / "y.zarr", operator="identity"))
    power = torch.ones(BOX, BOX // 2 + 1)
    prior = cryoprior.as_prior(lambda x, tau: x, box=BOX, spectrum=power)
    operators = ["pixel:block=4,masks=6,sets=3", "fourier:pattern=ring,compression=2", "bin:factor=2", "crop:size=8"]
    y = cryoprior.measure(draw_images(), "identity")
    result = cryoprior.reconstruct(y, f"identity:box={BOX}", prior, "exact:steps=2,samples=2")
    noise = cryoprior.ParticleNoise(0, "repr", range(N))
    axis = torch.linspace(-2, 2, BOX).square()
    body = torch.exp(-(axis[:, None, None] + 2 * axis[None, :, None] + 3 * axis))
    simulated = cryoprior.simulate(body, N, snr=1.0)
    maps = cryoprior.make_maps(simulated.images, simulated.euler_deg, pixel_size=5.0)
    solution = cryoprior.parse_solver("least-squares").solve(
        y, cryoprior.parse_operator("identity", BOX), None, 0, noise
    )
    return [
        cryoprior.read_particles(particles)[:2],
        cryoprior.read_measurements(folder / "y.zarr")[:2],
        *(cryoprior.parse_operator(text, box=BOX) for text in operators),
        *(solver() for solver in cryoprior.SOLVERS.values()),
        cryoprior.prior.GaussianPrior(power),
        prior,
        prior.config,
        prior.config.spectra[BOX],
        result,
        result.intensity,
        result.contrast,
        solution,
        noise,
        cryoprior.evaluate(result.images, draw_images(), lpips="off"),
        *trained(),
        *states(),
        *models(folder),
        simulated,
        maps,
        cryoprior.judge_maps(maps, truth=body),
        cryoprior.compare_maps(maps.half_1, maps.half_2, 5.0),
        *audited(maps),
        cryoprior.OPERATORS,
        cryoprior.SOLVERS,
        cryoprior.metrics.METRICS["ssim"],
    ]


def trained() -> list[Any]:
    prior = cryoprior.train(draw_images(), 5.0, steps=1, batch=2, width=0.25, device="cpu")
    return [prior, prior.curve[0], prior.setup.preset]


def audited(maps: Any) -> list[Any]:
    audit = cryoprior.audit_maps(maps.half_1, maps.half_2, maps.half_1, maps.half_2, 5.0)
    return [audit, audit.maps, audit.found, audit.weights]


def states() -> list[Any]:
    latents = np.random.default_rng(0).normal(size=(60, 3))
    agreement = cryoprior.agreement(latents, latents, np.arange(60) % 2, embedding="pca", seeds=1, starts=1, clusters=2)
    return [agreement, agreement.clusterings["original"][0], agreement.scores, agreement.labelled, agreement.chance]


def models(folder: Path) -> list[Any]:
    score = cryoprior.score_models(*[write_model(folder / "a.cif", {"A": ("MKV" * 8, fold(24))})] * 2)
    return [score, score.a, score.a.chains[0], score.matched]


def test_what_stands_alone_in_a_notebook_is_one_short_line(tmp_path: Path) -> None:
    for item in objects(tmp_path):
        text = repr(item)
        assert "\n" not in text, text
        assert len(text) <= 240, f"{len(text)} characters: {text}"
        assert "tensor(" not in text, text
        assert "array(" not in text, text
