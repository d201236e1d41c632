"""``cryoprior compare-maps``: Fourier shell correlation, correlation, contrast and hand of two maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import INPUT, Computing, argument, check_options, option, output_option, overwrite_option

EXAMPLE = "cryoprior compare-maps map/half1.mrc map/half2.mrc --json"


@dataclass(frozen=True)
class Options(Computing):
    a: Path = argument("First map (.mrc); its voxels above the level are correlated.")
    b: Path = argument(
        "Second map, on the same grid. Read the FSC at 0.143 of two half maps, at 0.5 against a true map."
    )
    mask: Path | None = option("Mask from 0 to 1 that both maps are multiplied with for the FSC.", None, group=INPUT)
    level: float | None = option("Contour level of the first map (default: its 99th percentile).", None)
    align: bool = option("Turn and shift the second map onto the first one, then compare.", False)
    output: Path | None = output_option("Folder to write: fsc.csv, fsc.png, summary.json, aligned.mrc.", None)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    from cryoprior.devices import limit_threads
    from cryoprior.io.volumes import read_density, read_mask, read_volume, warn_of_placement
    from cryoprior.maps.compare_files import warn_of_signs, write_comparison
    from cryoprior.maps.comparing import compare_maps
    from cryoprior.output.folder import claim_output
    from cryoprior.output.record import write_provenance, write_summary

    limit_threads(options.threads)
    a, voxel_size = read_density(options.a)
    grid = (len(a), voxel_size, "the first map")
    b = read_volume(options.b, *grid)
    mask = None if options.mask is None else read_mask(options.mask, *grid)
    warn_of_placement(options.a, options.b, options.mask)
    comparison = compare_maps(a, b, voxel_size, mask, options.align, options.level, options.device)
    warn_of_signs(options.b, comparison)
    if options.output is not None:
        inputs = [path for path in (options.a, options.b, options.mask) if path is not None]
        with claim_output(options.output, "compare-maps", overwrite=options.overwrite, inputs=inputs) as folder:
            write_comparison(folder, comparison)
            write_summary(folder, comparison.summary())
            write_provenance(folder, "compare-maps", options, inputs)
    return comparison.summary()
