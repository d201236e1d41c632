"""Errors of poses: the turn and the shift between two poses of each particle, under symmetry, frame and hand.

R = Rz(rot) Ry(tilt) Rz(psi) turns the image's axes into the map's, so symmetry and a turn of the map act on it from
the left. The mirror image of a map (inverted through its centre) has every projection of the map itself, at R Rz(180).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.projection import rotation_matrices
from cryoprior.image.symmetry import point_group

WRONG_DEG = 30.0
"""A pose further off than this is counted as wrong, not as imprecise."""

OTHER_HAND_RATIO = 0.5
"""The hand is taken as flipped where the median error to the other hand's poses is below this share of the median."""

FRAME_SEEDS, FRAME_PARTICLES, FRAME_ROUNDS = 96, 2000, 20
ROWS = 1 << 16


@dataclass(frozen=True)
class PoseErrors:
    """How far two poses of every particle are apart.

    angle_deg: the turn between the orientations, 0 to 180, after the best symmetry mate.
    view_deg: the angle between the viewing directions of the same pair, blind to the in-plane angle.
    shift_angstrom, shift_pixel: length of the difference of the origins in the image plane.
    other_hand_deg: what ``angle_deg`` would be if the first poses belonged to the mirror image of the map.
    frame: the turn that was applied to the first poses from the left, (3, 3); the identity if none was asked for.
    """

    angle_deg: Float[Tensor, " n"]
    view_deg: Float[Tensor, " n"]
    shift_angstrom: Float[Tensor, " n"]
    shift_pixel: Float[Tensor, " n"]
    other_hand_deg: Float[Tensor, " n"]
    frame: Float[Tensor, "3 3"]

    @property
    def hand_flipped(self) -> bool:
        """Return whether the first poses are those of the mirror image: median error to it below half of the median."""
        return _median(self.other_hand_deg) < OTHER_HAND_RATIO * _median(self.angle_deg)

    def summary(self) -> dict[str, Any]:
        """Return the numbers that sum the errors up, by the names under which ``cryoprior poses`` reports them."""
        return {
            "n": len(self.angle_deg),
            "median_angle_deg": _median(self.angle_deg),
            "mean_angle_deg": float(self.angle_deg.mean()),
            "above_30_deg": int((self.angle_deg > WRONG_DEG).sum()),
            "median_view_deg": _median(self.view_deg),
            "median_shift_pixel": _median(self.shift_pixel),
            "median_shift_angstrom": _median(self.shift_angstrom),
            "hand_flipped": self.hand_flipped,
            "median_angle_other_hand_deg": _median(self.other_hand_deg),
        }


def pose_errors(
    euler_a: Float[Tensor, "n 3"],
    origin_a: Float[Tensor, "n 2"],
    euler_b: Float[Tensor, "m 3"],
    origin_b: Float[Tensor, "m 2"],
    pixel_size: float | Float[Tensor, " n"],
    symmetry: str = "C1",
    align: bool = False,
) -> PoseErrors:
    """Return the errors of poses a against poses b of the same particles, row by row, in float64.

    Parameters
    ----------
    euler_a, euler_b: rot, tilt, psi in degrees.
    origin_a, origin_b: rlnOriginX, YAngst, in angstrom; symmetry and frame leave the image plane, so these too, alone.
    pixel_size: in angstrom.
    symmetry: point group of the map; of all mates of a pose the nearest counts.
    align: turn all poses a by one rotation from the left first, that which most of them agree on: for maps that
        were reconstructed in a frame of their own. A shift between the two maps is not taken out.

    Raises
    ------
    InputError: no pose, numbers of poses that differ, a value that is not finite, or an unknown symmetry.
    """
    _check(euler_a, origin_a, euler_b, origin_b)
    a, b = rotation_matrices(euler_a.double()), rotation_matrices(euler_b.double())
    group = point_group(symmetry).to(a)
    other_hand = a * torch.tensor([-1.0, -1.0, 1.0]).to(a)  # R Rz(180)
    frame, other_frame = (align_frame(r, b, group) if align else torch.eye(3).to(a) for r in (a, other_hand))
    mates = nearest_mates(frame @ a, b, group)
    other = nearest_mates(other_frame @ other_hand, b, group)
    shift = torch.linalg.vector_norm(origin_a.double() - origin_b.double(), dim=-1)
    return PoseErrors(
        angle_deg=turn_deg(mates, b),
        view_deg=_vector_angle_deg(mates[:, :, 2], b[:, :, 2]),
        shift_angstrom=shift,
        shift_pixel=shift / pixel_size,
        other_hand_deg=turn_deg(other, b),
        frame=frame,
    )


