"""Pictures of a trained prior: images that it draws, and held-out particles that it denoises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cryoprior.image.spectrum import apply_filter
from cryoprior.measurement.conditioning import Measurement
from cryoprior.output.files import whole_file
from cryoprior.prior.denoiser import Denoiser, OperatorAware
from cryoprior.prior.posterior import posterior_mean
from cryoprior.prior.sampling import prior_samples
from cryoprior.random import stream_key
from cryoprior.training.data import TrainingImages
from cryoprior.training.measured import TrainingMeasurements

COLUMNS = 6


def draw_pictures(folder: Path, denoiser: Denoiser, group: TrainingImages, seed: int) -> None:
    """Write ``samples-BOX.png`` and ``denoised-BOX.png`` into the folder."""
    generator = torch.Generator().manual_seed(stream_key(seed, "pictures", group.box))
    white = torch.randn(COLUMNS, group.box, group.box, generator=generator)
    samples = prior_samples(denoiser, white)
    _montage([("sample", samples)], folder / f"samples-{group.box}.png")
    clean, noise = group.validation(COLUMNS * len(group.stacks))
    pick = torch.linspace(0, len(clean) - 1, COLUMNS).long()
    clean, noise = clean[pick], noise[pick]
    particles = clean + apply_filter(torch.randn(clean.shape, generator=generator), noise.sqrt())
    noisy = particles + torch.randn(clean.shape, generator=generator)
    denoised = denoiser(noisy, torch.ones(COLUMNS))
    rows = [("held out", particles), ("with noise, tau = 1", noisy), ("denoised", denoised)]
    _montage(rows + ([("clean", clean)] if bool(noise.any()) else []), folder / f"denoised-{group.box}.png")


def draw_measured_pictures(folder: Path, denoiser: Denoiser, group: TrainingMeasurements) -> None:
    """Write ``means-BOX.png``: held-out measurements as least-squares images, and their posterior means."""
    assert isinstance(denoiser, OperatorAware)
    held, stack = group.validation(COLUMNS)[0], group.stack
    seen = stack.operator.pinv(held.y, held.particles)
    mean = posterior_mean(denoiser, Measurement(stack.operator, held.y, stack.sigma, held.particles, "training"))
    rows = [("held out: least squares", seen), ("posterior mean", mean)]
    _montage(rows, folder / f"means-{group.box}.png")


def _montage(rows: Sequence[tuple[str, Tensor]], path: Path) -> None:
    from matplotlib.figure import Figure

    columns = len(rows[0][1])
    figure = Figure(figsize=(1.8 * columns, 1.9 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(axes, rows, strict=True):
        spread = float(images.std()) * 3
        middle = float(images.mean())
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image.numpy(), cmap="gray", vmin=middle - spread, vmax=middle + spread)
            axis.set_axis_off()
        line[0].set_title(name, loc="left", fontsize=9)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)
