"""as_prior: a function with a spectrum is a prior like any other; draw: images of a prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import cryoprior
from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, power_spectrum, radial_average, shell_index
from cryoprior.prior.denoiser import Denoiser
from cryoprior.prior.gaussian import GaussianPrior

BOX, MEAN, SPREAD = 16, 20.0, 4.0
OPERATOR = f"pixel:block=4,masks=8,sets=3,box={BOX}"


def curve() -> Tensor:
    shells = torch.arange(int(shell_index(BOX).max()) + 1, dtype=torch.float64)
    curve = 1 / (1 + (shells / 3) ** 2)
    full = GaussianPrior(curve[shell_index(BOX)])
    from cryoprior.image.spectrum import pixel_variance

    return curve / pixel_variance(full.power)


POWER = curve()[shell_index(BOX)].float()


def wiener(x: Tensor, tau: Tensor) -> Tensor:
    """Denoise Gaussian images of mean 20 and deviation 4, as somebody might who knows nothing of this package."""
    power = SPREAD**2 * POWER
    return MEAN + apply_filter(x - MEAN, power / (power + tau[:, None, None] ** 2))


def images(n: int, seed: int = 0) -> Tensor:
    white = torch.randn(n, BOX, BOX, generator=torch.Generator().manual_seed(seed))
    return MEAN + SPREAD * GaussianPrior(POWER).draw(white)


@pytest.mark.parametrize("form", ["shells", "short", "grid", "images", "numpy"])
def test_a_function_is_the_prior_that_it_stands_for(form: str) -> None:
    radial = SPREAD**2 * curve()
    spectrum, tolerance = {
        "shells": (radial, 1e-4),
        "short": (radial[: BOX // 2 + 1], 0.5),
        "grid": (radial[shell_index(BOX)], 1e-4),
        "images": (images(500), 0.2),
        "numpy": (radial.numpy(), 1e-4),
    }[form]
    prior = cryoprior.as_prior(wiener, box=BOX, spectrum=spectrum, mean=MEAN if form != "images" else None)
    assert isinstance(prior, Denoiser)
    assert prior.boxes == (BOX,)
    exact = GaussianPrior(POWER)
    x, tau = torch.randn(3, BOX, BOX), torch.tensor([0.1, 1.0, 9.0])
    torch.testing.assert_close(prior(x, tau), exact(x, tau), rtol=0, atol=0.1 if form in ("images", "short") else 1e-3)
    shells = radial_average(prior.spectrum(BOX).double())[: BOX // 2]
    torch.testing.assert_close(shells, curve()[: BOX // 2], rtol=tolerance, atol=0)


@pytest.mark.parametrize("solver", ["exact:steps=8", "nesterov:steps=5", "dps:steps=4", "ddrm:steps=4", "gaussian"])
def test_every_solver_takes_it_and_gives_what_the_known_prior_gives(solver: str) -> None:
    x = 3 * images(12) + 100  # yet another grey scale: that of the data
    y = cryoprior.measure(x, OPERATOR)
    ours = cryoprior.as_prior(wiener, box=BOX, spectrum=SPREAD**2 * curve(), mean=MEAN)
    options = {"spectrum": "prior", "contrast": "bright", "solver": solver}
    found = cryoprior.reconstruct(y, OPERATOR, ours, **options)
    known = cryoprior.reconstruct(y, OPERATOR, GaussianPrior(POWER), **options)
    torch.testing.assert_close(found.images, known.images, rtol=0, atol=0.02 * float(x.std()))
    assert found.intensity is not None
    assert found.intensity.offset == pytest.approx(160, rel=0.05)


def test_auto_takes_exact_for_a_function() -> None:
    ours = cryoprior.as_prior(wiener, box=BOX, spectrum=curve())
    y = cryoprior.measure(images(4), OPERATOR)
    assert cryoprior.reconstruct(y, OPERATOR, ours, steps=2).solver.startswith("exact")
    assert repr(ours) == "Prior('wiener', PriorConfig(function; boxes 16; 0 steps))"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"spectrum": np.ones((3, 8, 8))}, r"spectrum: shape \(3, 8, 8\); expected images \(n, 16, 16\)"),
        ({"spectrum": np.ones(4)}, "at least 9 shells"),
        ({"spectrum": np.full(9, np.nan)}, "values that are not finite"),
        ({"spectrum": -np.ones(9)}, "negative powers"),
        ({"spectrum": np.zeros(9)}, "none at all"),
    ],
)
def test_a_spectrum_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cryoprior.as_prior(wiener, box=BOX, **options)


def test_a_function_that_returns_something_else_is_named() -> None:
    prior = cryoprior.as_prior(lambda x, tau: x[:1], box=BOX, spectrum=curve())
    with pytest.raises(InputError, match=r"returned shape \(1, 16, 16\) for x of shape \(2, 16, 16\)"):
        prior(torch.zeros(2, BOX, BOX), torch.ones(2))
    with pytest.raises(InputError, match="box 32; the function was said to know 16"):
        prior.spectrum(32)


def test_draws_have_the_priors_power_and_do_not_depend_on_each_other() -> None:
    prior = cryoprior.as_prior(wiener, box=BOX, spectrum=SPREAD**2 * curve(), mean=MEAN)
    drawn = cryoprior.draw(prior, 40, steps=12)
    assert drawn.shape == (40, BOX, BOX)
    power = radial_average(power_spectrum(drawn))[1 : BOX // 2]
    torch.testing.assert_close(power, curve()[1 : BOX // 2], rtol=0.35, atol=0)
    torch.testing.assert_close(cryoprior.draw(prior, 3, steps=12), drawn[:3], rtol=0, atol=1e-4)
    assert not torch.equal(cryoprior.draw(prior, 1, seed=1, steps=12), drawn[:1])
    with pytest.raises(InputError, match="box 8: expected one of 16"):
        cryoprior.draw(prior, box=8)
    with pytest.raises(InputError, match="box None: expected the pixels a side"):
        cryoprior.draw(GaussianPrior(POWER))
