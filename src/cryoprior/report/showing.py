"""Images and curves in a notebook: ``cryoprior.show`` and ``cryoprior.show_curves``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.report.figures import MontageRow, grey_limits, montage_figure, png_bytes, shell_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show(images: Any, n: int = 6, titles: Sequence[str] = (), deviations: float = 3.0) -> Figure:
    """Return a figure of images, which a notebook draws: one row of them, or one row per particle where named.

    Parameters
    ----------
    images: (n, box, box) or one (box, box), a tensor or a numpy array; a reconstruction, or a stack of particles; or
        several of them by name, the same particles row by row. Each particle's row then has one grey scale, that of
        the first named.
    n: particles to show at most, the first ones.
    titles: of the particles; their places by default.
    deviations: black to white is mean - deviations to mean + deviations standard deviations.

    Raises
    ------
    InputError: no images, or other numbers of them under different names.
    """
    named = images if isinstance(images, Mapping) else {"": images}
    arrays = {str(name): _images(values, str(name) or "images")[:n] for name, values in named.items()}
    counts = {len(array) for array in arrays.values()}
    if len(counts) != 1:
        numbers = ", ".join(f"{len(array)} of {name}" for name, array in arrays.items()) or "none"
        raise InputError(f"images: {numbers}; expected as many under each name")
    texts = [titles[i] if i < len(titles) else str(i) for i in range(counts.pop())]
    first = next(iter(arrays.values()))
    if isinstance(images, Mapping):
        rows = [
            MontageRow(text, [array[i] for array in arrays.values()], *grey_limits(first[i], deviations))
            for i, text in enumerate(texts)
        ]
        return _drawn(montage_figure(rows, list(arrays)))
    return _drawn(montage_figure([MontageRow("", list(first), *grey_limits(first, deviations))], texts))


def show_curves(
    curves: Mapping[str, Any],
    resolution_angstrom: Any,
    label: str = "Fourier ring correlation",
    level: float | Sequence[float] = (),
    bottom: float | None = None,
    top: float | None = None,
) -> Figure:
    """Return a figure of curves over resolution, which a notebook draws.

    Parameters
    ----------
    curves: values by name, (shells,) each, for example ``evaluation.curves("frc", "clean")``.
    resolution_angstrom: of every shell, (shells,), for example ``evaluation.shells["resolution_angstrom"]``; shell 0,
        infinite, is left out.
    label: of the vertical axis. level: a value, or several, drawn thin across the figure.
    bottom, top: limits of the vertical axis; from the data where None.

    Raises
    ------
    InputError: no curve, or one of another length than the resolutions.
    """
    shells = _array(resolution_angstrom)
    values = {str(name): _array(curve) for name, curve in curves.items()}
    for name, curve in values.items():
        if curve.shape != shells.shape or curve.ndim != 1:
            raise InputError(f"{name}: a curve of shape {curve.shape}; expected one value per shell, {shells.shape}")
    if not values:
        raise InputError("curves: none; expected at least one by name")
    return _drawn(shell_figure(shells, values, label, bottom, top, level))


def _drawn(figure: Figure) -> Figure:
    """Return the figure with what a notebook asks for, so that it is drawn there without pyplot."""
    figure._repr_png_ = lambda: png_bytes(figure)  # type: ignore[attr-defined]
    return figure


def _images(values: Any, name: str) -> Float[np.ndarray, "n box box"]:
    if hasattr(values, "images"):
        values = values.images
    elif hasattr(values, "read"):
        values = values.read()
    array = _array(values)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or not array.size:
        raise InputError(f"{name}: an array of shape {array.shape}; expected (n, box, box)")
    return array


def _array(values: Any) -> np.ndarray:
    """Return a tensor, wherever it is, or anything that numpy takes, as an array of float."""
    values = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(values, np.float64)
