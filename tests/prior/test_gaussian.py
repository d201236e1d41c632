from __future__ import annotations

import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter
from cryoprior.prior.denoiser import MeteredDenoiser
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.schedule import alpha_bars, exploding_level, linear_betas, noise_levels, respaced_alpha_bars


def spectrum(box: int) -> torch.Tensor:
    ky = torch.fft.fftfreq(box, dtype=torch.float64)[:, None]
    kx = torch.fft.rfftfreq(box, dtype=torch.float64)[None]
    return 0.05 + 2 * torch.exp(-20 * (ky**2 + kx**2))


def covariance_matrix(power: torch.Tensor) -> torch.Tensor:
    box = power.shape[0]
    basis = torch.eye(box**2, dtype=power.dtype).reshape(-1, box, box)
    return apply_filter(basis, power).reshape(box**2, box**2)


@pytest.mark.parametrize("box", [7, 8])
@pytest.mark.parametrize("tau", [0.1, 1.0, 30.0])
def test_denoiser_is_the_conditional_mean(box: int, tau: float) -> None:
    prior = GaussianPrior(spectrum(box))
    x = torch.randn(3, box, box, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cov = covariance_matrix(prior.power)
    expected = x.reshape(3, -1) @ torch.linalg.solve(cov + tau**2 * torch.eye(box**2, dtype=cov.dtype), cov)
    found = prior(x, torch.full((3,), tau, dtype=torch.float64))
    torch.testing.assert_close(found.reshape(3, -1), expected)


def test_each_particle_has_its_own_noise_level() -> None:
    prior = GaussianPrior(spectrum(8))
    x = torch.randn(2, 8, 8, dtype=torch.float64)
    tau = torch.tensor([0.3, 3.0], dtype=torch.float64)
    both = prior(x, tau)
    torch.testing.assert_close(both[1:], prior(x[1:], tau[1:]))


def test_draws_have_the_spectrum() -> None:
    prior = GaussianPrior(spectrum(8))
    white = torch.randn(20000, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    power = torch.fft.rfft2(prior.draw(white), norm="ortho").abs().square().mean(dim=0)
    torch.testing.assert_close(power, prior.power, rtol=0.06, atol=0)


def test_refuses_what_is_no_spectrum() -> None:
    with pytest.raises(InputError, match=r"expected \(box, box // 2 \+ 1\)"):
        GaussianPrior(torch.ones(8, 8))
    with pytest.raises(InputError, match="negative or non-finite"):
        GaussianPrior(-torch.ones(8, 5))
    with pytest.raises(InputError, match="box 16; it was made for 8"):
        GaussianPrior(torch.ones(8, 5))(torch.zeros(1, 16, 16), torch.ones(1))


def test_metered_denoiser_counts_and_keeps_the_type() -> None:
    metered = MeteredDenoiser(GaussianPrior(spectrum(8)))
    x = torch.randn(2, 8, 8)
    assert metered(x, torch.ones(2)).dtype == x.dtype
    assert metered.calls == 1
    assert metered.seconds > 0
    torch.testing.assert_close(metered.spectrum(8), spectrum(8))


def test_noise_levels_fall_from_end_to_end() -> None:
    levels = noise_levels(10, 80.0, 0.01, 7.0)
    assert (levels.diff() < 0).all()
    torch.testing.assert_close(levels[[0, -1]], torch.tensor([80.0, 0.01], dtype=torch.float64))
    assert noise_levels(1, 80.0, 0.5, 7.0).tolist() == [0.5]


def test_ddpm_schedule_has_its_published_values() -> None:
    betas = linear_betas()
    assert betas[0] == pytest.approx(1e-4)
    assert betas[-1] == pytest.approx(0.02)
    assert float(alpha_bars(betas)[-1]) == pytest.approx(4.0358e-5, rel=1e-3)
    torch.testing.assert_close(respaced_alpha_bars(1000), alpha_bars(betas))
    torch.testing.assert_close(respaced_alpha_bars(50)[-1], alpha_bars(betas)[-1])
    abar = torch.tensor(0.2, dtype=torch.float64)
    assert float(exploding_level(abar)) == pytest.approx(2.0)
    with pytest.raises(ValueError, match="2000 of 1000"):
        respaced_alpha_bars(2000)
