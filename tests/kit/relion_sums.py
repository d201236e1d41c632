"""Sums of central slices as RELION hands them to an external reconstruction, made of a known map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.io.mrc_writing import write_map

REAL, IMAGINARY, WEIGHT = "_data_real.mrc", "_data_imag.mrc", "_weight.mrc"
NAME = "run_it002_half1_class001_external_reconstruct"


def radius(side: int) -> np.ndarray:
    """Return the distance from the origin on a half grid in the order of the FFT."""
    axis = np.fft.fftfreq(side, 1 / side) ** 2
    return np.sqrt(axis[:, None, None] + axis[:, None] + np.arange(side // 2 + 1) ** 2)


def padded_transform(volume: np.ndarray, padding: int) -> np.ndarray:
    """Return the transform that trilinear spreading would lead to, on the padded half grid, in RELION's scale."""
    box = len(volume)
    axis = np.arange(box) - box // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    wide = np.zeros((padding * box,) * 3)
    places = axis % (padding * box)
    wide[np.ix_(places, places, places)] = volume * np.sinc(distance / (padding * box)) ** 2
    return np.asarray(np.fft.rfftn(wide)) / box**2


def uneven_weights(side: int) -> np.ndarray:
    """Return weights that fall with the frequency and are larger near one axis; smooth, as many particles make them."""
    distance = radius(side)
    height = np.fft.fftfreq(side, 1 / side)[:, None, None] / np.maximum(distance, 1)
    return np.asarray((5 + 20 * height**2) / (1 + distance / 8))


def write_sums(
    folder: Path,
    volume: np.ndarray,
    *,
    weight: np.ndarray | None = None,
    noise: float = 0.0,
    seed: int = 0,
    padding: int = 2,
    current_size: int | None = None,
    fsc: np.ndarray | None = None,
    tau2: np.ndarray | None = None,
    name: str = NAME,
    voxel_size: float | None = 4.0,
    **changed: Any,
) -> Path:
    """Return the star file of the sums of a map, written with its arrays into a folder.

    Parameters
    ----------
    noise: deviation of white noise of the map that the sums amount to.
    voxel_size: written into a model file of the iteration before; None writes none.
    changed: labels of the first block with other values.
    """
    box = len(volume)
    side = padding * box
    current = current_size or box
    found = volume + noise * np.random.default_rng(seed).normal(size=volume.shape)
    weight = uneven_weights(side) if weight is None else weight
    inside = radius(side) < padding * (current // 2)
    numerator = weight * padded_transform(found, padding) * inside
    start = folder / name
    for suffix, values in ((REAL, numerator.real), (IMAGINARY, numerator.imag), (WEIGHT, weight * inside)):
        write_map(f"{start}{suffix}", values.astype(np.float32), 1.0)
    labels: dict[str, Any] = {
        "rlnExtReconsDataReal": f"{start}{REAL}",
        "rlnExtReconsDataImag": f"{start}{IMAGINARY}",
        "rlnExtReconsWeight": f"{start}{WEIGHT}",
        "rlnExtReconsResult": f"{start}.mrc",
        "rlnExtReconsResultStarfile": f"{start}_out.star",
        "rlnTau2FudgeFactor": 1.0,
        "rlnPaddingFactor": float(padding),
        "rlnReferenceDimensionality": 3,
        "rlnOriginalImageSize": box,
        "rlnCurrentImageSize": current,
        **changed,
    }
    shells = box // 2 + 1
    tau2 = np.full(shells, 1e-3) if tau2 is None else tau2
    fsc = np.linspace(0.99, 0.3, shells) if fsc is None else fsc
    rows = "".join(f"{i:12d} {t:.6e} {f:12.6f}\n" for i, (t, f) in enumerate(zip(tau2, fsc, strict=True)))
    listed = "".join(f"_{label}    {value}\n" for label, value in labels.items() if value is not None)
    star = folder / f"{name}.star"
    star.write_text(
        f"\n# version 30001\n\ndata_external_reconstruct_general\n\n{listed}\n\n# version 30001\n\n"
        "data_external_reconstruct_tau2\n\nloop_\n_rlnSpectralIndex #1\n_rlnReferenceTau2 #2\n_rlnGoldStandardFsc #3\n"
        f"{rows}\n"
    )
    if voxel_size:
        model = folder / "run_it001_half1_model.star"
        model.write_text(f"\ndata_model_general\n\n_rlnPixelSize    {voxel_size:.6f}\n")
    return star
