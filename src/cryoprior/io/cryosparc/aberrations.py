"""cryoSPARC's aberrations and anisotropic magnification as RELION's columns, and back.

cryoSPARC states lengths in angstrom, RELION beam tilt in mrad and Zernike coefficients in radians. With the frequency
k (1/angstrom, polar angle t from x to y), the wavelength L and the CTF -sin(gamma), both mean the phases

    even:  gamma += L^3 k^4 [2 pi (tetra_0 cos 2t + tetra_1 sin 2t) + pi/2 (tetra_2 cos 4t + tetra_3 sin 4t)]
    odd:   image *= exp(i p),
           p = -L^2 k^3 [2 pi (tilt_0 cos t + tilt_1 sin t) + 2 pi/3 (trefoil_0 cos 3t + trefoil_1 sin 3t)]

that is 2 pi/L times the wave aberration of a lens with axial coma B2 = tilt, three-fold astigmatism A2 = trefoil, star
aberration S3 = tetra_0, 1 and four-fold astigmatism A3 = tetra_2, 3. RELION's phase of beam tilt b is p =
-2 pi Cs L^2 k^2 (b . k), and its Zernike polynomials are those of k in 1/angstrom, not normalised.

cryoSPARC publishes no formula. The factors are those of programs that reproduce its images; the sign of the odd terms
is the one by which pyem makes rlnBeamTilt of tilt, rlnBeamTilt = asin(tilt / Cs), and trefoil shares it.
Anisotropic magnification is stored without its identity: RELION's matrix is 1 + anisomag; both map frequencies of the
image to those of the undistorted projection.

Source: Zivanov et al., Estimation of high-order aberrations and anisotropic magnification (2020), for RELION's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

BEAM_TILT = ("rlnBeamTiltX", "rlnBeamTiltY")
ODD, EVEN = "rlnOddZernike", "rlnEvenZernike"
MAGNIFICATION = ("rlnMagMat00", "rlnMagMat01", "rlnMagMat10", "rlnMagMat11")
TILT, TREFOIL, TETRAFOIL, ANISOMAG = "ctf/tilt_A", "ctf/trefoil_A", "ctf/tetra_A", "ctf/anisomag"
LARGEST_TILT = 0.01
"""Radians. A longer coma, or one of a lens without Cs, is no beam tilt: it is written as Zernike coefficients."""
ODD_TERMS, EVEN_TERMS = 6, 9


def wavelength(voltage_kv: np.ndarray) -> Float64[np.ndarray, " n"]:
    """Return the wavelength of electrons in angstrom, by RELION's formula."""
    volt = np.asarray(voltage_kv, np.float64) * 1e3
    return 12.2643247 / np.sqrt(volt * (1 + volt * 0.978466e-6))


def relion_aberrations(rows: np.ndarray) -> dict[str, Any]:
    """Return RELION's columns, each (n,), of what differs from none in a cryoSPARC array of n rows."""
    n = len(rows)
    tilt, trefoil, tetra, anisomag = (_column(rows, name) for name in (TILT, TREFOIL, TETRAFOIL, ANISOMAG))
    columns: dict[str, Any] = {}
    length = wavelength(rows["ctf/accel_kv"]) if any(v is not None for v in (tilt, trefoil, tetra)) else np.ones(n)
    odd = np.zeros((n, ODD_TERMS))
    if tilt is not None:
        radians: np.ndarray = tilt / np.maximum(rows["ctf/cs_mm"].astype(np.float64)[:, None] * 1e7, 1e-30)
        as_tilt: np.ndarray = (np.abs(radians) <= LARGEST_TILT).all(axis=1)
        for place, name in enumerate(BEAM_TILT):
            columns[name] = np.where(as_tilt, np.arcsin(np.clip(radians[:, place], -1, 1)) * 1e3, 0.0)
        coma = np.where(as_tilt[:, None], 0.0, -2 * np.pi * length[:, None] ** 2 * tilt)
        odd[:, [4, 3]] = coma / 3  # r^2 x is a third of Z31 = 3 r^2 x - 2 x, and of
        odd[:, [1, 0]] = 2 * coma / 3  # Z11 = x two thirds
    if trefoil is not None:
        odd[:, [5, 2]] = -2 * np.pi / 3 * length[:, None] ** 2 * trefoil
    if odd.any():
        columns[ODD] = _texts(odd)
    if tetra is not None:
        star, four = 2 * np.pi * tetra[:, :2], np.pi / 2 * tetra[:, 2:]
        even = np.zeros((n, EVEN_TERMS))
        even[:, [7, 5]] = star / 4  # r^4 cos 2t is a quarter of Z42 = (4 r^4 - 3 r^2) cos 2t, and of
        even[:, [3, 1]] = 3 * star / 4  # Z22 = r^2 cos 2t three quarters
        even[:, [8, 4]] = four
        columns[EVEN] = _texts(even * length[:, None] ** 3)
    if anisomag is not None:
        for place, name in enumerate(MAGNIFICATION):
            columns[name] = (1.0 if place in (0, 3) else 0.0) + anisomag[:, place]
    return columns


