"""Point groups: the rotations that leave a symmetric map as it is, about the axes that RELION gives them."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.errors import InputError

POINT_GROUPS = ("C1, C2, ... Cn", "D1, D2, ... Dn", "T", "O", "I", "I1", "I2", "I3", "I4")
"""What :func:`point_group` knows; I is I2, as in RELION 3.1."""

LARGEST_ORDER = 99
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
_NAME = re.compile(r"([CD])([1-9]\d?)|([TO])|I([1-4]?)")


def point_group(name: str) -> Float[Tensor, "g 3 3"]:
    """Return the rotations of a point group, the identity first, (g, 3, 3) float64, on xyz columns from the left.

    A pose R and its mates S R, S of the group, project a symmetric map to the same image.

    Parameters
    ----------
    name: C1 to C99 and D1 to D99 (n-fold axis on z, two-fold of D on x), T (three-fold on z, a two-fold in the yz
        plane), O (four-folds on x, y, z), I1 to I4 and I, which is I2; upper or lower case.

    Raises
    ------
    InputError: any other name.

    Source: the axes are RELION's, checked against ``relion_refine --print_symmetry_ops``.
    """
    return torch.from_numpy(_group(_checked(name)).copy())


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name.upper()):
        raise InputError(
            f"symmetry {name!r}: expected a point group, one of {', '.join(POINT_GROUPS)}, n up to {LARGEST_ORDER}"
        )
    return name.upper()


@lru_cache(maxsize=16)
def _group(name: str) -> np.ndarray:
    kind: Any = name[0] if name[0] in "TI" else name
    matrices = Rotation.create_group(kind).as_matrix()
    turn = _turn(name)
    matrices = turn @ matrices @ turn.T
    first = np.argsort(-np.trace(matrices, axis1=1, axis2=2), kind="stable")[:1]
    return np.concatenate([matrices[first], np.delete(matrices, first, axis=0)])


def _turn(name: str) -> np.ndarray:
    """Return the rotation from scipy's axes to RELION's.

    scipy has two-folds on x, y, z in T and I, and five-folds of I in the xz plane at (+-phi, 0, 1).
    """
    five_fold_deg = math.degrees(math.atan(GOLDEN_RATIO))  # from z
    match name:
        case "T":  # the two-folds go where a three-fold on z turns them into each other, one in the yz plane
            azimuth, height = np.radians([90.0, 210.0, 330.0]), np.full(3, math.sqrt(1 / 3))
            width = math.sqrt(2 / 3)
            return np.stack([width * np.cos(azimuth), width * np.sin(azimuth), height])
        case "I" | "I2":
            return Rotation.from_euler("z", 90, degrees=True).as_matrix()
        case "I3":
            return Rotation.from_euler("y", five_fold_deg, degrees=True).as_matrix()
        case "I4":
            return Rotation.from_euler("y", -five_fold_deg, degrees=True).as_matrix()
        case _:
            return np.eye(3)
