"""The check of a prior by withheld numbers: unbiased against the truth, and a wrong prior is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.measurement import command as measure
from cryoprior.measurement.conditioning import Measurement
from cryoprior.metrics.rings import shell_powers
from cryoprior.operators import parse_operator
from cryoprior.prior.checkpoint import Prior
from cryoprior.prior.config import PriorConfig
from cryoprior.prior.evidence import Evidence
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.posterior import posterior_mean
from cryoprior.prior.signal import Spectra
from cryoprior.random import ParticleNoise
from cryoprior.reconstruction import checking, choice
from cryoprior.reconstruction import command as reconstruct
from cryoprior.reconstruction import denoise_command as denoise
from cryoprior.reconstruction.check import Check
from cryoprior.reconstruction.page import check_section, reading
from cryoprior.reconstruction.withholding import SHARE, _drawn, as_frequencies, predict_withheld

BOX, N = 16, 400
OPERATORS = ("fourier:compression=2,sets=20", "pixel:block=4,masks=8,rows=hadamard,sets=8", "identity")
EACH_OPERATOR = pytest.mark.parametrize("text", OPERATORS)
Answer = Callable[[Evidence], Tensor]


def spectra() -> tuple[Tensor, Tensor]:
    radius = torch.hypot(torch.fft.fftfreq(BOX)[:, None], torch.fft.rfftfreq(BOX))
    return 4.0 * torch.exp(-((radius / 0.12) ** 2)) + 0.05, torch.full_like(radius, 0.5)


class Answering(GaussianPrior):
    """A prior of the right spectra whose estimate of the signal is any function of the evidence."""

    def __init__(self, answer: Answer) -> None:
        signal, noise = spectra()
        super().__init__(signal + noise, noise)
        self.answer = answer

    def estimate(self, evidence: Evidence) -> Tensor:
        return self.answer(evidence)

    def with_power_factor(self, box: int, factor: Tensor) -> "Answering":
        return self


def template() -> Tensor:
    axis = torch.arange(BOX) - BOX // 2
    y, x = torch.meshgrid(axis.float(), axis.float(), indexing="ij")
    return torch.exp(-((x - 2) ** 2 + y**2) / 6) - 0.7 * torch.exp(-((x + 2) ** 2 + (y - 1) ** 2) / 5)


def particles(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return images and their signal: a template of random sign beside a stationary signal, and white noise."""
    law, draw = Answering(lambda e: e.linear), ParticleNoise(seed, "particles", range(N)).normal_like
    sign = torch.where(draw(torch.empty(N, 1, 1)) < 0, -1.0, 1.0)
    s = 2 * sign * template() + 0.7 * GaussianPrior(law.power - law.noise).draw(draw(torch.empty(N, BOX, BOX)))
    return s + 0.5**0.5 * draw(s), s


def knowing(evidence: Evidence) -> Tensor:
    """Return the template with the sign that the linear estimate has, beside what the linear estimate says."""
    known = template()
    along = (evidence.linear * known).sum((1, 2), keepdim=True) / known.square().sum()
    return 0.5 * evidence.linear + 1.6 * torch.tanh(2 * along) * known


def inventing(evidence: Evidence) -> Tensor:
    """Return the linear estimate with a template beside it that no particle has."""
    return evidence.linear + 0.8 * template().flip(0).roll(3, 1)


def checked(text: str, answer: Answer, x: Tensor, seed: int = 3) -> Any:
    operator, rows = parse_operator(text, box=BOX), list(range(len(x)))
    return predict_withheld(Answering(answer), operator, operator.forward(x, rows), 0.0, rows, seed=seed)


@pytest.mark.parametrize("answer", [knowing, inventing, lambda e: 1.7 * e.linear])
@EACH_OPERATOR
def test_it_is_unbiased_against_the_truth(text: str, answer: Answer) -> None:
    # The oracle: the same split and the same predictions, judged by images without noise.
    x, s = particles()
    operator, rows = parse_operator(text, box=BOX), list(range(N))
    prior, y = Answering(answer), operator.forward(x, rows)
    found = predict_withheld(prior, operator, y, 0.0, rows, seed=3)
    frequencies, values = as_frequencies(operator, y, rows)
    keep = _drawn(frequencies, rows, 3)
    shown = Measurement(frequencies, values, 0.0, rows, "test", keep)
    known = Measurement(frequencies, values, 0.0, rows, "test").known
    linear = shown.condition(torch.zeros_like(x), prior.power, tolerance=1e-6)
    ours = posterior_mean(prior, shown, tolerance=1e-6)

    def held(image: Tensor) -> Tensor:
        return frequencies.synthesise((1 - keep) * known * frequencies.analyse(image, rows), rows)

    truth = shell_powers(held(s - linear), ours - linear).cross
    assert_equal_within_noise(found.confirmed, truth)
    gain = sum(shell_powers(held(s - a), s - a).cross * sign for a, sign in ((linear, 1), (ours, -1)))
    total = (found.prior - found.linear).sum(1)
    assert_equal_within_noise(
        total[:, None], (held(s - linear).square() - held(s - ours).square()).sum((1, 2))[:, None]
    )
    assert gain.shape == found.prior.shape