def cryosparc_aberrations(
    columns: Mapping[str, Any], voltage_kv: np.ndarray, cs_mm: np.ndarray
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return cryoSPARC's columns, (n, 2) and (n, 4) float64, and what of RELION's they cannot hold, in words.

    Parameters
    ----------
    columns: RELION's columns that are there, each (n,).
    voltage_kv, cs_mm: of every particle, (n,).
    """
    n = len(voltage_kv)
    length = wavelength(voltage_kv)[:, None]
    odd, even = _coefficients(columns, ODD, ODD_TERMS, n), _coefficients(columns, EVEN, EVEN_TERMS, n)
    left = [f"{name} beyond order {order}" for name, order in ((ODD, 3), (EVEN, 4)) if _longer(columns, name)]
    found: dict[str, np.ndarray] = {}
    if odd is not None and not np.allclose(odd[:, :2], 2 * odd[:, [3, 4]], atol=1e-9):
        left.append(f"{ODD} of order 1 (shifts)")
    if even is not None and not (
        np.allclose(even[:, [3, 1]], 3 * even[:, [7, 5]], atol=1e-9) and np.allclose(even[:, [0, 2, 6]], 0)
    ):
        left.append(f"{EVEN} of order 0 and 2, and Z40 (phase, defocus and Cs)")
    if odd is not None or BEAM_TILT[0] in columns:
        tilts = [np.asarray(columns.get(name, np.zeros(n)), np.float64) for name in BEAM_TILT]
        tilt = np.sin(np.stack(tilts, 1) * 1e-3) * (np.asarray(cs_mm, np.float64)[:, None] * 1e7)
        found[TILT] = tilt if odd is None else tilt - 3 * odd[:, [4, 3]] / (2 * np.pi * length**2)
    if odd is not None:
        found[TREFOIL] = -3 * odd[:, [5, 2]] / (2 * np.pi * length**2)
    if even is not None:
        star, four = 4 * even[:, [7, 5]] / (2 * np.pi), even[:, [8, 4]] / (np.pi / 2)
        found[TETRAFOIL] = np.concatenate([star, four], 1) / length**3
    if set(MAGNIFICATION) <= set(columns):
        matrix = np.stack([np.asarray(columns[name], np.float64) for name in MAGNIFICATION], 1)
        found[ANISOMAG] = matrix - np.array([1.0, 0, 0, 1])
    return found, left


def _column(rows: np.ndarray, name: str) -> np.ndarray | None:
    """Return a column, (n, ...) float64, or None where it is not there or 0 throughout."""
    if name not in (rows.dtype.names or ()) or not rows[name].any():
        return None
    values = rows[name]
    return np.asarray([[float(str(v)) for v in row] for row in values])  # shortest decimals: .002, not .0020000001


def _texts(values: np.ndarray) -> list[str]:
    """Return vectors as RELION writes them in star files."""
    known: dict[bytes, str] = {}
    for row in values:
        known.setdefault(row.tobytes(), "[" + ",".join(repr(float(v)) for v in row) + "]")
    return [known[row.tobytes()] for row in values]


def _longer(columns: Mapping[str, Any], name: str) -> bool:
    terms = ODD_TERMS if name == ODD else EVEN_TERMS
    return any(any(_parsed(text)[terms:]) for text in set(columns.get(name, [])))


def _parsed(text: Any) -> list[float]:
    return [float(v) for v in str(text).strip("[]").split(",") if v.strip()]


def _coefficients(columns: Mapping[str, Any], name: str, terms: int, n: int) -> np.ndarray | None:
    """Return the first coefficients, (n, terms), of vectors in RELION's text; None where the column is absent."""
    if name not in columns:
        return None
    padded = {text: (_parsed(text) + [0.0] * terms)[:terms] for text in set(columns[name])}
    return np.array([padded[text] for text in columns[name]]).reshape(n, terms)
