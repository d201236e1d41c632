"""Opens a reconstruction with what it is compared with, and refuses what does not belong together."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack, read_measurements, read_particles
from cryoprior.operators import Operator, parse_operator
from cryoprior.report.page import Alert

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Comparison:
    """A reconstruction, the particles it should be, and what was measured of them: one box, one order of rows."""

    reconstruction: ParticleStack
    reference: ParticleStack
    clean: ParticleStack | None
    measurements: Measurements
    operator: Operator
    recorded: Mapping[str, Any]

    @property
    def box(self) -> int:
        """Pixels a side."""
        return self.reconstruction.box

    @property
    def pixel_size_angstrom(self) -> float:
        """The mean pixel size over particles."""
        return float(np.mean(self.reconstruction.pixel_size))

    def warnings(self) -> Iterator[Alert]:
        """Yield what the reader of any score must know first."""
        overlap = self.recorded.get("trained_on_overlap") or 0
        if overlap:
            text = (
                f"{overlap} of these particles trained the prior that reconstructed them. The scores below show what "
                "the prior memorised, not what it recovers. Reconstruct particles that it has never seen."
            )
            yield Alert("The prior was trained on these particles", text)
        if self.recorded.get("trained_operator") is False:
            text = (
                f"The prior learned on measurements of other kinds than {self.measurements.operator_spec}. "
                "Its one-evaluation mean is an extrapolation here; compare it with --solver exact, which is told the "
                "operator at every step."
            )
            yield Alert("The prior was not trained on this kind of operator", text, "note")
        if self.measurements.particles_digest != self.reference.digest():
            text = (
                f"{self.reference.path} is not the stack that was measured ({self.measurements.source}). "
                "If its rows are other particles or in another order, every score below is wrong."
            )
            yield Alert("The reference differs from what was measured", text, "note")


def open_comparison(
    folder: Path,
    reference: Path,
    clean: Path | None = None,
    measurements: Path | None = None,
    pixel_size: float | None = None,
) -> Comparison:
    """Return the reconstruction in a folder with its reference, resized as the measured particles were.

    Parameters
    ----------
    folder: what ``cryoprior reconstruct`` wrote.
    reference, clean: particles, row by row those of the reconstruction, at their own or at the measured box.
    measurements: the measurements; those that the reconstruction recorded where None.
    pixel_size: in angstrom, for a reference whose file gives none.

    Raises
    ------
    InputError: a file is absent; box, number or pixel size disagree; the operator's digest is not the recorded one.
    """
    if not (folder / "particles.star").is_file():
        raise InputError(f"{folder}: no particles.star; expected a folder that cryoprior reconstruct wrote")
    recorded = read_recorded(folder)
    path = measurements or recorded_measurements(folder, recorded)
    measured = read_measurements(path)
    operator = parse_operator(measured.operator_spec, box=measured.box)
    measured.check_operator(operator.digest())
    rebuilt = read_particles(folder / "particles.star")
    n = _limit(rebuilt, recorded, measured)
    stacks = [read_particles(p, pixel_size=pixel_size) for p in (reference, clean) if p is not None]
    selected = _selected(stacks, measured)
    rows = [stack.subset(places) for stack, places in zip(stacks, selected, strict=True)]
    resized = [_resized(stack.subset(slice(n)) if len(stack) == measured.n else stack, measured) for stack in rows]
    _check_agreement(rebuilt, resized, measured)
    return Comparison(rebuilt, resized[0], resized[1] if clean else None, measured, operator, recorded)


def read_finite(stack: ParticleStack, rows: np.ndarray) -> Tensor:
    """Return the images of these rows, (b, box, box) float32.

    Raises
    ------
    InputError: an image holds a NaN or an infinity.
    """
    images = torch.from_numpy(np.array(stack.read(rows), dtype=np.float32))
    bad = ~torch.isfinite(images).all(-1).all(-1)
    if bool(bad.any()):
        raise InputError(f"{stack.path}: particle {int(rows[bad.nonzero()[0, 0]]) + 1} is not finite; remove its row")
    return images


def read_varied(stack: ParticleStack, rows: np.ndarray) -> Tensor:
    """Return the images of these rows as :func:`read_finite` does; a constant image is an InputError too."""
    images = read_finite(stack, rows)
    constant = images.amax((-2, -1)) <= images.amin((-2, -1))
    if bool(constant.any()):
        row = int(rows[constant.nonzero()[0, 0]]) + 1
        raise InputError(f"{stack.path}: particle {row} is constant, so no score is defined for it; remove its row")
    return images


def read_recorded(folder: Path) -> dict[str, Any]:
    """Return the summary of a reconstruction, empty where its folder has none."""
    path = folder / "summary.json"
    if not path.is_file():
        return {}
    try:
        recorded = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}); reconstruct again") from error
    if not isinstance(recorded, dict):
        raise InputError(f"{path}: expected one JSON object; reconstruct again")
    return recorded


def recorded_measurements(folder: Path, recorded: Mapping[str, Any]) -> Path:
    """Return the measurements that a reconstruction recorded; InputError where it recorded none or they are gone."""
    if not recorded.get("measurements"):
        raise InputError(f"{folder / 'summary.json'}: records no measurements; pass --measurements y.zarr")
    path = Path(recorded["measurements"])
    for candidate in (path, folder / path):
        if candidate.exists():
            return candidate
    raise InputError(f"{path}: these measurements, recorded in {folder}, are not there; pass --measurements y.zarr")


def measured_rows(stack: ParticleStack, measured: Measurements) -> ParticleStack:
    """Return the particles of a stack that were measured, row by row, at the box of the measurements.

    Raises
    ------
    InputError: another number of particles, or another box than the one that was measured.
    """
    rows = _resized(stack.subset(_selected([stack], measured)[0]), measured)
    if rows.n != measured.n:
        raise InputError(
            f"{stack.path}: {stack.n} particles; {measured.path} has {measured.n} of {measured.source}; "
            "pass the stack that was measured"
        )
    return rows


def _limit(rebuilt: ParticleStack, recorded: Mapping[str, Any], measured: Measurements) -> int:
    """Return how many rows were reconstructed: all that were measured, or the first ones, if that was recorded."""
    n = len(rebuilt)
    if n == measured.n or (n < measured.n and recorded.get("n") == n):
        return n
    raise InputError(
        f"{measured.path}: {measured.n} particles; {rebuilt.path} has {n}; "
        "pass the measurements that were reconstructed"
    )


def _selected(stacks: list[ParticleStack], measured: Measurements) -> list[np.ndarray | slice]:
    """Return the rows of each stack that were measured: those that the measurements name, if it is the whole stack."""
    index, whole = measured.particle_index, len(stacks[0])
    known = stacks[0].digest() == measured.particles_digest
    if known or (whole != measured.n and whole > int(index.max(initial=-1))):
        return [index if len(stack) == whole else slice(None) for stack in stacks]
    return [slice(None) for _ in stacks]


def _resized(stack: ParticleStack, measured: Measurements) -> ParticleStack:
    recorded, box = measured.header.resize, measured.box
    if stack.box == box:
        return stack
    if recorded is None or recorded["original_box"] != stack.box:
        original = box if recorded is None else recorded["original_box"]
        raise InputError(
            f"{stack.path}: box {stack.box}; {measured.path} has box {box}, measured of a stack of box {original}; "
            "pass the stack that was measured"
        )
    return stack.resized(box, recorded["method"])


def _check_agreement(rebuilt: ParticleStack, others: list[ParticleStack], measured: Measurements) -> None:
    if rebuilt.box != measured.box:
        raise InputError(
            f"{rebuilt.path}: box {rebuilt.box}; {measured.path} has box {measured.box}; "
            "pass the measurements that were reconstructed"
        )
    for stack in others:
        if len(stack) != len(rebuilt):
            raise InputError(
                f"{stack.path}: {len(stack)} particles; {rebuilt.path} has {len(rebuilt)}; "
                "the rows must be the same particles in the same order"
            )
        if not np.allclose(stack.pixel_size, rebuilt.pixel_size, rtol=5e-3):
            raise InputError(
                f"{stack.path}: pixel size {stack.pixel_size[0]:.4f} A at box {stack.box}; {rebuilt.path} has "
                f"{rebuilt.pixel_size[0]:.4f} A; pass the stack that was measured, or --pixel-size"
            )
