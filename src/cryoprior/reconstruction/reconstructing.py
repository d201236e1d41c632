"""From measurements in memory to images, with no files: ``cryoprior.reconstruct``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.devices import choose_device
from cryoprior.errors import for_python
from cryoprior.io.rows import row_batches
from cryoprior.measurement.arrays import as_particles, as_rows, check_least
from cryoprior.measurement.intensity import Contrast, Intensity
from cryoprior.measurement.reading import ArrayRows
from cryoprior.operators import Operator, parse_operator
from cryoprior.operators.rounding import rounding_sigma
from cryoprior.prior import Denoiser
from cryoprior.prior.calibration import Calibration
from cryoprior.reconstruction.choice import NOT_TRAINED_ON, choose_solver, open_prior, trained_on_operator
from cryoprior.reconstruction.reconstructor import Reconstructed, fit_prior, make_reconstructor
from cryoprior.solvers import SOLVERS, Solver
from cryoprior.spec import format_spec


@dataclass(frozen=True, repr=False)
class Reconstruction:
    """Images of particles of which measurements are known, in the grey scale of what was measured.

    images: (n, box, box) float32.
    deviation: posterior standard deviation by pixel, (n, box, box), of several samples; None without them.
    residual: ||y - A x|| / ||y|| per particle, (n,).
    evaluations, backward: network evaluations per particle, forward and backward.
    intensity: the affine map from the prior's grey scale; None for a solver that needs no prior.
    contrast: the sign of the particles, and who decided; None likewise.
    solver: the solver's text, all fields given. estimate: what the images are: ``mean``, ``sample`` and the like.
    warnings: what the reader must know before using the images.
    """

    images: Float[Tensor, "n box box"]
    deviation: Float[Tensor, "n box box"] | None
    residual: Float[Tensor, " n"]
    evaluations: float
    backward: float
    intensity: Intensity | None
    contrast: Contrast | None
    solver: str
    estimate: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        n, box = self.images.shape[:2]
        spread = "" if self.deviation is None else " with deviation"
        warned = f", {len(self.warnings)} warnings" if self.warnings else ""
        name = self.solver.partition(":")[0]
        return (
            f"Reconstruction({n} x {box} x {box}{spread}, {self.estimate} by {name}, "
            f"residual {float(self.residual.mean()):.2g}{warned})"
        )


def reconstruct(
    y: Tensor | np.ndarray,
    operator: str | Operator,
    prior: str | Path | Denoiser = "default",
    solver: str | Solver = "auto",
    sigma: float = 0.0,
    estimate: str = "mean",
    *,
    steps: int | None = None,
    samples: int | None = None,
    deviation: bool = False,
    contrast: str = "auto",
    spectrum: str = "measured",
    seed: int = 0,
    particles: Sequence[int] | np.ndarray | None = None,
    batch: int = 16,
    device: str = "auto",
    dtype: str = "float32",
) -> Reconstruction:
    """Return images from their measurements, as ``cryoprior reconstruct`` computes them.

    The grey scale, the contrast and the power spectrum of the data set are found from the measurements first, so that
    y comes as it was measured, and the images come back in its grey scale, on its device.

    Parameters
    ----------
    y: (n, m), a tensor or a numpy array.
    operator: what measured, an Operator or its text with ``box=`` in it.
    prior: ``default`` (the embedded prior that suits the solver), ``operator-aware``, a folder, a prior that was
        loaded, or any denoiser (see :func:`cryoprior.as_prior`).
    solver: a solver or its text; ``auto`` takes ``posterior`` for the mean of a prior that knows operators, ``exact``
        otherwise.
    sigma: standard deviation of the noise on each number, in the grey scale of y; that of rounding, where the operator
        has ``bits``, comes on top.
    estimate: ``sample`` for one posterior sample; ``mean`` leaves it to the solver, which gives the mean where it has
        both and its text does not say otherwise.
    steps: network evaluations of the mean, or of each sample; the solver's own by default.
    samples, deviation: samples for the deviation, 8 where ``deviation`` is set and ``samples`` is not.
    contrast: ``bright`` or ``dark`` particles, or ``auto`` to look at them.
    spectrum: ``measured`` fits the power spectrum of the images, ``prior`` keeps the prior's.
    seed: of the random draws; each particle has its own stream.
    particles: numbers in the whole stack, which choose mask sets and draws; 0 to n - 1 by default.
    batch: particles at a time; results do not depend on it except for rounding.
    device: ``auto``, ``cpu``, ``cuda`` ...
    dtype: precision of the network, ``float32`` or ``bfloat16``.

    Raises
    ------
    InputError: what does not fit together: y and operator, operator and solver, prior and box, solver and estimate;
        measurements that are not finite, or have no power above sigma.
    """
    check_least(sigma, "sigma", 0)
    check_least(batch, "batch", 1)
    place = choose_device(device)
    operator = parse_operator(operator) if isinstance(operator, str) else operator
    sigma = math.hypot(sigma, rounding_sigma(operator))
    rows = as_rows(y, "y", 2)
    measured = ArrayRows(rows.to(place, torch.float32), as_particles(particles, len(rows)))
    asked = None if estimate == "mean" else estimate
    chosen = choose_solver(solver, prior, estimate=asked, steps=steps, samples=samples, deviation=deviation)
    opened = open_prior(prior, chosen, operator.box, place)
    fitted = None
    if opened is not None:
        fitted = fit_prior(opened, measured, operator, sigma, spectrum=spectrum, contrast=contrast)
    reconstructor = make_reconstructor(chosen, operator, fitted, sigma, seed=seed, dtype=dtype)
    batches = [_moved(part, rows.device) for part in reconstructor.batches(measured, row_batches(len(measured), batch))]
    known = trained_on_operator(opened, chosen, operator)
    return _joined(batches, chosen, fitted, NOT_TRAINED_ON if known is False else "")


def _moved(part: Reconstructed, device: torch.device) -> Reconstructed:
    """Return the same on the device of the measurements, so that an accelerator holds one batch at a time."""
    deviation = part.solution.deviation
    solution = dataclasses.replace(
        part.solution, x=part.solution.x.to(device), deviation=None if deviation is None else deviation.to(device)
    )
    return Reconstructed(solution, part.residual.to(device), part.seconds_network)


def _joined(parts: list[Reconstructed], solver: Solver, fitted: Calibration | None, doubt: str) -> Reconstruction:
    residual = torch.cat([part.residual for part in parts])
    deviations = [part.solution.deviation for part in parts if part.solution.deviation is not None]
    doubts = [doubt, "" if fitted is None else for_python(fitted.doubt)]
    return Reconstruction(
        images=torch.cat([part.solution.x for part in parts]),
        deviation=torch.cat(deviations) if deviations else None,
        residual=residual,
        evaluations=sum(part.totals()["evaluations"] for part in parts) / len(residual),
        backward=sum(part.totals()["backward"] for part in parts) / len(residual),
        intensity=None if fitted is None else fitted.intensity,
        contrast=None if fitted is None else fitted.contrast,
        solver=format_spec(solver, SOLVERS),
        estimate=solver.estimate,
        warnings=tuple(filter(None, doubts)),
    )
