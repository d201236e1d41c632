"""Which Fourier coefficients are kept: uniform, rings or spokes, in conjugate pairs or over the full plane."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

GROUPS = 100  # rings and spokes, as in the paper

Plane = Int[np.ndarray, " n"]


def frequencies(box: int) -> tuple[Plane, Plane]:
    """Return the integer frequencies ky and kx of the flattened full FFT plane, each (n,), lowest -(box // 2)."""
    k = np.round(np.fft.fftfreq(box) * box).astype(np.int64)
    ky, kx = np.meshgrid(k, k, indexing="ij")
    return ky.ravel(), kx.ravel()


def partners(box: int) -> Plane:
    """Return the flat index of -k for every k of the full plane, (n,); k = -k for self-conjugate ones."""
    ky, kx = frequencies(box)
    flat: Plane = (-ky % box) * box + (-kx % box)
    return flat


def ring_order(
    rng: np.random.Generator, box: int, weight: Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]]
) -> Plane:
    """Return the place in the draw of each coefficient's ring, (n,).

    Rings are annuli of equal area that reach the corners; they are drawn without replacement with probability in
    proportion to ``weight`` of their middle radius in pixels.
    """
    ky, kx = frequencies(box)
    square = (ky**2 + kx**2).astype(float)
    ring = np.minimum((GROUPS * square / max(square.max(), 1.0)).astype(np.int64), GROUPS - 1)
    middle = np.sqrt((np.arange(GROUPS) + 0.5) / GROUPS * square.max())
    # An exponential race: the first arrivals are a weighted draw without replacement.
    arrival = np.log(-np.log(rng.random(GROUPS))) - np.log(weight(middle))
    place: Plane = _places(np.argsort(arrival))[ring]
    return place


def spoke_order(rng: np.random.Generator, box: int, *, radii: bool = False) -> Plane:
    """Return the place in the draw of each coefficient's spoke, (n,); the centre lies on every spoke, so on the first.

    A spoke is a line through the centre, so wide that all of them cover the plane, and k and -k lie on the same
    one; with ``radii`` it is a sector from the centre outwards, and k and -k lie on two.
    """
    ky, kx = frequencies(box)
    flat = np.arange(box**2)
    # On the edges of an even box the angles of k and -k differ: take the same one of the two for both.
    chosen = flat if radii else np.minimum(flat, partners(box))
    turn = 2 * np.pi if radii else np.pi
    angle = np.arctan2(ky[chosen], kx[chosen]) % turn
    spoke = np.minimum((GROUPS * angle / turn).astype(np.int64), GROUPS - 1)
    place = _places(np.argsort(rng.random(GROUPS)))[spoke]
    return np.where(flat == 0, 0, place)


def draw_full_plane(rng: np.random.Generator, order: Plane, count: int) -> Bool[np.ndarray, " n"]:
    """Return a mask of ``count`` coefficients of the full plane, groups in their order, the last one in part, (n,)."""
    mask = np.zeros(len(order), dtype=bool)
    mask[np.lexsort((rng.random(len(order)), order))[:count]] = True
    return mask


def draw_pairs(rng: np.random.Generator, order: Plane, count: int, box: int) -> Bool[np.ndarray, " n"]:
    """Return a mask of conjugate pairs that holds ``count`` real numbers, the mean of the image always among them.

    A pair counts two, a self-conjugate coefficient one. In an odd box only the mean is self-conjugate, so that an even
    ``count`` is met to within one.
    """
    partner = partners(box)
    units = np.flatnonzero(np.arange(box**2) <= partner)
    place = np.where(units == 0, -1, order[units])
    units = units[np.lexsort((rng.random(len(units)), place))]
    single = partner[units] == units
    filled = np.cumsum(np.where(single, 1, 2))
    taken = int(np.searchsorted(filled, count, side="right"))
    chosen = list(units[:taken])
    if taken and filled[taken - 1] < count:
        later, earlier = np.flatnonzero(single[taken:]), np.flatnonzero(single[1:taken])
        if len(later):
            chosen.append(units[taken + later[0]])
        elif len(earlier):
            chosen[1 + earlier[-1]] = units[taken]
    mask = np.zeros(box**2, dtype=bool)
    mask[chosen] = True
    mask[partner[chosen]] = True
    return mask


def _places(drawn: Plane) -> Plane:
    places = np.empty_like(drawn)
    places[drawn] = np.arange(len(drawn))
    return places
