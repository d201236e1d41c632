"""Rotations as RELION's Euler angles."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.transform import Rotation


def euler_of_matrix(matrices: Float[np.ndarray, "n 3 3"]) -> Float64[np.ndarray, "n 3"]:
    """Return rlnAngleRot, Tilt, Psi in degrees, (n, 3), of rotations R = Rz(rot) Ry(tilt) Rz(psi), (n, 3, 3)."""
    return _euler(Rotation.from_matrix(np.asarray(matrices, np.float64)))


def euler_of_vector(vectors: Float[np.ndarray, "n 3"]) -> Float64[np.ndarray, "n 3"]:
    """Return rlnAngleRot, Tilt, Psi in degrees, (n, 3), of rotation vectors r, R = exp(r), radians about their axis."""
    return _euler(Rotation.from_rotvec(np.asarray(vectors, np.float64)))


def _euler(rotation: Rotation) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gimbal lock")  # at tilt 0 only rot + psi is known; any split will do
        return np.asarray(rotation.as_euler("ZYZ", degrees=True))
