"""Case 17: aberrations, anisotropic magnification and scale of a .cs file become RELION's, and mean the same phases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.io import read_particles
from cryoprior.io.cryosparc.aberrations import cryosparc_aberrations, relion_aberrations, wavelength
from kit.cryosparc_rows import optics_row

CS_MM, KV = 2.7, 300.0


@pytest.fixture
def case(shared_data: Path) -> Path:
    return shared_data / "cases" / "17-cs-aberrations" / "J15" / "J15_particles.cs"


def test_the_columns_are_relion_s(case: Path) -> None:
    stack = read_particles(case)
    assert len(stack.optics) == 2  # one for each exposure group
    optics = stack.optics.iloc[0]
    np.testing.assert_allclose(optics["rlnBeamTiltX"], np.arcsin(1200 / 2.7e7) * 1e3)  # pyem's formula
    np.testing.assert_allclose(optics["rlnBeamTiltY"], np.arcsin(-800 / 2.7e7) * 1e3)
    matrix = [optics[f"rlnMagMat{i}{j}"] for i in range(2) for j in range(2)]
    np.testing.assert_allclose(matrix, [1.01, 0.002, 0.002, 0.99])
    assert {"rlnOddZernike", "rlnEvenZernike"} <= set(stack.optics.columns)
    np.testing.assert_allclose(stack.table["rlnCtfScalefactor"], 0.8)
    np.testing.assert_allclose(stack.table["rlnCtfBfactor"], 20.0)


def radial(n: int, m: int, r: np.ndarray) -> np.ndarray:
    """Return the radial part of Zernike's polynomial by its definition as a sum of factorials."""
    from math import factorial as f

    terms = range((n - m) // 2 + 1)
    return sum(
        (-1) ** k * f(n - k) / (f(k) * f((n + m) // 2 - k) * f((n - m) // 2 - k)) * r ** (n - 2 * k) for k in terms
    )


def zernike_phase(text: str, indices: list[tuple[int, int]], k: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return RELION's phase of a vector of coefficients: polynomials of k in 1/angstrom; m below 0 is a sine."""
    values = [float(v) for v in text.strip("[]").split(",")]
    assert len(values) == len(indices)
    waves = [np.cos(m * t) if m >= 0 else np.sin(-m * t) for _, m in indices]
    return sum(c * radial(n, abs(m), k) * wave for c, (n, m), wave in zip(values, indices, waves, strict=True))


ODD = [(1, -1), (1, 1), (3, -3), (3, -1), (3, 1), (3, 3)]
EVEN = [(0, 0), (2, -2), (2, 0), (2, 2), (4, -4), (4, -2), (4, 0), (4, 2), (4, 4)]


@pytest.mark.parametrize(
    ("tilt", "trefoil", "tetra", "cs"),
    [
        ((1200.0, -800.0), (300.0, 200.0), (1.0, 2.0, 3.0, 4.0), CS_MM),
        ((1200.0, -800.0), (0.0, 0.0), (0.0, 0.0, 0.0, 0.0), CS_MM),
        ((900.0, 400.0), (-300.0, 100.0), (0.0, 0.0, 50.0, 0.0), 0.0),  # no Cs: coma is no beam tilt
        ((90000.0, 400.0), (0.0, 0.0), (0.0, 70.0, 0.0, 0.0), 0.01),  # nor is this
    ],
)
def test_the_phases_are_those_of_the_lens(
    tilt: tuple[float, ...], trefoil: tuple[float, ...], tetra: tuple[float, ...], cs: float
) -> None:
    k, t = np.meshgrid(np.linspace(0.02, 0.45, 9), np.linspace(-3, 3, 13))
    length = float(wavelength(np.array([KV]))[0])
    found = pd.DataFrame(relion_aberrations(optics_row(KV, cs, tilt, trefoil, tetra))).iloc[0]
    # wave aberration in angstrom at the angle a = length k: B2 a^3 + A2 a^3 / 3 + S3 a^4 + A3 a^4 / 4
    a, cos, sin = length * k, np.cos, np.sin
    odd = a**3 * (tilt[0] * cos(t) + tilt[1] * sin(t)) + a**3 / 3 * (trefoil[0] * cos(3 * t) + trefoil[1] * sin(3 * t))
    even = a**4 * (tetra[0] * cos(2 * t) + tetra[1] * sin(2 * t))
    even += a**4 / 4 * (tetra[2] * cos(4 * t) + tetra[3] * sin(4 * t))
    along = found["rlnBeamTiltX"] * cos(t) + found["rlnBeamTiltY"] * sin(t)
    p = -2 * np.pi * cs * 1e7 * length**2 * k**3 * along * 1e-3  # RELION's phase of beam tilt in mrad
    if "rlnOddZernike" in found:
        p = p + zernike_phase(found["rlnOddZernike"], ODD, k, t)
    np.testing.assert_allclose(p, -2 * np.pi / length * odd, rtol=1e-6, atol=1e-9)
    if any(tetra):
        gamma = zernike_phase(found["rlnEvenZernike"], EVEN, k, t)
        np.testing.assert_allclose(gamma, 2 * np.pi / length * even, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cs", [CS_MM, 0.0])
def test_they_come_back(cs: float) -> None:
    given = optics_row(KV, cs, (1200.0, -800.0), (300.0, 200.0), (1.0, 2.0, 3.0, 4.0))
    columns = {name: list(values) for name, values in relion_aberrations(given).items()}
    again, left = cryosparc_aberrations(columns, np.array([KV]), np.array([cs]))
    assert left == []
    for name in ("ctf/tilt_A", "ctf/trefoil_A", "ctf/tetra_A"):
        np.testing.assert_allclose(again[name], given[name], rtol=1e-6, err_msg=name)


def test_what_cryosparc_cannot_hold_is_named() -> None:
    columns = {"rlnOddZernike": ["[0.1,0,0,0,0,0]"], "rlnEvenZernike": ["[0,0,0.2,0,0,0,0,0,0,0,3]"]}
    _, left = cryosparc_aberrations(columns, np.array([KV]), np.array([CS_MM]))
    assert left == [
        "rlnEvenZernike beyond order 4",
        "rlnOddZernike of order 1 (shifts)",
        "rlnEvenZernike of order 0 and 2, and Z40 (phase, defocus and Cs)",
    ]