def turn_deg(a: Float[Tensor, "n 3 3"], b: Float[Tensor, "n 3 3"]) -> Float[Tensor, " n"]:
    """Return the angle of the rotation between two, 0 to 180 degrees; exact near both ends."""
    sine = torch.linalg.matrix_norm(a - b) / math.sqrt(8)  # of half the angle
    cosine = (1 + (a * b).sum((-2, -1))).clamp_min(0).sqrt() / 2
    return torch.rad2deg(2 * torch.atan2(sine, cosine))


def nearest_mates(
    a: Float[Tensor, "n 3 3"], b: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"]
) -> Float[Tensor, "n 3 3"]:
    """Return the mate S a of every pose a, S in the group, that is nearest to b."""
    return group[_nearest(a @ b.mT, group)] @ a


def align_frame(
    a: Float[Tensor, "n 3 3"], b: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"]
) -> Float[Tensor, "3 3"]:
    """Return the rotation G for which most poses G a, or mates of them, are near b.

    Every tenth or so particle proposes its own G; the one with the least sum of errors, each counted as at most 30
    degrees, wins, so that wrong poses have no say. It is then averaged over the particles near it, until it stays.
    """
    few = torch.linspace(0, len(a) - 1, min(len(a), FRAME_PARTICLES)).long()
    relative = b[few] @ a[few].mT
    seeds = relative[torch.linspace(0, len(few) - 1, min(len(few), FRAME_SEEDS)).long()]
    costs = [_errors(seed, relative, group).clamp_max(WRONG_DEG).sum() for seed in seeds]
    frame = seeds[int(torch.stack(costs).argmin())]
    relative = b @ a.mT
    for _ in range(FRAME_ROUNDS):
        near = group.mT[_nearest(frame @ relative.mT, group)] @ relative  # S^-1 (b a^-1), an estimate of G each
        error = turn_deg(frame.expand_as(near), near)
        right = error <= WRONG_DEG
        spread = error[right].median() if bool(right.any()) else error.median()
        refined = _mean_rotation(near[error <= 3 * spread + 1e-9])
        moved = turn_deg(refined[None], frame[None])
        frame = refined
        if float(moved) < 1e-7:
            break
    return frame


def _errors(frame: Tensor, relative: Tensor, group: Tensor) -> Tensor:
    near = group.mT[_nearest(frame @ relative.mT, group)] @ relative
    return turn_deg(frame.expand_as(near), near)


def _nearest(turn: Float[Tensor, "n 3 3"], group: Float[Tensor, "g 3 3"]) -> Int[Tensor, " n"]:
    """Return which S of the group makes S turn nearest to the identity: that of the largest trace."""
    flat = group.mT.flatten(1).mT  # tr(S T) = sum of S^T * T
    return torch.cat([(rows.flatten(1) @ flat).argmax(1) for rows in torch.split(turn, ROWS)])


def _mean_rotation(rotations: Float[Tensor, "n 3 3"]) -> Float[Tensor, "3 3"]:
    """Return the rotation of least squared distance to all: the polar factor of their sum."""
    u, _, vh = torch.linalg.svd(rotations.sum(0))
    sign = torch.ones(3).to(u)
    sign[2] = torch.linalg.det(u @ vh).sign()
    mean: Tensor = (u * sign) @ vh
    return mean


def _vector_angle_deg(a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"]) -> Float[Tensor, " n"]:
    sine, cosine = torch.linalg.vector_norm(a - b, dim=-1), torch.linalg.vector_norm(a + b, dim=-1)
    return torch.rad2deg(2 * torch.atan2(sine, cosine))


def _median(values: Tensor) -> float:
    return float(values.quantile(0.5)) if len(values) < ROWS else float(values.median())


def _check(euler_a: Tensor, origin_a: Tensor, euler_b: Tensor, origin_b: Tensor) -> None:
    counts = [len(values) for values in (euler_a, origin_a, euler_b, origin_b)]
    if min(counts) == 0 or len(set(counts)) > 1:
        given = f"angles and origins of {counts[:2]}, against those of {counts[2:]}"
        raise InputError(f"poses: {given} particles; expected the same number, at least one; match the rows")
    for name, values in (("first", euler_a), ("first", origin_a), ("second", euler_b), ("second", origin_b)):
        bad = ~torch.isfinite(values).all(-1)
        if bool(bad.any()):
            row = int(bad.nonzero()[0, 0]) + 1
            raise InputError(f"poses: the {name} pose of particle {row} is not finite; remove its row from both")
