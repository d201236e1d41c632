"""What a folder of measurements holds beside the numbers: its header, what float16 removes first, a summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Baseline, MeasurementHeader, MeasurementsWriter, ParticleStack, check_images
from cryoprior.io.digests import read_with_digests
from cryoprior.io.rounded import NumberLevels, RoundingEncoder
from cryoprior.io.rows import row_batches
from cryoprior.measurement.dose import Dose, exposures
from cryoprior.measurement.measuring import measure_unrounded
from cryoprior.measurement.reading import calibration_sample, read_finite
from cryoprior.operators import Operator, format_operator, with_levels
from cryoprior.operators.levels import lloyd_max
from cryoprior.operators.rounding import set_levels
from cryoprior.progress import track


def measurement_header(
    stack: ParticleStack, operator: Operator, source: Path, sigma: float, seed: int
) -> MeasurementHeader:
    """Return what is true of all rows."""
    return MeasurementHeader(
        m=operator.m,
        box=stack.box,
        operator=format_operator(operator),
        digest=operator.digest(),
        sigma=sigma,
        seed=seed,
        source=str(source.resolve()),
        particles_digest=stack.digest(),
        resize=stack.resizing,
    )


def block_baseline(operator: Operator) -> Baseline:
    """Return what float16 removes first: how each number sees the level of its block, or of the image."""
    box, block = operator.box, operator.shared_block
    blocks = np.arange((box // block) ** 2, dtype=np.float64).reshape(box // block, box // block)
    number = np.kron(blocks, np.ones((block, block)))
    ones = torch.ones(1, box, box, dtype=torch.float64)
    weights, group = np.zeros((operator.sets, operator.m), np.float32), np.zeros(operator.m, np.int32)
    for index in range(operator.sets):
        weight = operator.forward(ones, [index])[0].numpy()
        sums = operator.forward(torch.from_numpy(number)[None], [index])[0].numpy()
        seen = np.abs(weight) > 1e-9
        weights[index] = np.where(seen, weight, 0)
        if block != box:
            group[seen] = np.rint(sums[seen] / weight[seen])
    return Baseline(group, weights)


def number_levels(operator: Operator) -> NumberLevels:
    """Return what the codes of an operator with bits stand for, as a file holds it."""
    assert operator.bits is not None
    both = [set_levels(operator, index) for index in range(operator.sets)]
    mean, deviation = (np.stack(part) for part in zip(*both, strict=True))
    return NumberLevels.of(lloyd_max(operator.bits).levels, mean, deviation)


def rounding_encoder(operator: Operator) -> RoundingEncoder | None:
    """Return what rounds and packs measurements, None for an operator without bits."""
    if operator.bits is None:
        return None
    return RoundingEncoder(number_levels(operator), lloyd_max(operator.bits).thresholds)


Numbers = Callable[[Float[Tensor, "b box box"], list[int]], Float[Tensor, "b m"]]
"""What measures images of these numbers in the stack, its noise with it, before any rounding."""


def numbers_with_noise(operator: Operator, sigma: float, seed: int) -> Numbers:
    """Return what measures y = A x + N(0, sigma^2)."""
    return lambda x, particles: measure_unrounded(x, operator, sigma, seed, particles)


def numbers_of_dose(operator: Operator, dose: Dose, seed: int) -> Numbers:
    """Return what measures clean images under a dose."""
    return lambda x, particles: dose.counted(x, operator, seed, particles)


def dose_of_stack(stack: ParticleStack, electrons: float, readout: float, contrast: float) -> Dose:
    """Return the dose of a stack of clean images, whose grey scale a fixed sample shows.

    Raises
    ------
    InputError: a value out of its range, pixel sizes that differ, images that do not vary.
    """
    sizes = np.unique(np.round(stack.pixel_size, 4))
    if len(sizes) > 1:
        raise InputError(f"{stack.path}: pixels of {len(sizes)} sizes; expected one for <dose>; split the stack")
    x = read_finite(stack, calibration_sample(stack.n)).double()
    return Dose(electrons, readout, contrast, float(sizes[0]), float(x.mean()), float(x.std()))


def fitted_to_stack(stack: ParticleStack, operator: Operator, numbers: Numbers) -> Operator:
    """Return the operator with levels fitted to a fixed sample of a stack, where it has bits and no levels."""
    if operator.bits is None or operator.deviation is not None:
        return operator
    rows = calibration_sample(stack.n)
    particles = [int(i) for i in stack.index[rows]]
    return with_levels(operator, numbers(read_finite(stack, rows), particles), particles)


def write_measured(
    writer: MeasurementsWriter,
    stack: ParticleStack,
    numbers: Numbers,
    batch: int,
    device: torch.device,
) -> None:
    """Write measurements and image digests of all particles, batch by batch; InputError for images not finite."""
    for places in track(row_batches(stack.n, batch), "measuring"):
        images, digests = read_with_digests(stack, places)
        check_images(images, stack, places)
        x = torch.from_numpy(images).to(device)
        particles = [int(i) for i in stack.index[places]]
        writer.write(numbers(x, particles).cpu().numpy(), digests)


def measurement_summary(
    stack: ParticleStack,
    operator: Operator,
    header: MeasurementHeader,
    writer: MeasurementsWriter,
    dose: Dose | None = None,
) -> dict[str, Any]:
    """Return what ``summary.json`` holds."""
    return {
        "n": stack.n,
        "box": stack.box,
        "pixel_size_angstrom": sorted({round(float(size), 6) for size in stack.pixel_size}),
        "operator": header.operator,
        "m": operator.m,
        "compression": operator.compression,
        "effective_compression": operator.effective_compression,
        "rank": operator.rank,
        "condition": operator.condition,
        "stored": operator.stored,
        "bytes_per_particle": writer.bytes_per_particle,
        "digest": header.digest,
        "sigma": header.sigma,
        "rounding": writer.rounding,
        **({} if operator.bits is None else {"bits": operator.bits, "rounding_gain": writer.gain}),
        **({} if dose is None else {"dose": dose_summary(dose, operator)}),
        "seed": header.seed,
        "source": header.source,
    }


def dose_summary(dose: Dose, operator: Operator) -> dict[str, Any]:
    """Return what is worth knowing of a dose: what falls on a pixel in each of how many exposures."""
    return {
        "electrons_per_square_angstrom": dose.electrons,
        "exposures": exposures(operator),
        "electrons_per_pixel_and_exposure": dose.per_pixel(operator),
        "readout_electrons": dose.readout,
        "contrast": dose.contrast,
    }
