"""``cryoprior describe``: what an operator, measurements or a map prior hold: compression, rank, conditioning; size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option, output_option, overwrite_option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary

if TYPE_CHECKING:
    from cryoprior.operators import Operator

DEFAULT_BOX = 128


EXAMPLE = "cryoprior describe pixel:block=16,masks=192,rows=hadamard --box 64"


@dataclass(frozen=True)
class Options:
    target: str = argument(
        "Measurements (.zarr), the folder of a map prior, or an operator as text: name:field=value,..."
    )
    box: int | None = option(
        f"Pixels a side of the images, where neither the file nor the text says (default: {DEFAULT_BOX}).",
        None,
        minimum=1,
    )
    seed: int = option("Seed of the masks, where the text names none.", 0)
    output: Path | None = output_option("Folder to write summary.json into, too.", None)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return what an operator, or the operator of measurements, does to an image; or what a map prior is."""
    from cryoprior.housekeeping.map_priors import is_map_prior

    path = Path(options.target)
    is_file = path.exists() or path.suffix == ".zarr"
    if is_map_prior(path):
        summary = _describe_map_prior(path, options)
    else:
        summary = _describe_measurements(path, options) if is_file else _describe_text(options)
    if options.output is not None:
        read = [path] if is_file else []
        with claim_output(options.output, "describe", overwrite=options.overwrite, inputs=read) as folder:
            write_provenance(folder, "describe", options, read)
            write_summary(folder, summary)
    return summary


def _describe_map_prior(path: Path, options: Options) -> dict[str, Any]:
    from cryoprior.housekeeping.map_priors import map_prior_facts
    from cryoprior.prior import load_map_prior

    if options.box is not None:
        raise InputError(f"{path}: a map prior takes maps of any box; leave <box> out")
    return {"map_prior": str(path), **map_prior_facts(load_map_prior(path))}


def _describe_text(options: Options) -> dict[str, Any]:
    from cryoprior.operators import parse_operator

    fields = [part.partition("=")[0].strip() for part in options.target.partition(":")[2].split(",")]
    box = DEFAULT_BOX if options.box is None and "box" not in fields else options.box
    return _describe(parse_operator(options.target, box=box, seed=options.seed))


def _describe_measurements(path: Path, options: Options) -> dict[str, Any]:
    from cryoprior.measurement.reading import open_measurements

    measured, operator = open_measurements(path)
    if options.box not in (None, measured.box):
        raise InputError(f"{path}: images of box {measured.box}, not {options.box}; leave <box> out")
    return {
        "measurements": str(path),
        "n": measured.n,
        "sigma": measured.sigma,
        "dtype": measured.dtype,
        "rounding": measured.rounding,
        "source": measured.source,
        **_describe(operator),
    }


def _describe(operator: Operator) -> dict[str, Any]:
    from cryoprior.operators import format_operator

    low, high = operator.singular_range
    return {
        "operator": format_operator(operator),
        "box": operator.box,
        "linear": operator.linear,
        "nominal": operator.nominal,
        "compression": operator.compression,
        "effective_compression": operator.effective_compression,
        "rank": operator.rank,
        "m": operator.m,
        "stored": operator.stored,
        "bytes_per_particle": operator.bytes_per_particle,
        "condition": operator.condition,
        "singular_value_min": low,
        "singular_value_max": high,
        "mask_sets": operator.sets,
        "bytes_per_set": operator.set_bytes,
        "digest": operator.digest(),
    }
