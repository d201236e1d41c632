"""Opens a reconstruction with what it is compared with, and refuses what does not belong together."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.evaluation.same_images import check_same_images
from cryoprior.io import ParticleStack, read_particles
from cryoprior.io.formats.columns import TREATMENT
from cryoprior.io.treatment import image_treatments
from cryoprior.measurement.full_images import FullImages, Measured
from cryoprior.measurement.reading import (
    measured_rows,
    open_measurements,
    read_finite,
    read_varied,
    recorded_measurements,
    resized_as_measured,
)
from cryoprior.operators import Operator
from cryoprior.output.record import read_recorded
from cryoprior.prior.checkpoint import EMBEDDED
from cryoprior.report.page import Alert

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Comparison:
    """A reconstruction, the particles it should be, and what was measured of them: one box, one order of rows."""

    reconstruction: ParticleStack
    reference: ParticleStack
    clean: ParticleStack | None
    measurements: Measured
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

    @property
    def n(self) -> int:
        """Return the number of particles."""
        return len(self.reconstruction)

    def read_original(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the images that were measured; InputError where one is constant or not finite."""
        return read_varied(self.reference, rows)

    def read_reconstruction(self, rows: np.ndarray) -> Float[Tensor, "b box box"]:
        """Return the images that are judged; InputError where one is not finite."""
        return read_finite(self.reconstruction, rows)

    def read_clean(self, rows: np.ndarray) -> Float[Tensor, "b box box"] | None:
        """Return the images without noise, None where they are not known."""
        return None if self.clean is None else read_finite(self.clean, rows)

    def read_measurements(self, rows: np.ndarray) -> tuple[Float[Tensor, "b m"], Operator, list[int]]:
        """Return the measurements, their operator, and the particles' numbers in the whole stack."""
        y = torch.from_numpy(np.array(self.measurements.y(rows), dtype=np.float32))
        return y, self.operator, [int(i) for i in self.measurements.particle_index[rows]]

    def inputs(self) -> list[Path]:
        """Return all files and folders that are read."""
        stacks = [stack for stack in (self.reconstruction, self.reference, self.clean) if stack is not None]
        return [self.measurements.path, *(path for stack in stacks for path in (stack.path, *stack.files))]

    def warnings(self) -> Iterator[Alert]:
        """Yield what the reader of any score must know first."""
        overlap = self.recorded.get("trained_on_overlap") or 0
        if overlap:
            text = (
                f"{overlap} of these particles trained the prior that reconstructed them. The scores below show what "
                "the prior memorised, not what it recovers. Reconstruct particles that it has never seen."
            )
            yield Alert("The prior was trained on these particles", text)
        elif self.recorded.get("trained_on_known_by") == "file" and self.recorded.get("prior") not in EMBEDDED:
            text = (
                "The prior or the measurements record no digests of images, so that particles which trained the prior "
                "are recognised only in the very file it was trained on. Make sure that it has never seen these."
            )
            yield Alert("Whether the prior was trained on these particles is not known", text, "note")
        if self.recorded.get("trained_operator") is False:
            text = (
                f"The prior learned on measurements of other kinds than {self.measurements.operator_spec}. "
                "Its one-evaluation mean is an extrapolation here; compare it with the solver exact, which is told the "
                "operator at every step."
            )
            yield Alert("The prior was not trained on this kind of operator", text, "note")
        if self.measurements.particles_digest != self.reference.digest():
            text = (
                f"{self.reference.path} is not the file that was measured ({self.measurements.source}). Its particles "
                "were found by what names them in both; if its images were changed since, the scores say so too."
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
    reference, clean: the particles that were measured, in any order and among others, at their own or the measured box.
    measurements: the measurements; those that the reconstruction recorded where None.
    pixel_size: in angstrom, for a reference whose file gives none.

    Raises
    ------
    InputError: a file is absent; other particles, another box or pixel size; images that were not measured; the
        operator's digest is not the recorded one.
    """
    if not (folder / "particles.star").is_file():
        raise InputError(f"{folder}: no particles.star; expected a folder that cryoprior reconstruct wrote")
    recorded = read_recorded(folder)
    rebuilt = read_particles(folder / "particles.star")
    whole = read_particles(reference, pixel_size=pixel_size)
    measured: Measured
    if measurements is None and recorded.get("images"):
        measured = _full_images(rebuilt, whole, recorded)
        operator, original = measured.operator, measured.stack
    else:
        measured, operator = open_measurements(measurements or recorded_measurements(folder, recorded))
        original = measured_rows(whole, measured, _limit(rebuilt, recorded, measured))
    signal = None if clean is None else _clean_rows(read_particles(clean, pixel_size=pixel_size), whole, original)
    others = [original] if signal is None else [original, _resized_alike(signal, measured)]
    _check_agreement(rebuilt, others, measured)
    if not isinstance(measured, FullImages) and whole.digest() != measured.particles_digest:
        check_same_images(original, measured, operator)
    return Comparison(rebuilt, original, None if signal is None else others[1], measured, operator, recorded)


def _full_images(rebuilt: ParticleStack, whole: ParticleStack, recorded: Mapping[str, Any]) -> FullImages:
    """Return the recorded images of denoised particles, row by row, at their box."""
    original = whole.in_order_of(rebuilt.identified)
    return FullImages(original.resized(rebuilt.box, recorded.get("resize") or "fourier"))


def _resized_alike(clean: ParticleStack, measured: Measured) -> ParticleStack:
    if not isinstance(measured, FullImages):
        return resized_as_measured(clean, measured)
    done = measured.stack.resizing
    return clean if done is None or clean.box == measured.box else clean.resized(measured.box, done["method"])


def _clean_rows(clean: ParticleStack, whole: ParticleStack, original: ParticleStack) -> ParticleStack:
    """Return the clean images of the original particles, which are some of a whole file."""
    if clean.n != whole.n:
        return clean.in_order_of(original.identified)
    return clean.in_order_of(whole.identified).subset(pd.Index(whole.index).get_indexer(original.index))


def _limit(rebuilt: ParticleStack, recorded: Mapping[str, Any], measured: Measured) -> int:
    """Return how many rows were reconstructed: all that were measured, or the first ones, if that was recorded."""
    n = len(rebuilt)
    if n == measured.n or (n < measured.n and recorded.get("n") == n):
        return n
    raise InputError(
        f"{measured.path}: {measured.n} particles; {rebuilt.path} has {n}; "
        "pass the measurements that were reconstructed"
    )


def _check_agreement(rebuilt: ParticleStack, others: list[ParticleStack], measured: Measured) -> None:
    if rebuilt.box != measured.box:
        raise InputError(
            f"{rebuilt.path}: box {rebuilt.box}; {measured.path} has box {measured.box}; "
            "pass the measurements that were reconstructed"
        )
    treatments = image_treatments(rebuilt.path, rebuilt.table, rebuilt.optics)
    for stack in others:
        if len(stack) != len(rebuilt):
            raise InputError(
                f"{stack.path}: {len(stack)} particles; {rebuilt.path} has {len(rebuilt)}; "
                "the rows must be the same particles in the same order"
            )
        if not np.allclose(stack.pixel_size, rebuilt.pixel_size, rtol=5e-3):
            raise InputError(
                f"{stack.path}: pixel size {stack.pixel_size[0]:.4f} A at box {stack.box}; {rebuilt.path} has "
                f"{rebuilt.pixel_size[0]:.4f} A; pass the stack that was measured, or <pixel_size>"
            )
        theirs = image_treatments(stack.path, stack.table, stack.optics)
        if (theirs != treatments).any():
            row = int(np.argmax(theirs != treatments))
            raise InputError(
                f"{stack.path}: particle {row + 1} is {theirs[row].replace('_', '-')}, that of {rebuilt.path} is "
                f"{treatments[row].replace('_', '-')} ({', '.join(TREATMENT.values())}); such images cannot be "
                "compared; pass a stack that was treated alike"
            )