def assert_equal_within_noise(found: Tensor, truth: Tensor) -> None:
    difference = found - truth
    error = difference.std(0) / len(found) ** 0.5
    deviates = difference.mean(0).abs() / error.clamp_min(1e-9)
    assert float(deviates.max()) < 4.0, "means differ by more than their standard error"
    assert float(error.sum()) > 0, "noise that is not there tests nothing"


@EACH_OPERATOR
def test_a_prior_that_knows_more_than_a_spectrum_is_better_and_one_that_invents_is_worse(text: str) -> None:
    x, _ = particles()
    good, bad = (as_check(checked(text, answer, x)) for answer in (knowing, inventing))
    assert good.better is True
    assert "better than the linear estimate" in good.says
    assert bad.better is False
    assert "WORSE" in bad.says
    assert bad.whole["confirmed"] < 0.3
    assert [block for block in check_section(bad).blocks if "does not fit" in getattr(block, "title", "")]


def as_check(withheld: Any) -> Check:
    half = torch.full((BOX // 2 + 1,), 0.5, dtype=torch.float64)
    return Check(withheld, half, half, BOX, 4.0)


def test_the_linear_estimate_is_told_from_nothing_but_itself() -> None:
    found = as_check(checked(OPERATORS[0], lambda e: e.linear, particles()[0]))
    assert found.better is None
    assert "cannot tell" in found.says
    assert abs(found.whole["gain"]) < 1e-3


def test_what_the_prior_overstates_is_confirmed_in_part() -> None:
    # The template with twice its amplitude: half of what is added is there.
    x, s = particles()
    known = template()
    x, s = x - s, torch.zeros_like(s)
    x = x + 0.7 * known
    found = as_check(checked("fourier:compression=2,sets=20", lambda e: e.linear + 1.4 * known, x))
    assert found.whole["confirmed"] == pytest.approx(0.5, abs=4 * found.whole["confirmed_error"])
    assert found.whole["confirmed_error"] < 0.1
    assert "invented" in found.says or found.better is None
    band = {"gain": 0.5, "gain_error": 0.1, "confirmed": 0.5, "confirmed_error": 0.1}
    assert reading(band) == "partly invented"
    assert reading({**band, "gain": -0.5}) == "misleads"
    assert reading({**band, "gain": 0.1}) == "cannot be told"
    assert reading({**band, "confirmed": 1.5}) == "more than it says"
    assert reading({**band, "confirmed": 0.9}) == "as it says"


def test_errors_are_those_of_repeated_draws() -> None:
    ratios, errors = [], []
    for seed in range(24):
        x, _ = particles(seed + 1)
        found = as_check(checked(f"fourier:compression=2,sets=60,seed={seed}", knowing, x[:60], seed))
        ratios.append(found.whole["gain"])
        errors.append(found.whole["gain_error"])
    assert float(np.mean(errors)) == pytest.approx(float(np.std(ratios)), rel=0.4)


@EACH_OPERATOR
def test_a_fifth_is_withheld_whatever_the_numbers_are(text: str) -> None:
    operator = as_frequencies(parse_operator(text, box=BOX), torch.zeros(N, parse_operator(text, box=BOX).m), range(N))[
        0
    ]
    keep = _drawn(operator, list(range(N)), 5)
    known = operator.singular_values(list(range(N))) > 0
    assert float(1 - keep[known].mean()) == pytest.approx(SHARE, abs=0.01)
    torch.testing.assert_close(keep[7:9], _drawn(operator, [7, 8], 5))
    assert not torch.equal(keep, _drawn(operator, list(range(N)), 6))


def test_shares_of_the_signal_add_up() -> None:
    found = as_check(checked(OPERATORS[0], knowing, particles()[0]))
    total = found.shells[["measured", "predicted", "unknown"]].sum(axis=1)
    np.testing.assert_allclose(total, 1)
    assert (found.shells["predicted"] > -1e-12).all()
    nothing = as_check(checked(OPERATORS[0], inventing, particles()[0]))
    np.testing.assert_allclose(nothing.whole["measured"], 0.5 * 0.5 / 1.5)
    assert nothing.whole["predicted"] == pytest.approx(0, abs=1e-12)
    exact = Check(found.withheld, torch.ones(BOX // 2 + 1), torch.full((BOX // 2 + 1,), 1e9), BOX, 4.0)
    assert exact.whole["measured"] == pytest.approx(1)


@pytest.fixture
def star(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    x, _ = particles()
    write_stack(tmp_path / "p.mrcs", (3 * x + 20).numpy(), 4.0)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@p.mrcs" for i in range(N)], "rlnOpticsGroup": 1})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [BOX]})
    write_star(tmp_path / "p.star", table, optics)
    flat = {"spectra": {BOX: Spectra((1.0,), (0.0,))}, "intensity": {}, "pixel_size_angstrom": (4.0, 4.0)}
    config = PriorConfig(objective="test", channels=(1,), layers=1, **flat)  # type: ignore[arg-type]
    opened = Prior(Aware(knowing), config, Path("prior"))
    for module in (choice, checking):
        monkeypatch.setattr(module, "load_prior", lambda name, device: opened)
    return tmp_path / "p.star"


class Aware(Answering):
    operator_aware = True
    means_only = False


def test_the_command_writes_page_table_and_summary(star: Path) -> None:
    y, out = star.with_name("y.zarr"), star.parent
    measure.run(measure.Options(particles=star, output=y, operator="fourier:compression=2,sets=20"))
    options: dict[str, Any] = {"contrast": "bright", "check": True, "check_particles": 100}
    summary = reconstruct.run(
        reconstruct.Options(measurements=y, output=out / "recon", solver="least-squares", limit=150, **options)
    )
    assert summary["check"]["n"] == 100
    assert summary["check"]["says"]
    table = pd.read_csv(out / "recon/check.csv")
    assert list(table["shell"]) == list(range(1, BOX // 2 + 1))
    assert {"measured", "predicted", "unknown", "gain", "gain_error", "confirmed"} <= set(table.columns)
    page = (out / "recon/report.html").read_text()
    assert "What the prior knows, without truth" in page
    assert "Signals are no data" not in page
    signal = denoise.run(denoise.Options(particles=star, output=out / "den", solver="gaussian", limit=20, **options))
    assert signal["check"]["n"] == 20
    page = (out / "den/report.html").read_text()
    assert page.count('type="range"') == 3
    assert "Signals are no data for a map" in page
    assert read_particles(out / "den/particles.star").n == 20


def test_without_the_check_the_page_says_that_nothing_was_checked(star: Path) -> None:
    denoise.run(denoise.Options(particles=star, output=star.parent / "den", solver="gaussian", limit=5))
    assert "Not checked" in (star.parent / "den/report.html").read_text()
    assert not (star.parent / "den/check.csv").exists()


def test_a_prior_that_cannot_be_asked_is_refused_before_any_work(star: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = choice.load_prior("default", torch.device("cpu"))
    plain = Answering(knowing)
    object.__setattr__(plain, "operator_aware", False)
    other = Prior(plain, opened.config, Path("prior"))  # type: ignore[union-attr]
    for module in (choice, checking):
        monkeypatch.setattr(module, "load_prior", lambda name, device: other)
    with pytest.raises(InputError, match=r"check: the prior 'prior' cannot be asked about a part of a measurement"):
        denoise.run(
            denoise.Options(particles=star, output=star.parent / "x", solver="gaussian", prior="prior", check=True)
        )
    assert not (star.parent / "x").exists()


def test_sums_of_pixels_are_said_to_be_mixed(star: Path) -> None:
    found = {}
    for name, operator in (("pixel", OPERATORS[1]), ("fourier", OPERATORS[0])):
        y = star.with_name(f"{name}.zarr")
        measure.run(measure.Options(particles=star, output=y, operator=operator, limit=40))
        check = checking.check_file(y, "default", torch.device("cpu"))
        assert check.n == 40
        found[name] = check_section(check).html()
    assert "sum of pixels" in found["pixel"]
    assert "sum of pixels" not in found["fourier"]
