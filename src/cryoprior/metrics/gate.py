"""The gate: by shell, the best combination of a prior-free map and a prior's map that the half maps vouch for.

With f = t + n the prior-free full map and D = s t + q n + E the prior's (:mod:`cryoprior.metrics.referee`), D - q f is
(s - q) t + E, free of the noise of f. It is a second, independent measurement of t; its signal to noise over that of f
is z^2, z = (s - q) sqrt(N) / |E|. Then f + w sqrt(N) / |E| (D - q f) is worth so many times the particles of f:

    (1 + w z)^2 / (1 + w^2)

1 + z^2 at the best, w = z, and at least 1 for every w from 0 to 2 z. These are the weights a - x r and r - x a of the
three correlations a = FSC(f, t), r = FSC(D, t), x = FSC(f, D), in a form without differences of numbers near 1.

w is z, averaged over five shells, less two standard errors; and never above twice what the shell itself has beyond two
of its own standard errors. A prior that the data do not vouch for gets weight 0, and the gated map is the prior-free
one. The weights are the same for both halves, so the gated half maps are made of their own halves but for a few smooth
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from cryoprior.metrics.fsc import volume_shells
from cryoprior.metrics.referee import Curve, Estimate, Referee

SURE = 2.0
"""Standard errors by which the prior's own information is lowered before it is used."""
SMOOTHING = (1.0, 2.0, 3.0, 2.0, 1.0)
"""Weights of neighbouring shells."""
FEWEST_NUMBERS = 30.0
"""Independent numbers in the smallest shell that the gate opens for."""
MEASURED, SUPPORTED, PRIOR_ONLY, UNKNOWN = "measured", "supported", "prior only", "unknown"
INVENTED = 0.25
"""Share of the prior maps' power that both have and the truth has not, above which a shell is the prior's only."""


@dataclass(frozen=True, eq=False, repr=False)
class Gate:
    """Weights and what they are expected to give by shell, each (shells,), float64.

    free, prior: what the prior-free map and the mean of the prior maps are multiplied with; the signal keeps its
        amplitude.
    opening: w, 0 where the gate is closed. gated, gated_error: agreement of the gated map with the truth.
    worth, worth_error: times as many particles as the prior-free map has, 1 where the gate is closed.
    prior_worth, prior_worth_error: the same of the prior's map alone.
    Where the referee knows nothing the weights are 1 and 0, and agreement and worth of the prior are NaN.
    """

    free: Curve
    prior: Curve
    opening: Curve
    gated: Curve
    gated_error: Curve
    worth: Curve
    worth_error: Curve
    prior_worth: Curve
    prior_worth_error: Curve

    def __repr__(self) -> str:
        return f"Gate(open in {int((self.opening > 0).sum())} of {len(self.opening)} shells)"


def gate(found: Referee, *, closed: bool = False) -> Gate:
    """Return the weights by shell for what the referee found; ``closed``: none of the prior, whatever it found."""
    z = own_information(found)
    error = found.error(z)
    open_to = found.known & (found.counts >= FEWEST_NUMBERS) & torch.isfinite(z.value) & torch.isfinite(error)
    if closed:
        open_to = torch.zeros_like(open_to)
    w, own = _opening(z.value, error, open_to)
    rho = w / _root(_raised_deviation(found) / found.noise.clamp_min(1e-300))
    rho = torch.where(w > 0, rho, torch.zeros_like(rho))
    gain = 1 + rho * (found.s - found.q)
    gain = torch.where(w > 0, gain, torch.ones_like(gain))
    log_worth, log_snr = _worth(found, z, w, own, error)
    worth, snr = log_worth.value.exp(), log_snr.value.exp()
    gated = (snr / (1 + snr)).sqrt()
    alone = _prior_worth(found)
    unknown = torch.where(found.known, 0.0, torch.nan).double()
    return Gate(
        free=(1 - rho * found.q) / gain,
        prior=rho / gain,
        opening=w,
        gated=gated + unknown,
        gated_error=found.error(log_snr) * gated * (1 - gated.square()) / 2 + unknown,
        worth=worth,
        worth_error=worth * found.error(log_worth),
        prior_worth=alone.value + unknown,
        prior_worth_error=found.error(alone) + unknown,
    )


def own_information(found: Referee) -> Estimate:
    """Return z, the prior's own signal to noise (an amplitude) relative to that of the prior-free full map.

    |E|^2 is raised by its standard error: of a prior much better than the data it cannot be known how much better it
    is.
    """
    noise, signal = found.noise.clamp_min(1e-300), found.signal.clamp_min(1e-300)
    delta, size = found.s - found.q, _raised_deviation(found)
    root = (size * noise).clamp_min(1e-300).sqrt()
    z = torch.where(size > 0, delta * noise / root, torch.zeros_like(root))
    slope = z * delta / size.clamp_min(1e-300)
    of_x = torch.where(size > 0, (1 + noise / signal) / root + slope, torch.zeros_like(z))
    return Estimate(z, of_x, torch.where(size > 0, -z / signal - slope * delta / 2, torch.zeros_like(z)))


def _raised_deviation(found: Referee) -> Curve:
    """Return |E|^2 and one standard error of it."""
    delta = found.s - found.q
    return found.deviation + found.error(Estimate(delta, 2 * delta, delta.square()))


