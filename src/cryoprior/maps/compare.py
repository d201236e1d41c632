"""``cryoprior compare-maps``: Fourier shell correlation, correlation, contrast and hand of two maps."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cryoprior.image.alignment import transform_volume
from cryoprior.io import write_map
from cryoprior.io.volumes import read_density, read_mask, read_volume
from cryoprior.maps.signs import Signs, aligned_signs, plain_signs
from cryoprior.metrics.fsc import fsc, resolution
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.metrics.volume import volume_correlation
from cryoprior.options import argument, check_options, option
from cryoprior.output.folder import claim_output
from cryoprior.output.record import write_provenance, write_summary
from cryoprior.report.figures import shell_curves

log = logging.getLogger("cryoprior")


@dataclass(frozen=True)
class Options:
    a: Path = argument("First map (.mrc); its voxels above the level are those that are correlated.")
    b: Path = argument(
        "Second map, on the same grid. Read the FSC at 0.143 of two half maps, at 0.5 against a true map."
    )
    mask: Path | None = option("Mask from 0 to 1 that both maps are multiplied with for the FSC.", None)
    level: float | None = option("Contour level of the first map; by default its 99th percentile.", None)
    align: bool = option("Turn and shift the second map upon the first one, then compare.", False)
    output: Path | None = option(
        "Folder to write: fsc.csv, fsc.png, summary.json, aligned.mrc.", None, flags=("-o", "--output")
    )
    overwrite: bool = option("Replace an output in use.", False)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    first, voxel_size = read_density(options.a)
    grid = (len(first), voxel_size, "the first map")
    a, b = torch.from_numpy(first), torch.from_numpy(read_volume(options.b, *grid))
    mask = None if options.mask is None else torch.from_numpy(read_mask(options.mask, *grid))
    signs = aligned_signs(a, b, voxel_size) if options.align else plain_signs(a, b)
    aligned = b
    if signs.alignment is not None:
        aligned = transform_volume(b, signs.alignment.rotation, signs.alignment.shift_voxel)
    curves = {"fsc": fsc(a, aligned)} if mask is None else {"fsc": fsc(a * mask, aligned * mask)}
    if mask is not None:
        curves["fsc_unmasked"] = fsc(a, aligned)
    summary = _summary(a, aligned, voxel_size, curves, signs, options.level)
    _warn(options.b, signs)
    if options.output is not None:
        _write(options, summary, curves, voxel_size, None if signs.alignment is None else aligned)
    return summary


def _summary(
    a: Tensor, b: Tensor, voxel_size: float, curves: dict[str, Tensor], signs: Signs, level: float | None
) -> dict[str, Any]:
    box, found = len(a), volume_correlation(a, b, level)
    at = {key: [resolution(curve, box, voxel_size, t) for t in (0.143, 0.5)] for key, curve in curves.items()}
    summary: dict[str, Any] = {
        "fsc_0143_angstrom": at["fsc"][0].angstrom,
        "fsc_05_angstrom": at["fsc"][1].angstrom,
        "nyquist_limited": at["fsc"][0].nyquist_limited,
        "masked": "fsc_unmasked" in at,
    }
    if "fsc_unmasked" in at:
        summary["fsc_0143_unmasked_angstrom"] = at["fsc_unmasked"][0].angstrom
        summary["fsc_05_unmasked_angstrom"] = at["fsc_unmasked"][1].angstrom
    summary |= {
        "correlation": found.about_zero,
        "correlation_about_mean": found.about_mean,
        "level": found.level,
        "voxels": found.voxels,
        "box": box,
        "voxel_size_angstrom": voxel_size,
        "contrast": signs.contrast,
        "hand": signs.hand,
    }
    if signs.alignment is not None:
        summary["alignment"] = {
            "angle_deg": signs.alignment.angle_deg,
            "shift_angstrom": float(np.linalg.norm(signs.alignment.shift_voxel)) * voxel_size,
            "correlation": signs.alignment.correlation,
            "correlation_of_the_other_hand": signs.other_hand,
            **{key: value for key, value in dataclasses.asdict(signs.alignment).items() if key != "correlation"},
        }
    return summary


def _warn(path: Path, signs: Signs) -> None:
    numbers = f"correlation {signs.as_is:.3f}"
    if signs.contrast == "inverted":
        log.warning("%s: its contrast is inverted (%s); multiply it with -1 and compare again", path, numbers)
    if signs.hand == "flipped":
        log.warning(
            "%s: it has the other hand (%s, mirrored %.3f); mirror it, for example with relion_image_handler "
            "--invert_hand, and compare again",
            path,
            numbers,
            signs.other_hand,
        )


def _write(
    options: Options, summary: dict[str, Any], curves: dict[str, Tensor], voxel_size: float, aligned: Tensor | None
) -> None:
    assert options.output is not None
    angstrom = shell_resolution_angstrom(summary["box"], voxel_size).numpy()
    arrays = {name: curve.numpy() for name, curve in curves.items()}
    names = {"fsc": "masked" if summary["masked"] else "FSC", "fsc_unmasked": "unmasked"}
    shown = {names[name]: values for name, values in arrays.items()}
    with claim_output(options.output, overwrite=options.overwrite) as folder:
        table = {"shell": np.arange(len(angstrom)), "resolution_angstrom": angstrom, **arrays}
        pd.DataFrame(table).to_csv(folder / "fsc.csv", index=False, float_format="%.6g")
        (folder / "fsc.png").write_bytes(
            shell_curves(angstrom, shown, "Fourier shell correlation", top=1.05, line=0.143)
        )
        if aligned is not None:
            write_map(folder / "aligned.mrc", aligned.numpy(), voxel_size)
        write_summary(folder, summary)
        inputs = [path for path in (options.a, options.b, options.mask) if path is not None]
        write_provenance(folder, "compare-maps", options, inputs)
