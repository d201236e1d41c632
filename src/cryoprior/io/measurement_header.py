"""What is true of all rows of a file of measurements: written into its group's attributes, checked on reading."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.io.packing import MOST_BITS
from cryoprior.io.resize import METHODS
from cryoprior.io.stored_arrays import REMEDY

FORMAT = "cryoprior measurements"
VERSION = 2
PACKED_VERSION = 3
READABLE = (1, 2, 3)
"""Version 1 had no digests of what was written; version 3 is written for packed numbers alone."""
DTYPES = ("float32", "float16", "packed")
PARTICLES, IMAGE_DIGEST = "particles.star", "image_digest"
"""Names of what lies in the group beside y."""


@dataclass(frozen=True)
class MeasurementHeader:
    """What is true of all measurements of a file."""

    m: int
    """Numbers measured per particle."""
    box: int
    """Pixels a side of the images that were measured."""
    operator: str
    """The operator as ``name:field=value,...``, all fields given."""
    digest: str
    """The digest of the operator's arrays."""
    sigma: float
    """Standard deviation of the noise that was added to each number, in the grey scale of the input."""
    seed: int
    """Seed of that noise."""
    source: str
    """Path of the particle file that was measured."""
    particles_digest: str
    """Digest of that particle file."""
    resize: dict[str, Any] | None = None
    """How its images were brought to the box: original_box, box, method."""
    intensity: dict[str, float] | None = None
    """The affine map to the prior's grey scale, scale and offset, where it is known; y itself is not mapped."""


@dataclass(frozen=True)
class StoredHeader:
    """A header as it stands in a file, with what only the file knows: rows, type and rounding of its numbers."""

    header: MeasurementHeader
    n: int
    dtype: str
    rounding: float
    bits: int | None


def header_attributes(
    header: MeasurementHeader, n: int, dtype: str, rounding: float, bits: int | None = None
) -> dict[str, Any]:
    """Return the attributes of the group that :func:`read_header` reads back; ``bits`` of packed numbers."""
    return {
        "format": FORMAT,
        "version": VERSION if bits is None else PACKED_VERSION,
        "n": n,
        "dtype": dtype,
        **vars(header),
        "rounding": rounding,
        **({} if bits is None else {"bits": bits}),
    }


def check_version(path: Path, attributes: Mapping[str, Any]) -> None:
    """Raise InputError unless the attributes are those of measurements that this version reads."""
    if attributes.get("format") != FORMAT:
        raise InputError(f"{path}: no measurements: format {attributes.get('format')!r}; expected {FORMAT!r}")
    if attributes.get("version") not in READABLE:
        raise InputError(f"{path}: version {attributes.get('version')}; expected {PACKED_VERSION}; update cryoprior")


def read_header(path: Path, attributes: Mapping[str, Any]) -> StoredHeader:
    """Return the header in the attributes of a group.

    Raises
    ------
    InputError: an attribute that is absent or of another type, a count below 1, a deviation that is no number of at
        least 0.
    """
    missing = [name for name in CHECKS if name not in attributes]
    if missing:
        raise InputError(f"{path}: without {', '.join(missing)}; {REMEDY}")
    for name, (expected, fits) in CHECKS.items():
        if not fits(attributes[name]):
            found = str(attributes[name])[:80]
            raise InputError(f"{path}: {name} {found}; expected {expected}; {REMEDY}")
    bits = attributes.get("bits")
    if (attributes["dtype"] == "packed") != (attributes["version"] == PACKED_VERSION) or not _is_bits(attributes):
        raise InputError(
            f"{path}: dtype {attributes['dtype']}, bits {str(bits)[:40]}, version {attributes['version']}; expected "
            f"1 to {MOST_BITS} bits of packed numbers in version {PACKED_VERSION}, none of others; {REMEDY}"
        )
    fields = {name: attributes[name] for name in MeasurementHeader.__dataclass_fields__}
    n, dtype, rounding = attributes["n"], attributes["dtype"], float(attributes["rounding"])
    return StoredHeader(MeasurementHeader(**fields), n, dtype, rounding, bits)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_bits(attributes: Mapping[str, Any]) -> bool:
    bits = attributes.get("bits")
    return type(bits) is int and 1 <= bits <= MOST_BITS if attributes["dtype"] == "packed" else bits is None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_deviation(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_resize(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict) or set(value) != {"original_box", "box", "method"}:
        return False
    return _is_count(value["original_box"]) and _is_count(value["box"]) and value["method"] in METHODS


def _is_intensity(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_is_number, value.values())))


_COUNT = ("a whole number of at least 1", _is_count)
_DEVIATION = ("a number of at least 0", _is_deviation)
_NAME = ("a text", _is_name)
CHECKS = {
    "m": _COUNT,
    "box": _COUNT,
    "operator": _NAME,
    "digest": _NAME,
    "sigma": _DEVIATION,
    "seed": ("a whole number", lambda value: type(value) is int),
    "source": ("a text", lambda value: isinstance(value, str)),
    "particles_digest": _NAME,
    "resize": ("null, or original_box, box and method", _is_resize),
    "intensity": ("null, or numbers", _is_intensity),
    "n": _COUNT,
    "dtype": (f"one of {', '.join(DTYPES)}", lambda value: value in DTYPES),
    "rounding": _DEVIATION,
}
"""What every attribute is, in words and as a check."""
