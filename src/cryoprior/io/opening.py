"""Opens a particle file of any format: its table, its optics, where its images lie; no image is read yet."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.errors import InputError
from cryoprior.io.formats import FORMATS
from cryoprior.io.formats.columns import IMAGE_NAME, IMAGE_SIZE, PIXEL_SIZE, Companions, Metadata, optics_rows
from cryoprior.io.formats.relion import origins_in_angstrom
from cryoprior.io.images import ImageFiles
from cryoprior.io.particles import ParticleStack
from cryoprior.io.pickles import read_pickle
from cryoprior.io.plausibility import check_possible

log = logging.getLogger("cryoprior")


def read_particles(
    path: Path | str,
    *,
    pixel_size: float | None = None,
    poses: Path | None = None,
    ctf: Path | None = None,
    ind: Path | None = None,
    datadir: Path | None = None,
    passthrough: Path | None = None,
) -> ParticleStack:
    """Return the particle stack of a .star, .cs, .mrcs, .mrc or .txt file; no image is read yet.

    Parameters
    ----------
    path: RELION 2.x to 5 (.star), cryoSPARC (.cs), a bare stack (.mrcs, .mrc), or a list of stacks (.txt).
    pixel_size: angstrom; for files that do not say, or in place of what they say.
    poses, ctf: cryoDRGN's pickles, beside a bare stack or a list.
    ind: a pickle of the indices of the particles to keep.
    datadir: folder to find stacks in.
    passthrough: the passthrough file of the same job, beside a .cs file without images; by default looked for.

    Raises
    ------
    InputError: an unknown extension, a missing file or column, columns that contradict each other, an absent pixel
        size, rows and images that do not match, a truncated stack, images that are not square or not of one box.
    """
    path = Path(path)
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown extension {path.suffix!r}; expected one of {', '.join(FORMATS)}")
    if pixel_size is not None and not 0 < pixel_size < np.inf:
        raise InputError(f"<pixel_size> {pixel_size}: expected more than 0 angstrom")
    if passthrough is not None and path.suffix.lower() != ".cs":
        raise InputError(f"{path}: <passthrough> was given; it goes with cryoSPARC's .cs files alone; leave it out")
    beside = (poses, ctf, ind, datadir, passthrough)
    companions = Companions(pixel_size, *(Path(p) if p else None for p in beside))
    metadata = reader(path, companions)
    files = ImageFiles(path, metadata.table[IMAGE_NAME].tolist(), companions.datadir)
    optics = _settled_optics(path, metadata, files, pixel_size)
    sizes = optics[PIXEL_SIZE].to_numpy(np.float64)[optics_rows(path, metadata.table, optics)]
    metadata = Metadata(origins_in_angstrom(path, metadata.table, sizes), optics)
    check_possible(path, metadata.table, metadata.optics)
    index = np.arange(len(metadata.table))
    stack = ParticleStack(path, metadata.table, metadata.optics, index, files.box, files, metadata)
    stack = stack.subset(_selection(companions.ind, path, stack.n)) if companions.ind else stack
    for doubt in stack.doubts():
        log.warning("%s: %s", path, doubt)
    return stack


def _settled_optics(path: Path, metadata: Metadata, files: ImageFiles, pixel_size: float | None) -> pd.DataFrame:
    optics, box = metadata.optics.copy(), files.box
    if pixel_size is not None:
        stated = optics[PIXEL_SIZE].dropna()
        if len(stated) and (np.abs(stated - pixel_size) > 1e-3 * pixel_size).any():
            text = ", ".join(f"{value:g}" for value in sorted(set(stated)))
            log.warning("%s: pixel size %s A replaced by %g A", path, text, pixel_size)
        optics[PIXEL_SIZE] = float(pixel_size)
    elif optics[PIXEL_SIZE].isna().any():
        optics[PIXEL_SIZE] = _header_sizes(path, metadata, files)
    sizes = optics[PIXEL_SIZE].to_numpy(np.float64)
    if not ((sizes > 0) & np.isfinite(sizes)).all():
        raise InputError(f"{path}: no pixel size ({PIXEL_SIZE} or stack header above 0); add it, or pass <pixel_size>")
    if IMAGE_SIZE in optics.columns and (optics[IMAGE_SIZE].to_numpy() != box).any():
        stated_boxes = ", ".join(map(str, sorted(set(optics[IMAGE_SIZE]))))
        raise InputError(f"{path}: {IMAGE_SIZE} {stated_boxes}, but the images are {box} pixels; use the right stack")
    optics[IMAGE_SIZE] = box
    return optics


def _header_sizes(path: Path, metadata: Metadata, files: ImageFiles) -> np.ndarray:
    """Return the pixel size of every optics group, that of its stacks' headers where the file gives none; else NaN."""
    sizes: np.ndarray = metadata.optics[PIXEL_SIZE].to_numpy(np.float64).copy()
    groups = optics_rows(path, metadata.table, metadata.optics)
    of_stack = np.array([header.voxel_size for header in files.headers])
    for group in np.flatnonzero(np.isnan(sizes)):
        found = np.unique(of_stack[np.unique(files.stack[groups == group])])
        if len(found) and np.ptp(found) > 1e-3 * found[-1]:
            raise InputError(
                f"{path}: no pixel size ({PIXEL_SIZE}), and the stacks' headers say {found[0]:g} to {found[-1]:g} A; "
                "expected one; add it, or pass <pixel_size>"
            )
        if len(found) and found[0] > 0:
            sizes[group] = found[0]
            log.info("%s: no pixel size; %.6g A by the headers of its stacks", path, found[0])
    return sizes


def _selection(ind: Path, path: Path, n: int) -> np.ndarray:
    places = np.asarray(read_pickle(ind))
    if places.dtype == bool and places.shape == (n,):
        places = np.flatnonzero(places)
    whole = places.ndim == 1 and np.issubdtype(places.dtype, np.integer)
    if not whole or not len(places) or places.min() < 0 or places.max() >= n:
        raise InputError(f"{ind}: expected indices from 0 to {n - 1} of the particles of {path}; use the matching file")
    numbers, counts = np.unique(places, return_counts=True)
    if len(numbers) < len(places):
        raise InputError(f"{ind}: names particle {numbers[counts > 1][0]} more than once; expected each once; mend it")
    return places
