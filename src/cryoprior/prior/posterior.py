"""The posterior mean of a measured image, by one question to a prior that knows its operator."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.image.spectrum import apply_filter
from cryoprior.image.turns import turned, turned_back
from cryoprior.measurement.conditioning import Measurement, floored
from cryoprior.prior.denoiser import OperatorAware
from cryoprior.prior.evidence import Evidence, evidence_of_image, evidence_of_measurement
from cryoprior.prior.split import signal_and_noise


def posterior_mean(
    prior: OperatorAware,
    measurement: Measurement,
    x: Float[Tensor, "b box box"] | None = None,
    tau: float | None = None,
    *,
    turns: int = 1,
    tolerance: float = 1e-3,
) -> Float[Tensor, "b box box"]:
    """Return E[x0 | y], or with x and tau E[x0 | x0 + tau e = x, y].

    x0 = s + n: the signal s is what the network estimates; the noise n is Gaussian of known power, so that what y says
    of it beside s has a closed form. The result reproduces y where sigma = 0.

    turns: network evaluations, each on the same evidence turned or mirrored in another way, and averaged.
    tolerance: relative residual of conjugate gradients, for operators without a closed form.

    Source: Exact Posterior Score (arXiv 2606.17048) for the question; the split into s and n is ours: docs/theory.md.
    """
    signal, noise = prior.components(measurement.operator.box, measurement.y)
    evidence = evidence_of_measurement(measurement, x, tau, signal, noise, tolerance=tolerance)
    guess = _turned_mean(prior, evidence, turns)
    if prior.means_only:
        # Such a network was judged on what it had not been shown: what it was shown stays with the linear estimate.
        change = guess - evidence.linear
        guess = evidence.linear + change - measurement.synthesise(measurement.analyse(change))
    if not bool(noise.any()):
        return measurement.fit(guess)
    covariance = noise = floored(noise)
    if x is not None and tau is not None:
        covariance = noise * tau**2 / (noise + tau**2)
        guess = guess + apply_filter(x - guess, noise / (noise + tau**2))
    return measurement.fit(measurement.condition(guess, covariance, tolerance=tolerance))


def posterior_signal(
    prior: OperatorAware, measurement: Measurement, *, turns: int = 1, tolerance: float = 1e-3
) -> Float[Tensor, "b box box"]:
    """Return E[s | y], the signal without the noise that :func:`posterior_mean` adds to it; the parameters are its own.

    Raises
    ------
    InputError: a prior that cannot tell signal from noise.
    """
    signal, noise = signal_and_noise(prior, measurement.operator.box, measurement.y)
    if measurement.whole:
        # An image with all its frequencies is a noisy image, which priors were trained on more than on measurements.
        image, added = measurement.image
        evidence = evidence_of_image(image, signal, noise + added)
    else:
        evidence = evidence_of_measurement(measurement, None, None, signal, noise, tolerance=tolerance)
    return _turned_mean(prior, evidence, turns)


def _turned_mean(prior: OperatorAware, evidence: Evidence, turns: int) -> Float[Tensor, "b box box"]:
    return torch.stack([_turned_estimate(prior, evidence, turn) for turn in _turns(turns)]).mean(0)


def _turns(count: int) -> Sequence[int]:
    """Return which of the eight turns and mirrors are asked: the mirrored ones first, they differ most."""
    return (0, 6, 4, 2, 1, 7, 5, 3)[:count]


def _turned_estimate(prior: OperatorAware, evidence: Evidence, turn: int) -> Float[Tensor, "b box box"]:
    if turn == 0:
        return prior.estimate(evidence)
    inputs = evidence._replace(
        pivot=turned(evidence.pivot, turn),
        linear=turned(evidence.linear, turn),
        seen=None if evidence.seen is None else turned(evidence.seen, turn),
    )
    return turned_back(prior.estimate(inputs), turn)
