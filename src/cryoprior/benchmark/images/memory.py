"""How much memory a solver needs at its peak: tensors allocated on the device, not what the process holds."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from cryoprior.prior.denoiser import Denoiser
from cryoprior.reconstruction.reconstructor import Reconstructor

EVALUATIONS = 12
"""Forward evaluations after which a chain has shown its peak: every later step does what those before it did."""


class EnoughSeenError(Exception):
    """Raised out of a solver that has been watched long enough."""


class CountingDenoiser:
    """A denoiser that ends its solver after a number of calls.

    Evaluations given a measurement are not counted: ``posterior``, which makes them, has short chains.
    """

    def __init__(self, denoiser: Denoiser, evaluations: int) -> None:
        self.denoiser, self._left = denoiser, evaluations

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return what the denoiser returns."""
        if self._left == 0:
            raise EnoughSeenError
        self._left -= 1
        return self.denoiser(x, tau)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.denoiser, name)


def peak_megabytes(reconstructor: Reconstructor, y: Float[Tensor, "b m"], particles: Sequence[int]) -> float:
    """Return the most memory that the tensors of a solve take at once beyond its inputs, in MiB.

    A long chain is watched for its first evaluations. What the operator and the network hold anyway is not counted,
    nor the scratch space of library routines. On the CPU the same run gives the same number.
    """
    _watch(reconstructor, y, particles)  # builds what is kept for later calls
    if y.is_cuda:
        before = torch.cuda.memory_allocated(y.device)
        torch.cuda.reset_peak_memory_stats(y.device)
        _watch(reconstructor, y, particles)
        return (torch.cuda.max_memory_allocated(y.device) - before) / 2**20
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it would say on stderr that it starts and stops
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        _watch(reconstructor, y, particles)
    return _highest(recorded) / 2**20


def _watch(reconstructor: Reconstructor, y: Float[Tensor, "b m"], particles: Sequence[int]) -> None:
    counted = None if reconstructor.denoiser is None else CountingDenoiser(reconstructor.denoiser, EVALUATIONS)
    with contextlib.suppress(EnoughSeenError):
        dataclasses.replace(reconstructor, denoiser=counted).reconstruct(y, particles)


def _highest(recorded: profile) -> int:
    """Return the largest running sum of allocated and freed bytes."""
    results: Any = recorded.profiler and recorded.profiler.kineto_results
    held = highest = 0
    for event in results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            highest = max(highest, held)
    return highest
