"""The job of a command's options: what is known of the images, with the solver and the prior that fit it."""

from __future__ import annotations

from typing import Any

from cryoprior.devices import choose_device
from cryoprior.measurement.full_images import Measured
from cryoprior.operators import Operator
from cryoprior.reconstruction.choice import open_prior
from cryoprior.reconstruction.job import ReconstructionJob
from cryoprior.reconstruction.options import Asking
from cryoprior.solvers import Solver


def open_job(measured: Measured, operator: Operator, solver: Solver, options: Asking, name: str) -> ReconstructionJob:
    """Return the job; InputError where its parts do not fit together. name: of what was measured, for messages."""
    device = choose_device(options.device)
    decisive: dict[str, Any] = {name: getattr(options, name) for name in ("contrast", "spectrum", "dtype", "seed")}
    return ReconstructionJob(
        measured,
        operator,
        solver,
        open_prior(options.prior, solver, measured.box, device, name),
        options.prior,
        n=min(measured.n, options.limit or measured.n),
        batch=options.batch,
        device=device,
        **decisive,
    )
