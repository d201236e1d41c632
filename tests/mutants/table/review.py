"""Faults that a review put in all at once, and that 2,760 tests did not notice; two for decay, of rate and weights."""

from __future__ import annotations

from mutants.mutant import Mutant

LOOP = "tests/training/test_loop.py"
EXACT = "tests/solvers/test_closed_forms.py"

REVIEW = (
    Mutant(
        "no clipping",
        "training/loop.py",
        "self.accelerator.clip_grad_norm_(self.network.parameters(), self.preset.clip)",
        "self.network.parameters()",
        LOOP,
    ),
    Mutant(
        "no decay of the learning rate",
        "training/loop.py",
        "return 0.5 * (1 + math.cos(math.pi * progress))",
        "return 1.0 + 0.0 * progress",
        LOOP,
    ),
    Mutant("no decay of the weights", "training/loop.py", "weight_decay=preset.weight_decay", "weight_decay=0.0", LOOP),
    Mutant(
        "the average is never updated",
        "training/loop.py",
        "self.ema.step(self.bare_network.parameters())",
        "self.ema.optimization_step += 1",
        LOOP,
    ),
    Mutant(
        "accumulation of one part",
        "training/loop.py",
        "for micro in range(self.preset.accumulation):",
        "for micro in range(1):",
        LOOP,
    ),
    Mutant(
        "the loss of a part is not divided",
        "training/loop.py",
        "self.accelerator.backward(loss / self.preset.accumulation)",
        "self.accelerator.backward(loss)",
        LOOP,
    ),
    Mutant(
        "no time step of 900 and more",
        "training/objectives.py",
        "time = draws.integers(len(alpha_bar), len(images))",
        "time = draws.integers(900, len(images))",
        LOOP,
    ),
    Mutant(
        "half the noise in the chain of a mean",
        "solvers/exact.py",
        "x = self._conditioned(denoised, tau, noise) + tau * noise.normal_like(x)",
        "x = self._conditioned(denoised, tau, noise) + 0.5 * tau * noise.normal_like(x)",
        EXACT + " -k law_of_its_level",
    ),
    Mutant(
        "SSIM with the covariance of a population",
        "metrics/image.py",
        "cov = sample * (local_mean(u * v) - mean_u * mean_v)",
        "cov = local_mean(u * v) - mean_u * mean_v",
        "tests/metrics/test_image.py",
    ),
)
