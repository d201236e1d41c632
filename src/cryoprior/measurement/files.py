"""What a folder of measurements holds beside the numbers: its header, what float16 removes first, a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryoprior.io import Baseline, MeasurementHeader, MeasurementsWriter, ParticleStack, check_images
from cryoprior.io.digests import read_with_digests
from cryoprior.io.rows import row_batches
from cryoprior.measurement.measuring import measure
from cryoprior.operators import Operator, format_operator
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


def write_measured(
    writer: MeasurementsWriter,
    stack: ParticleStack,
    operator: Operator,
    sigma: float,
    seed: int,
    batch: int,
    device: torch.device,
) -> None:
    """Write measurements and image digests of all particles, batch by batch; InputError for images not finite."""
    for places in track(row_batches(stack.n, batch), "measuring"):
        images, digests = read_with_digests(stack, places)
        check_images(images, stack, places)
        x = torch.from_numpy(images).to(device)
        writer.write(measure(x, operator, sigma, seed, stack.index[places]).cpu().numpy(), digests)


def measurement_summary(
    stack: ParticleStack, operator: Operator, header: MeasurementHeader, writer: MeasurementsWriter
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
        "digest": header.digest,
        "sigma": header.sigma,
        "rounding": writer.rounding,
        "seed": header.seed,
        "source": header.source,
    }
