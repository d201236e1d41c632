"""Every law of a prior fails on a prior that breaks it, and says which law it is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cryoprior.prior.denoiser import Denoiser
from cryoprior.testing import PRIOR_LAWS, check_prior

BOX = 16
POWER = 0.1 + torch.linspace(3, 0, BOX // 2 + 1).expand(BOX, -1).contiguous()


class White:
    """Images of independent pixels of deviation 1: what the others spoil."""

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return x / (1 + tau[:, None, None] ** 2)

    def spectrum(self, box: int) -> Tensor:
        return torch.ones(box, box // 2 + 1)


class InSingle(White):
    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return super().__call__(x, tau).float()


class Random(White):
    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return super().__call__(x, tau) + 1e-3 * torch.rand_like(x)


class InPlace(White):
    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        found = super().__call__(x, tau)
        if not x.requires_grad:
            x.zero_()
        return found


class OneLevel(White):
    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return super().__call__(x, tau[:1].expand(len(x)))


class Centred(White):
    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return super().__call__(x - x.mean(0), tau)


class HiddenMean(White):
    """Gives the right values, and a derivative that mixes images."""

    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        mean = x.mean(0)
        return super().__call__(x, tau) + mean - mean.detach()


class WholePlane(White):
    def spectrum(self, box: int) -> Tensor:
        return torch.ones(box, box)


class NegativePower(White):
    def spectrum(self, box: int) -> Tensor:
        return -torch.ones(box, box // 2 + 1)


class Louder(White):
    def __call__(self, x: Tensor, tau: Tensor) -> Tensor:
        return 1.5 * x


class Unequal(White):
    """Says that its signal and its noise have twice the power of its images."""

    operator_aware = True
    means_only = False

    def components(self, box: int, like: Tensor) -> tuple[Tensor, Tensor]:
        power = self.spectrum(box).to(like)
        return power, power

    def estimate(self, evidence: object) -> Tensor:
        raise AssertionError("no law asks for it")


class Untuned(White):
    def with_power_factor(self, box: int, factor: Tensor) -> Denoiser:
        return self


BROKEN = [
    ("shape", InSingle, "shape: that of x, in its type"),
    ("determinism", Random, "determinism: twice the same"),
    ("determinism", InPlace, "determinism: x is left as it is"),
    ("batch", OneLevel, "batch: an image does not depend on the order"),
    ("batch", Centred, "batch: an image does not depend on its batch mates"),
    ("spectrum", WholePlane, "spectrum: on the rfft2 grid: found (16, 16), expected (16, 9)"),
    ("spectrum", NegativePower, "spectrum: nowhere negative, somewhere above 0"),
    ("denoising", Louder, "denoising: the result is nearer to the clean image than the noisy one"),
    ("derivative", HiddenMean, "derivative: that of one image does not touch another"),
    ("components", Unequal, "components: signal and noise add up to the spectrum"),
    ("tuning", Untuned, "tuning: the spectrum times the factor of each shell"),
]


def test_every_law_is_broken_here() -> None:
    assert {law for law, *_ in BROKEN} == set(PRIOR_LAWS)


@pytest.mark.parametrize(("law", "cls", "words"), BROKEN, ids=lambda part: getattr(part, "__name__", None))
def test_the_law_fails_on_a_prior_that_breaks_it(law: str, cls: type[White], words: str) -> None:
    with pytest.raises(AssertionError) as failed:
        PRIOR_LAWS[law](cls(), BOX)
    assert str(failed.value).startswith(words), failed.value
    with pytest.raises(AssertionError):
        check_prior(cls(), BOX)


def test_a_lawful_prior_needs_two_methods_and_no_more() -> None:
    check_prior(White(), BOX)
