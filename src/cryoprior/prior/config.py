"""``config.json`` of a prior: what it is beside its weights, checked before anything is built from it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.image.spectrum import shell_index
from cryoprior.output.files import write_whole
from cryoprior.output.stored_json import read_json
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.prior.signal import Spectra

FORMAT = 1
CONFIG, DIGESTS = "config.json", "digests"
MOST_CHANNELS, MOST_LEVELS, MOST_LAYERS, MOST_BOX = 8192, 8, 16, 4096
"""Beyond what any network of this kind has: a larger number is damage, and would take memory or time."""
REMEDY = "copy the prior again"


@dataclass(frozen=True, repr=False)
class PriorConfig:
    """What a prior is, beside its weights.

    ``spectra`` holds, for every box it was trained for, the radial power of signal and noise in the prior's grey scale
    (mean 0, standard deviation 1). ``intensity`` is the affine map of each training set, x_prior = (x - offset) /
    scale, by digest. ``trained_on`` holds digests of the particle files and the rows that were trained on.
    """

    objective: str
    channels: tuple[int, ...]
    layers: int
    spectra: dict[int, Spectra]
    intensity: dict[str, tuple[float, float]]
    pixel_size_angstrom: tuple[float, float]
    trained_on: dict[str, list[int]] = field(default_factory=dict)
    steps: int = 0
    validation_loss: float | None = None
    description: str = ""
    ddpm_scale: float = 1.0
    """Grey values of the DDPM's [-1, 1] scale in one unit of the prior's own; only for ``ddpm``."""
    ddpm_offset: float = 0.0
    operators: dict[str, Any] = field(default_factory=dict)
    """The operators that an operator-aware prior was trained on, as fields of OperatorFamily; empty for others."""
    means_only: bool = False
    """Trained on measurements alone: it gives posterior means, and has never seen a noisy full image."""
    treatment: str = "plain"
    """What was done with their CTF to the images that trained it; see :mod:`cryoprior.io.treatment`."""
    format: int = FORMAT

    def __repr__(self) -> str:
        boxes = ", ".join(map(str, sorted(self.spectra)))
        kinds = [self.objective, *(["operator-aware"] if self.operators else []), *(["means only"] * self.means_only)]
        return f"PriorConfig({', '.join(kinds)}; boxes {boxes}; {self.steps} steps)"

    @property
    def operator_aware(self) -> bool:
        """Return whether the network takes measurements as evidence."""
        return bool(self.operators)

    @property
    def family(self) -> OperatorFamily | None:
        """Return the operators it was trained on."""
        return OperatorFamily.of(self.operators) if self.operators else None


def write_config(folder: Path, config: PriorConfig, digests: Mapping[str, str]) -> None:
    """Write the configuration, and the digests of the files beside it by their names."""
    values = {**dataclasses.asdict(config), DIGESTS: dict(digests)}
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in values.items())
    # one field per line: some hold thousands of rows
    write_whole(folder / CONFIG, "{\n " + ",\n ".join(lines) + "\n}\n")


def read_config(folder: Path) -> PriorConfig:
    """Return the configuration of a prior folder; InputError where it is missing, not ours, or cannot be."""
    return read_config_and_digests(folder)[0]


def read_config_and_digests(folder: Path) -> tuple[PriorConfig, dict[str, str]]:
    """Return the configuration, and the sha256 of the files beside it: none in a folder of an older version."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: no {CONFIG}; expected a prior that `cryoprior train` wrote")
    raw = read_json(path, "the configuration of a prior", REMEDY)
    try:
        digests = {str(name): str(digest) for name, digest in raw.pop(DIGESTS, {}).items()}
        spectra = {int(box): Spectra(tuple(s["signal"]), tuple(s["noise"])) for box, s in raw.pop("spectra").items()}
        intensity = {k: (float(a), float(b)) for k, (a, b) in raw.pop("intensity").items()}
        channels, pixel = tuple(raw.pop("channels")), tuple(raw.pop("pixel_size_angstrom"))
        config = PriorConfig(spectra=spectra, intensity=intensity, channels=channels, pixel_size_angstrom=pixel, **raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the configuration of a prior ({error}); {REMEDY}") from None
    if config.format != FORMAT:
        raise InputError(f"{path}: format {config.format}; this version reads {FORMAT}; use the version that wrote it")
    for name, (expected, fits) in CHECKS.items():
        value = getattr(config, name)
        if not fits(value):
            raise InputError(
                f"{path}: not the configuration of a prior: {name} {str(value)[:80]}; expected {expected}; {REMEDY}"
            )
    return config, digests


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _are_channels(channels: tuple[Any, ...]) -> bool:
    return 2 <= len(channels) <= MOST_LEVELS and all(_is_count(c) and c <= MOST_CHANNELS for c in channels)


def _are_spectra(spectra: Mapping[int, Spectra]) -> bool:
    return bool(spectra) and all(_is_spectrum(box, curves) for box, curves in spectra.items())


def _is_spectrum(box: int, spectra: Spectra) -> bool:
    if not 2 <= box <= MOST_BOX:
        return False
    shells = int(shell_index(box).max()) + 1
    curves = (spectra.signal, spectra.noise)
    known = all(len(c) == shells and all(_is_number(v) and v >= 0 for v in c) for c in curves)
    return known and any(spectra.signal)


def _are_scales(intensity: Mapping[str, tuple[float, float]]) -> bool:
    return all(math.isfinite(offset) and math.isfinite(scale) and scale != 0 for offset, scale in intensity.values())


def _are_sizes(sizes: tuple[Any, ...]) -> bool:
    return len(sizes) == 2 and all(_is_number(size) and size > 0 for size in sizes)


def _are_rows(trained_on: Any) -> bool:
    if not isinstance(trained_on, dict) or not all(isinstance(rows, list) for rows in trained_on.values()):
        return False
    return all(_is_whole(row) for rows in trained_on.values() for row in rows)


def _is_family(operators: Any) -> bool:
    if not isinstance(operators, dict):
        return False
    try:
        family = OperatorFamily.of(operators)
    except TypeError:
        return False
    kinds = (family.blocks, family.rows, family.patterns, family.symmetries)
    bounds: Any = family.compression
    sane = isinstance(bounds, tuple) and len(bounds) == 2 and all(_is_number(c) and c >= 1 for c in bounds)
    return sane and all(isinstance(kind, tuple) for kind in kinds) and _is_number(family.noisy)


CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "objective": ("signal or ddpm", lambda value: value in ("signal", "ddpm")),
    "channels": (f"2 to {MOST_LEVELS} whole numbers of 1 to {MOST_CHANNELS}", _are_channels),
    "layers": (f"1 to {MOST_LAYERS}", lambda value: _is_count(value) and value <= MOST_LAYERS),
    "spectra": (f"for boxes of 2 to {MOST_BOX} pixels a power of at least 0 for every shell", _are_spectra),
    "intensity": ("an offset and a scale other than 0 for every data set", _are_scales),
    "pixel_size_angstrom": ("the least and the largest, above 0", _are_sizes),
    "trained_on": ("lists of rows by digest", _are_rows),
    "steps": ("a whole number", _is_whole),
    "validation_loss": ("a number, or null", lambda value: value is None or _is_number(value)),
    "description": ("a text", lambda value: isinstance(value, str)),
    "ddpm_scale": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "ddpm_offset": ("a number", _is_number),
    "operators": ("the fields of a family of operators", _is_family),
    "means_only": ("true or false", lambda value: isinstance(value, bool)),
    "treatment": ("a text", lambda value: isinstance(value, str)),
}
"""What every field is, in words and as a check."""
