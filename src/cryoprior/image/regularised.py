"""The map that fits images and is no larger than its own signal, within a sphere: one well-posed problem.

The map v minimises sum_i |T_i P_i v - x_i|^2 + sum_k lambda_k |V_k|^2 over all v that vanish outside the sphere; lambda
is the noise of a coefficient of an image over the signal of a coefficient of the map, by shell. Views that are missing
have no weight and stay near zero instead of being divided by it.

Source: Scheres, J. Mol. Biol. 415 (2012) 406, Eq. 8, for the term and for lambda from two half maps. There it divides
coefficient by coefficient; here the equations of all coefficients are solved together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.image.descent import TINY, Descent, measured
from cryoprior.image.normal_equations import NormalEquations
from cryoprior.image.shells import Shells
from cryoprior.image.volume_filters import crop_volume_transform, pad_volume_transform

LEAST_NOISE, MOST_NOISE = 3e-3, 30.0
"""Bounds of lambda in units of the weight of a shell: interpolation errs by some thousandths of what it reads, and no
shell is made less than a thirtieth of what its images say."""
MISFIT = 4.0
"""The noise beside the particle counts where it is within this factor of what half sets do not share: images whose
surroundings were masked or denoised show none."""
LEAST_WEIGHT = 0.1
"""Of the mean of their shell: weights below are raised to it where a map is only divided by them."""
RESIDUAL = 1e-4
"""Conjugate gradients stop where the residual falls to this part of the target; see :class:`.descent.Descent`."""
STEPS = 100
"""Of conjugate gradients at most; 5 to 50 were needed."""
COARSE_BOX = 96
"""Maps above this box start from the solution of half the box, after COARSE_STEPS at most."""
COARSE_STEPS = 20


@dataclass(frozen=True, eq=False)
class Solution:
    """A map, (d, d, d), and how it was found: steps of conjugate gradients, and the relative residual at the end.

    converged: whether the residual fell as low as was asked; otherwise the steps ran out.
    """

    volume: Float[Tensor, "d d d"]
    steps: int
    residual: float
    converged: bool


def noise_to_signal(
    targets: Sequence[Float[Tensor, "d d d"]],
    equations: Sequence[NormalEquations],
    noise: Float[Tensor, " shells"] | None = None,
) -> Float[Tensor, " shells"]:
    """Return lambda by shell from what the back-projections of two half sets share.

    A coefficient of weight w holds w^2 of the signal and w of the noise, so the cross spectrum of the two gives the
    signal over the mean of w_1 w_2. What their spectra hold beyond that is noise, of which the support keeps its share
    of the box. That difference is well known where noise outweighs signal and badly elsewhere: there the noise seen
    beside the particle is taken, or one number for all shells where none is known or it does not fit.

    Parameters
    ----------
    targets: their back-projections.
    equations: those of the two half sets.
    noise: of a coefficient of unit weight by shell, in units of the power of the targets; None where not known.
    """
    support, weights = equations[0].support, [one.eigenvalues for one in equations]
    shells = Shells(len(support), support.device)
    first, second = (torch.fft.rfftn(support * target) for target in targets)
    cross = shells.mean((first * second.conj()).real)
    power = shells.mean(_power(first)) + shells.mean(_power(second))
    squares, means = (shells.mean(weights[0] ** order) + shells.mean(weights[1] ** order) for order in (2, 1))
    signal = cross.clamp_min(0) / shells.mean(weights[0] * weights[1]).clamp_min(TINY)
    beyond = (power - signal * squares).clamp_min(0) / (support.mean() * means).clamp_min(TINY)
    known = (beyond * means / power.clamp_min(TINY)).clamp(0, 1).square() * shells.sizes()
    level = chosen_noise(beyond, known, noise)
    part = (1 - support.mean() * level * means / power.clamp_min(TINY)).clamp(0, 1)
    signal = part * part * power / squares.clamp_min(TINY) + (1 - part) * signal
    unit = squares / means.clamp_min(TINY)
    ratio = level / (signal * unit).clamp_min(TINY)
    logs = ratio.clamp(LEAST_NOISE, MOST_NOISE).log()
    edged = torch.cat((logs[:1], logs, logs[-1:]))
    return filled(((edged[:-2] + 2 * logs + edged[2:]) / 4).exp() * unit, equations[0].seen | equations[1].seen)


def filled(ridge: Float[Tensor, " shells"], seen: Bool[Tensor, " shells"]) -> Float[Tensor, " shells"]:
    """Return lambda with the largest of all shells where none was measured, so that nothing is made up there."""
    return torch.where(seen, ridge, (ridge * seen).max().clamp_min(TINY))


def chosen_noise(
    beyond: Float[Tensor, " shells"], known: Float[Tensor, " shells"], noise: Float[Tensor, " shells"] | None
) -> Float[Tensor, " shells"]:
    """Return the noise by shell: what was seen beside the particle where it fits, else one number for all shells.

    beyond: noise by what two half sets do not share. known: how well each shell tells it.
    """
    level = (known * beyond).sum() / known.sum().clamp_min(TINY)
    if noise is None:
        return level.expand_as(beyond)
    ratio = (known * noise).sum() / (known * beyond).sum().clamp_min(TINY)
    return noise if 1 / MISFIT < ratio < MISFIT else level.expand_as(beyond)


def solve(
    equations: NormalEquations,
    target: Float[Tensor, "d d d"],
    ridge: Float[Tensor, " shells"],
    start: Float[Tensor, "d d d"] | None = None,
    steps: int = STEPS,
) -> Solution:
    """Return the map within the sphere by conjugate gradients; :class:`.descent.Descent` has the parameters."""
    descent, done = Descent(equations, target, ridge, start), 0
    if start is not None:
        descent.take(equations.apply(descent.asked))
    while done < steps and descent.residual > RESIDUAL:
        descent.take(equations.apply(descent.asked))
        done += 1
    return Solution(descent.volume, done, descent.residual, descent.residual <= RESIDUAL)


def divided(equations: NormalEquations, target: Float[Tensor, "d d d"]) -> Float[Tensor, "d d d"]:
    """Return the map of division alone, no sphere and no lambda: weights are raised to a tenth of their shell's mean.

    Source: as ``relion_reconstruct`` divides, which raises them to a thousandth.
    """
    shells = Shells(equations.box, target.device)
    weights = equations.eigenvalues
    raised = torch.maximum(weights, shells.spread(LEAST_WEIGHT * shells.mean(weights)))
    inverse = torch.where(measured(equations), 1 / raised.clamp_min(TINY), 0.0)
    found: Tensor = torch.fft.irfftn(torch.fft.rfftn(target) * inverse, s=target.shape)
    return found


def unit_gain(
    volume: Float[Tensor, "d d d"],
    equations: NormalEquations,
    ridge: Float[Tensor, " shells"],
) -> Float[Tensor, "d d d"]:
    """Return the map with the amplitude that lambda took of every shell given back, w / (w + lambda).

    So a map has the grey scale of its images however few they are. The mean over a shell counts directions by how
    densely they were seen, up to an even share: what was measured is not raised for views that are missing.
    """
    shells = Shells(len(volume), volume.device)
    held, seen, weights = shells.spread(ridge), measured(equations), equations.eigenvalues
    even = shells.spread(shells.mean(equations.density))
    counted = torch.where(seen, torch.minimum(equations.density, even), 0.0)
    gain = shells.mean(counted * weights / (weights + held).clamp_min(TINY)) / shells.mean(counted).clamp_min(TINY)
    back = shells.spread(1 / gain.clamp_min(1 / (1 + MOST_NOISE)))
    sizes = (len(volume),) * 3
    within = equations.support * torch.fft.irfftn(torch.fft.rfftn(volume.double()) * back, s=sizes)
    kept: Tensor = torch.fft.irfftn(torch.fft.rfftn(within) * seen, s=sizes)
    return kept


def solve_from_coarse(
    equations: NormalEquations, target: Float[Tensor, "d d d"], ridge: Float[Tensor, " shells"], steps: int = STEPS
) -> Solution:
    """Return the map within the sphere; a large one, in float32, starts from that of half the box."""
    box, start = equations.box, None
    if box > COARSE_BOX and box % 4 == 0:
        low = crop_volume_transform(target, box // 2)
        coarse = solve_from_coarse(equations.halved(), low, ridge[: box // 4 + 1], COARSE_STEPS)
        start = pad_volume_transform(coarse.volume, box)
    return solve(equations, target if box <= COARSE_BOX else target.float(), ridge, start, steps)


def _power(transform: Tensor) -> Tensor:
    return transform.real.square() + transform.imag.square()