def gated_map(
    free: Float[Tensor, "d d d"],
    prior: Float[Tensor, "d d d"],
    weights: Gate,
    mask: Float[Tensor, "d d d"] | None = None,
) -> Float[Tensor, "d d d"]:
    """Return the two maps combined by the weights of every shell, in the grey scale of the prior-free one.

    The corners of the transform beyond Nyquist are those of the prior-free map. Within a mask both maps are multiplied
    with it first, since the weights are true of what lies in it, and nothing is left outside: the noise there would
    come back into the particle with every filter that raises fine shells.
    """
    d = free.shape[-1]
    within = (free, prior) if mask is None else (free * mask, prior * mask)
    shell = volume_shells(d, free.device).long()
    transfers = (
        torch.cat([curve, curve.new_tensor([end])])[shell.to(curve.device)].to(free.device)
        for curve, end in ((weights.free, 1.0), (weights.prior, 0.0))
    )
    mixed = sum(torch.fft.rfftn(volume.double()) * transfer for volume, transfer in zip(within, transfers, strict=True))
    gated: Tensor = torch.fft.irfftn(mixed, s=(d, d, d))
    return gated.to(free.dtype)


def verdicts(found: Referee, weights: Gate) -> list[str]:
    """Return what each shell of the prior's map rests on.

    - ``supported``: the prior adds to the shell, and the other half confirms it; the gated map has it.
    - ``measured``: the data carry the shell; the prior adds nothing that they confirm.
    - ``prior only``: so too, but the prior maps share what the truth has not; it is the prior's alone.
    - ``unknown``: the half maps agree too little to judge.
    """
    invented = found.invented()
    false = invented.value > (SURE * found.error(invented)).clamp_min(INVENTED)
    shells = zip(found.known.tolist(), (weights.opening > 0).tolist(), false.tolist(), strict=True)
    return [
        UNKNOWN if not known else SUPPORTED if opened else PRIOR_ONLY if wrong else MEASURED
        for known, opened, wrong in shells
    ]


def _opening(z: Curve, error: Curve, usable: Bool[Tensor, " shells"]) -> tuple[Curve, Curve]:
    """Return w, and how much of the shell's own z is in it."""
    precision = torch.where(usable, error.square().clamp_min(1e-12).reciprocal(), torch.zeros_like(error))
    z = torch.where(usable, z, torch.zeros_like(z))
    total, mean, square = _smoothed(precision), _smoothed(precision * z), _smoothed(precision, power=2)
    total = total.clamp_min(1e-300)
    smooth = mean / total - SURE * square.sqrt() / total
    most = 2 * (z - SURE * torch.where(usable, error, torch.zeros_like(error)))
    w = torch.where(usable, torch.minimum(smooth, most), torch.zeros_like(z)).clamp_min(0)
    own = torch.where(smooth <= most, SMOOTHING[len(SMOOTHING) // 2] * precision / total, torch.full_like(z, 2.0))
    return w, own


def _smoothed(values: Curve, power: int = 1) -> Curve:
    kernel = torch.tensor(SMOOTHING, dtype=values.dtype, device=values.device).pow(power)
    return torch.nn.functional.conv1d(values[None, None], kernel[None, None], padding=len(SMOOTHING) // 2)[0, 0]


def _worth(found: Referee, z: Estimate, w: Curve, own: Curve, error: Curve) -> tuple[Estimate, Estimate]:
    """Return the logarithm of the particles that the gated map is worth, and of its signal to noise.

    The weight was chosen by the same numbers: w z is too high by own error^2, which is taken off where w is above the
        error.
    """
    closed = w <= 0
    zero = torch.zeros_like(w)
    value = torch.where(
        closed, zero, z.value - own * error.square() * w / (w.square() + error.square()).clamp_min(1e-300)
    )
    share = torch.where(closed, zero, 2 * w / (1 + w * value).clamp_min(1e-9))
    log_worth = torch.log((1 + w * value).clamp_min(1e-9).square() / (1 + w.square()))
    of_x, of_y = (torch.where(closed, zero, share * part) for part in (z.of_x, z.of_y))
    noise, signal = found.noise.clamp_min(1e-300), found.signal.clamp_min(1e-300)
    of_snr = 1 / signal + 1 / noise
    return Estimate(log_worth, of_x, of_y), Estimate(log_worth + torch.log(signal / noise), of_x, of_y + of_snr)


def _prior_worth(found: Referee) -> Estimate:
    """Return r^2 / (1 - r^2) over a^2 / (1 - a^2), r the agreement of the prior's map, a that of the prior-free one."""
    r = found.prior()
    noise, signal = found.noise.clamp_min(1e-300), found.signal.clamp_min(1e-300)
    size = r.value.clamp(0, 1)
    rest = ((found.deviation + found.q.square() * found.noise) / found.prior_power.clamp_min(1e-300)).clamp_min(1e-12)
    worth = size.square() / rest * noise / signal
    slope = 2 * size / rest.square() * noise / signal
    return Estimate(worth, slope * r.of_x, slope * r.of_y - worth * (1 / signal + 1 / noise))


def _root(values: Curve) -> Curve:
    return values.clamp_min(0).sqrt()
