"""The pieces of a benchmark of images: one batch by one solver with one seed, kept in a file and never made twice."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from cryoprior.errors import InputError
from cryoprior.output.files import whole_file
from cryoprior.output.manifest import differences, plain


@dataclass(frozen=True)
class Unit:
    """Images of some particles, (b, box, box), in the input's grey scale, and what they cost.

    residual: ||y - A x|| / ||y|| per particle. evaluations, backward: of the network, the mean over particles.
    seconds, seconds_network: of the whole batch.
    """

    x: Float[np.ndarray, "b box box"]
    residual: Float[np.ndarray, " b"]
    evaluations: float
    backward: float
    seconds: float
    seconds_network: float


def kept(path: Path, identity: Mapping[str, Any], compute: Callable[[], Unit]) -> Unit:
    """Return the unit in a file, computed and written if it is not there yet.

    Raises
    ------
    InputError: the file holds a unit of another identity, or is damaged.
    """
    known = plain(identity)
    if not path.is_file():
        unit = compute()
        _write(path, known, unit)
        return unit
    made_from, unit = _read(path)
    changed = differences(made_from, known)
    if changed:
        raise InputError(f"{path}: made with other {', '.join(changed)}; pass another <output>, or delete this file")
    return unit


def _write(path: Path, identity: Mapping[str, Any], unit: Unit) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cost = {k: v for k, v in vars(unit).items() if not isinstance(v, np.ndarray)}
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez(
            file,
            x=unit.x,
            residual=unit.residual,
            record=np.array(json.dumps({"identity": identity, "cost": cost, "digest": _digest(unit.x, unit.residual)})),
        )


def _read(path: Path) -> tuple[dict[str, Any], Unit]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            record = json.loads(str(stored["record"]))
            x, residual = stored["x"], stored["residual"]
            if record["digest"] != _digest(x, residual):
                raise ValueError("other numbers than were written")
            return record["identity"], Unit(x, residual, **record["cost"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a finished piece of a benchmark ({error}); delete it") from None


def _digest(*arrays: np.ndarray) -> str:
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
