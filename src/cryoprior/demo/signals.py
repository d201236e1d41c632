"""The signals of the demo: beside smoothed views and the truth, with what the check says of them without it."""

from __future__ import annotations

import torch

from cryoprior.demo.results import Result, read_images
from cryoprior.demo.runs import PICTURES, SIGNAL, Demo
from cryoprior.image.smoothing import smoothed_views
from cryoprior.report.figures import MontageRow, montage
from cryoprior.report.page import Block, Lead, Picture
from cryoprior.report.slider import own_grey, sliders

CAPTION = (
    "Each picture has its own grey scale here, from its mean − 3 to its mean + 3 standard deviations. Summed and "
    "low-passed are what anybody can make of the least-squares image without a prior; the deviation is black where the "
    "signal is surest."
)


def signal_blocks(demo: Demo, results: list[Result]) -> list[Block]:
    """Return what the page shows of the signals of one operator; nothing where the prior gives none."""
    signal = next((result for result in results if result.name == SIGNAL), None)
    if signal is None:
        return []
    count = min(PICTURES, demo.n)
    measured = next(result for result in results if result.name == "least-squares").images(count)
    smooth = {name: view.numpy() for name, view in smoothed_views(torch.from_numpy(measured)).items()}
    recorded, clean = (read_images(demo.simulated / f"{stem}.star", count) for stem in ("particles", "clean"))
    deviation = read_images(signal.folder / "deviation" / "particles.star", count)
    views = {"recorded": recorded, "least squares": measured, **smooth, "signal": signal.images(count)}
    wiped = {"recorded": recorded, "least squares": measured, "signal": views["signal"]}
    views |= {"deviation": deviation, "clean (truth)": clean}
    rows = [
        MontageRow(f"particle {i + 1}", [own_grey(stack[i]) for stack in views.values()], -3.0, 3.0)
        for i in range(count)
    ]
    says = str(signal.reconstructed["check"]["says"])
    return [
        Lead(f"Checked without the truth: {says}."),
        *sliders("Particle", wiped, list(range(1, count + 1))),
        Picture(montage(rows, list(views)), "Signals beside smoothed views and the truth", CAPTION, 130 * len(views)),
    ]
