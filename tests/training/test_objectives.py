from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cryoprior.errors import InputError
from cryoprior.image.spectrum import apply_filter, pixel_variance, shell_index
from cryoprior.prior.adapters import DdpmDenoiser, ddpm_unet
from cryoprior.prior.evidence import Evidence
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.prior.schedule import ddpm_alpha_bar
from cryoprior.prior.signal import Spectra
from cryoprior.training.data import dihedral
from cryoprior.training.draws import BatchDraws
from cryoprior.training.objectives import DdpmObjective, SignalObjective, correlation
from cryoprior.training.presets import PRESETS

BOX = 16
SHELLS = int(shell_index(BOX).max()) + 1


def spectrum(scale: float = 1.0) -> torch.Tensor:
    shell = torch.arange(SHELLS) / BOX
    return scale * (0.1 + 3 / (1 + (12 * shell) ** 2))[shell_index(BOX)]


def draw(b: int, seed: int = 0) -> torch.Tensor:
    white = torch.randn(b, BOX, BOX, generator=torch.Generator().manual_seed(seed))
    return GaussianPrior(spectrum()).draw(white)


class Linear(nn.Module):
    """The Wiener filter, off by a factor on its gain or on the noise level that it believes."""

    def __init__(self, gain: float = 1.0, belief: float = 1.0) -> None:
        super().__init__()
        self.gain, self.belief = gain, belief
        self.weight = nn.Parameter(torch.zeros(1))  # a network has weights, and they say where it is

    def forward(self, evidence: Evidence) -> torch.Tensor:
        # The level holds the noise, which is white here: noise = exp(2 (level - 500) / 100).
        noise = ((evidence.level - 500) / 50).exp()[:, None, None]
        signal = spectrum().to(evidence.linear)
        filtered = (signal + noise) / (signal + self.belief * noise)
        return self.gain * apply_filter(evidence.linear, filtered)


