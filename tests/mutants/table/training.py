"""Faults of training."""

from __future__ import annotations

from mutants.mutant import Mutant

LOOP = "tests/training/test_loop.py"

TRAINING = (
    Mutant(
        "the average of weights validates nothing",
        "training/loop.py",
        "self.ema.copy_to(network.parameters())\n        network.eval()",
        "network.eval()",
        LOOP,
    ),
    Mutant(
        "warm-up of no steps",
        "training/loop.py",
        "return (step + 1) / self.preset.warmup",
        "return 1.0",
        LOOP,
    ),
    Mutant(
        "every process draws the first images",
        "training/loop.py",
        "(batch * world + rank) * size",
        "batch * size",
        LOOP,
    ),
    Mutant(
        "targets keep their noise",
        "training/data.py",
        "stack = self.particles if self.clean is None else self.clean",
        "stack = self.particles",
        LOOP,
    ),
    Mutant(
        "withheld numbers are shown",
        "training/withheld.py",
        'shown = Measurement(self.operator, y, self.sigma, particles, "training", keep)',
        'shown = Measurement(self.operator, y, self.sigma, particles, "training")',
        "tests/training/test_withheld.py",
    ),
    Mutant(
        "the loss counts what was shown",
        "training/withheld.py",
        "weight = whole.known * (1 - keep) *",
        "weight = whole.known *",
        "tests/training/test_withheld.py",
    ),
    Mutant(
        "a DDPM learns the image",
        "training/objectives.py",
        "loss: Tensor = (predicted - noise).square()",
        "loss: Tensor = (predicted - images).square()",
        "tests/training/test_objectives.py",
    ),
)
