"""What ``compare-maps`` writes and says of two maps."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.io import write_map
from cryoprior.maps.comparing import MapComparison
from cryoprior.metrics.rings import shell_resolution_angstrom
from cryoprior.report.figures import shell_curves

log = logging.getLogger("cryoprior")


def write_comparison(folder: Path, comparison: MapComparison) -> None:
    """Write the curves as CSV and PNG, and the second map where it was aligned."""
    angstrom = shell_resolution_angstrom(comparison.box, comparison.voxel_size_angstrom).numpy()
    curves = {"fsc": comparison.fsc.numpy()}
    if comparison.fsc_unmasked is not None:
        curves["fsc_unmasked"] = comparison.fsc_unmasked.numpy()
    table = pd.DataFrame({"shell": np.arange(len(angstrom)), "resolution_angstrom": angstrom, **curves})
    table.to_csv(folder / "fsc.csv", index=False, float_format="%.6g")
    names = {"fsc": "masked" if "fsc_unmasked" in curves else "FSC", "fsc_unmasked": "unmasked"}
    shown = {names[name]: curve for name, curve in curves.items()}
    picture = shell_curves(angstrom, shown, "Fourier shell correlation", top=1.05, line=0.143)
    (folder / "fsc.png").write_bytes(picture)
    if comparison.alignment is not None:
        write_map(folder / "aligned.mrc", comparison.second.numpy(), comparison.voxel_size_angstrom)


def warn_of_signs(path: Path, comparison: MapComparison) -> None:
    """Log a warning where the second map has the other contrast or the other hand."""
    signs = comparison.signs
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
