"""A particle stack: one table, one row per particle, and its images, read when asked for."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64

from cryoprior.errors import InputError
from cryoprior.io.formats.columns import IMAGE_SIZE, ORIGINS, PIXEL_SIZE, Metadata, optics_rows
from cryoprior.io.geometry import table_ctf, table_poses
from cryoprior.io.identity import Particles, matched
from cryoprior.io.images import ImageFiles
from cryoprior.io.plausibility import far_origins, implausible, same_image, volumes
from cryoprior.io.resize import METHODS, centre_shift, resize
from cryoprior.io.rows import chosen_rows, spread_rows

Indices = Sequence[int] | np.ndarray | slice
ALL = slice(None)
DIGEST_IMAGES = 8
PRIOR_ORIGINS = ("rlnOriginXPriorAngst", "rlnOriginYPriorAngst")
"""Where RELION expects the origins; they lie in the same image."""


@dataclass(frozen=True, eq=False, repr=False)
class ParticleStack:
    """Particles of one box: their table, their optics groups, and their images on disk.

    Made by :func:`cryoprior.io.read_particles`; ``stack[:8]``, ``subset`` and ``resized`` give views that share files.
    """

    path: Path
    table: pd.DataFrame
    """One row per particle, in the order of the file, with RELION's names (without underscore), units, conventions."""
    optics: pd.DataFrame
    """One row per optics group; rlnImagePixelSize in angstrom and rlnImageSize are those of the images as read."""
    index: np.ndarray
    """The index of every particle in the whole file, (n,): what random streams and mask sets are numbered by."""
    box: int
    """Pixels a side of the images as read."""
    _files: ImageFiles
    _whole: Metadata
    _resize: tuple[tuple[int, str], ...] = ()

    @property
    def n(self) -> int:
        """Return the number of particles."""
        return len(self.index)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, key: int | Indices) -> ParticleStack:
        """Return the stack of the particles that an index, a slice, a list or a mask chooses; no image is read.

        ``stack[3]`` holds one particle, ``stack[:8]`` the first eight; ``stack[:8].read()`` is the array of their
        images. IndexError for a particle outside the stack.
        """
        return self.subset(chosen_rows(self.n, key))

    def __repr__(self) -> str:
        sizes = "/".join(f"{size:.4g}" for size in sorted(set(self.pixel_size.tolist()))[:3])
        return f"ParticleStack({self.path.name}: {self.n} particles of {self.box} x {self.box} pixels of {sizes} Å)"

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the absolute paths of the image stacks that the particles lie in, each once; no image is read."""
        stacks = dict.fromkeys(self._files.stack[self.index].tolist())
        return tuple(self._files.headers[stack].path.absolute() for stack in stacks)

    @cached_property
    def pixel_size(self) -> Float64[np.ndarray, " n"]:
        """Return the pixel size of every particle in angstrom, (n,)."""
        rows = optics_rows(self.path, self.table, self.optics)
        return np.asarray(self.optics[PIXEL_SIZE].to_numpy(np.float64)[rows])

    @property
    def resizing(self) -> dict[str, Any] | None:
        """Return how the images on disk become those that are read: original box, box and method; None if unchanged."""
        if not self._resize:
            return None
        return {"original_box": self._files.box, "box": self.box, "method": self._resize[-1][1]}

    def read(self, indices: Indices = ALL) -> Float32[np.ndarray, "b box box"]:
        """Return the images at these places, all by default, (b, box, box) float32, in the grey values of the files.

        Raises
        ------
        InputError: a place outside the stack.
        """
        return self.resample(self.read_original(indices))

    def read_original(self, indices: Indices = ALL) -> Float32[np.ndarray, "b box box"]:
        """Return the images at these places as they are on disk, at their own box; see :meth:`read`."""
        return self._files.read(self.index[self._places(indices)])

    def resample(self, images: Float32[np.ndarray, "b box box"]) -> Float32[np.ndarray, "b new new"]:
        """Return images of the files' box at the box of this stack."""
        for box, method in self._resize:
            images = resize(images, box, method)
        return images

    def subset(self, indices: Indices) -> ParticleStack:
        """Return the stack of the particles at these places, in this order; each keeps its index in the file."""
        places = self._places(indices)
        table = self.table.iloc[places].reset_index(drop=True)
        return dataclasses.replace(self, table=table, index=self.index[places])

    def resized(self, box: int, method: str = "fourier") -> ParticleStack:
        """Return the stack with its images resampled to ``box`` on reading, and the pixel size carried along.

        ``fourier`` leaves the centre, so origins stay; ``bicubic`` moves it by a fraction of a pixel, which the
        origins take up: whatever angles are there, and where there are no origins they are added, as the poses of these
        particles may lie in another file. See :mod:`cryoprior.io.resize`.
        """
        if method not in METHODS:
            raise InputError(f"resize {method!r}: expected one of {', '.join(METHODS)}")
        if box < 2:
            raise InputError(f"{self.path}: resize to a box of {box}; expected at least 2 pixels")
        if box == self.box:
            return self
        optics, table = self.optics.copy(), self.table
        optics[PIXEL_SIZE] = optics[PIXEL_SIZE] * self.box / box
        optics[IMAGE_SIZE] = box
        shift = centre_shift(self.box, box, method)
        if shift:
            moved = shift * self.pixel_size * self.box / box
            before = {name: table[name] if name in table.columns else 0.0 for name in ORIGINS}
            before |= {name: table[name] for name in PRIOR_ORIGINS if name in table.columns}
            table = table.assign(**{name: values - moved for name, values in before.items()})
        chain = (*self._resize, (box, method))
        return dataclasses.replace(self, table=table, optics=optics, box=box, _resize=chain)

    def ctf_parameters(self) -> dict[str, np.ndarray] | None:
        """Return the parameters of the transfer by name, n rows each, or None where the file gives no defocus.

        Keys: defocus_u_angstrom, defocus_v_angstrom, defocus_angle_deg, voltage_kv, cs_mm, amplitude_contrast,
        phase_shift_deg (0 where the file does not say); what else changes the transfer: see
        :func:`cryoprior.io.geometry.table_ctf`.

        Raises
        ------
        InputError: some of the parameters are there and others are missing, or a value is none.
        """
        return table_ctf(self.path, self.table, self.optics)

    def poses(self) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 2"]] | None:
        """Return rot, tilt, psi in degrees, (n, 3), and rlnOriginX, YAngst in angstrom, (n, 2); None without angles."""
        return table_poses(self.table)

    @property
    def identified(self) -> Particles:
        """Return what names the particles of this stack."""
        return Particles(self.path, self.table, self.path)

    def in_order_of(self, wanted: Particles) -> ParticleStack:
        """Return the particles of this stack that are wanted, in that order; see :func:`cryoprior.io.identity.matched`.

        Raises
        ------
        InputError: they are not all here, or nothing says which they are and their number differs.
        """
        places = matched(wanted, self.identified).places
        return self if np.array_equal(places, np.arange(self.n)) else self.subset(places)

    def doubts(self) -> list[str]:
        """Return what the file says that can hardly be meant: wrong units, images twice, volumes; no image is read."""
        found = implausible(self.table, self.optics)
        poses = self.poses()
        if poses is not None:
            found += far_origins(poses[1], self.pixel_size, self.box)
        found += same_image(self._files.stack[self.index], self._files.place[self.index])
        return found + volumes(self._files.headers[stack] for stack in np.unique(self._files.stack[self.index]))

    def digest(self) -> str:
        """Return the sha256 of the file this stack came from: its tables, stack sizes, and eight of its images.

        Views made by ``subset`` and ``resized`` have the digest of the whole: with ``index`` it names each particle.
        """
        total = hashlib.sha256()
        for frame in (self._whole.table, self._whole.optics):
            total.update(frame.to_csv(index=False).encode())
        for header in self._files.headers:
            total.update(f"|{header.n}|{header.height}|{header.width}|{header.dtype.str}|".encode())
        total.update(self._files.read(spread_rows(len(self._files), DIGEST_IMAGES)).tobytes())
        return total.hexdigest()

    def _places(self, indices: Indices) -> np.ndarray:
        if isinstance(indices, slice):
            return np.arange(self.n)[indices]
        places = np.asarray(indices, np.int64).reshape(-1)
        if len(places) and (places.min() < 0 or places.max() >= self.n):
            wrong = places[(places < 0) | (places >= self.n)][0]
            raise InputError(f"{self.path}: particle {wrong} asked for; expected 0 to {self.n - 1}")
        return places