def loss(network: nn.Module) -> float:
    objective = SignalObjective(spectrum(), torch.stack([torch.full((BOX, BOX // 2 + 1), v) for v in (0.5, 2.0)]))
    return float(objective.loss(network, draw(3000), BatchDraws(5, "test", 0)).mean())


def test_on_gaussian_images_the_posterior_mean_has_the_least_loss() -> None:
    best = loss(Linear())
    assert best == pytest.approx(1, rel=0.02)  # the unit is the error of the Wiener filter
    others = (Linear(gain=0.9), Linear(gain=1.1), Linear(belief=0.6), Linear(belief=1.6))
    assert min(loss(other) for other in others) > best + 2e-3


def test_the_loss_of_an_image_is_its_own() -> None:
    objective = SignalObjective(spectrum(), torch.full((1, BOX, BOX // 2 + 1), 0.5))
    x, white = draw(4), torch.randn(4, BOX, BOX)
    total = torch.full((4, BOX, BOX // 2 + 1), 1.5)
    whole = objective.loss_at(Linear(), x, total, white)
    torch.testing.assert_close(whole[2:3], objective.loss_at(Linear(), x[2:3], total[2:3], white[2:3]))
    assert whole.shape == (4,)


def test_the_noise_of_every_data_set_is_drawn() -> None:
    seen: list[float] = []

    class Spy(Linear):
        def forward(self, evidence: Evidence) -> torch.Tensor:
            seen.extend(((evidence.level - 500) / 50).exp().tolist())
            return super().forward(evidence)

    noise = torch.stack([torch.full((BOX, BOX // 2 + 1), v) for v in (100.0, 10000.0)])
    SignalObjective(spectrum(), noise).loss(Spy(), draw(200), BatchDraws(1, "test", 0))
    high = sum(v > 9999 for v in seen)
    assert 70 < high < 130
    assert min(seen) >= 99.9


def test_correlations_are_those_of_wiener_filtered_images() -> None:
    none, power = torch.zeros(200, BOX, BOX // 2 + 1), spectrum()
    objective = SignalObjective(power, torch.zeros(1, BOX, BOX // 2 + 1))
    means = objective.correlations(Linear(), draw(200), none, BatchDraws(7, "test", 0))
    assert sorted(means) == ["16px tau=1", "16px tau=3"]  # without noise in the data tau = 0 shows the image itself
    # of Gaussian images the correlation is the root of the share of the power that is recovered; with few modes less
    for tau in (1, 3):
        expected = float((pixel_variance(power**2 / (power + tau**2)) / pixel_variance(power)).sqrt())
        assert 0.9 * expected < means[f"16px tau={tau}"] < 1.02 * expected
    noisy = objective.correlations(Linear(), draw(200), none + 0.5, BatchDraws(7, "test", 0))
    assert sorted(noisy) == ["16px tau=0", "16px tau=1", "16px tau=3"]
    assert noisy["16px tau=0"] > noisy["16px tau=1"] > noisy["16px tau=3"]
    assert noisy["16px tau=1"] < means["16px tau=1"]


def test_correlation_is_that_of_the_pixels_of_each_pair() -> None:
    a, b = draw(3), draw(3, seed=1)
    expected = [float(torch.corrcoef(torch.stack([p.flatten(), q.flatten()]))[0, 1]) for p, q in zip(a, b, strict=True)]
    assert correlation(a, b).tolist() == pytest.approx(expected, rel=1e-4)
    assert correlation(a, 3 - 2 * a).tolist() == pytest.approx([-1] * 3)
    assert correlation(a, torch.ones_like(a)).tolist() == [0] * 3


def test_quarter_turns_and_mirrors_are_the_eight_of_the_square() -> None:
    image = torch.arange(16.0).reshape(1, 4, 4)
    drawn = {tuple(i.flatten().tolist()) for i in dihedral(image.expand(200, 4, 4), BatchDraws(0, "test", 0))}
    turns = [torch.rot90(m, k) for m in (image[0], image[0].T) for k in range(4)]
    assert drawn == {tuple(t.flatten().tolist()) for t in turns}


def exact_epsilon(power: torch.Tensor, scale: float, offset: float) -> nn.Module:
    """E[e | x_t] of the forward process of z = scale x + offset, x Gaussian with this power."""

    class Exact(nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor) -> SimpleNamespace:
            keep = torch.tensor([float(ddpm_alpha_bar()[int(t)]) for t in time.round()], dtype=noisy.dtype)[
                :, None, None
            ]
            p = scale**2 * power
            centred = noisy[:, 0] - keep.sqrt() * offset
            return SimpleNamespace(sample=apply_filter(centred, (1 - keep).sqrt() / (keep * p + 1 - keep))[:, None])

    return Exact()


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.3, 0.2)])
@pytest.mark.parametrize("step", [0, 120, 700, 999])
def test_a_network_that_knows_the_noise_gives_the_posterior_mean(scale: float, offset: float, step: int) -> None:
    keep = ddpm_alpha_bar()[step]
    tau = torch.full((3,), float(((1 - keep) / keep).sqrt()) / scale)
    flat = Spectra((1.0,) * SHELLS, (0.0,) * SHELLS)
    denoiser = DdpmDenoiser(exact_epsilon(spectrum(), scale, offset), {BOX: flat}, scale=scale, offset=offset)
    x = draw(3) + tau[:, None, None] * torch.randn(3, BOX, BOX, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(denoiser(x, tau), GaussianPrior(spectrum())(x, tau), rtol=1e-3, atol=2e-3)


def test_an_exact_network_has_the_least_ddpm_loss() -> None:
    class Less(nn.Module):
        def forward(self, noisy: torch.Tensor, time: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(sample=0.9 * exact_epsilon(spectrum(), 0.5, 0.1)(noisy, time).sample)

    objective = DdpmObjective(0.5, 0.1)
    values = [
        float(objective.loss(network, draw(500), BatchDraws(2, "test", 0)).mean())
        for network in (exact_epsilon(spectrum(), 0.5, 0.1), Less(), exact_epsilon(spectrum(2.0), 0.5, 0.1))
    ]
    assert values[0] < min(values[1:]) - 1e-4


def test_a_ddpm_has_its_boxes() -> None:
    flat = Spectra((1.0,) * SHELLS, (0.5,) * SHELLS)
    denoiser = DdpmDenoiser(exact_epsilon(spectrum(), 1, 0), {BOX: flat})
    assert torch.equal(denoiser.spectrum(BOX), torch.full((BOX, BOX // 2 + 1), 1.5))
    with pytest.raises(InputError, match="box 32; it was trained for 16"):
        denoiser.spectrum(32)


@pytest.mark.parametrize(
    ("name", "box", "rate", "batch"), [("paper-128", 128, 2e-4, 128), ("paper-256", 256, 2e-5, 16)]
)
def test_presets_of_the_paper_are_those_of_its_appendix(name: str, box: int, rate: float, batch: int) -> None:
    preset = PRESETS[name]
    assert preset.objective == "ddpm"
    assert (preset.box, preset.learning_rate, preset.batch) == (box, rate, batch)
    assert preset.channels == (128, 128, 256, 256, 512, 512)
    assert (preset.betas, preset.weight_decay, preset.clip) == ((0.95, 0.999), 1e-6, 1.0)
    assert (preset.warmup, preset.epochs, preset.steps) == (500, 100, None)
    assert (preset.ema_decay, preset.ema_power) == (0.9999, 0.75)
    assert (preset.accumulation, preset.precision, preset.validation_images) == (2, "bf16", 16)
    with torch.device("meta"):
        network = ddpm_unet(preset.channels, preset.layers, box)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(113.7e6, abs=0.05e6)
    assert [type(block).__name__ for block in network.down_blocks].index("AttnDownBlock2D") == 4
    assert [type(block).__name__ for block in network.up_blocks].index("AttnUpBlock2D") == 1
