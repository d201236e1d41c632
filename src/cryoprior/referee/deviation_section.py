"""Files and page section of a prior's deviation: maps, the table by shell, and central sections."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cryoprior.io import write_map
from cryoprior.referee.deviation import Drawing, PriorDeviation, Volume
from cryoprior.referee.result import Audit
from cryoprior.referee.section import SECTION_WIDTH
from cryoprior.report.page import Alert, Block, Picture, Prose, Section
from cryoprior.report.volumes import slice_montage

SAMPLES = "prior_samples"
MEANS = (
    "Each draw is one molecule that the prior holds for possible, given the map of all particles and its noise. What "
    "they share is known; where they differ is not. prior_deviation.mrc is their standard deviation by voxel, "
    "prior_samples_mean.mrc their mean, which is another estimate of what map_prior.mrc is."
)
LIMITS = (
    "The deviation is that of the prior's own answer. It does not know what the prior was never shown: wrong poses, a "
    "wrong voxel size, a kind of molecule or of noise that did not train it. On simulated molecules of families that "
    "trained nothing the embedded prior's deviation was too small: the real error was 1.2 times it, 1.1 to 1.3, and "
    "more where the data are best. It is no error bar of map.mrc or "
    "map_gated.mrc. Of the noise by voxel in map.mrc the half maps speak."
)
CAPTION = "Central sections of the mean of the draws and of one of them, in one grey scale."
DEVIATION = "The deviation by voxel, in a grey scale of its own: bright is uncertain."


def write_deviation(folder: Path, drawing: Drawing, audit: Audit) -> PriorDeviation:
    """Write the draws as they come, their mean, their deviation and its table by shell; return what they say."""
    (folder / SAMPLES).mkdir()
    size = audit.voxel_size_angstrom

    def keep(number: int, volume: Volume) -> None:
        write_map(folder / SAMPLES / f"sample_{number:03d}.mrc", volume.float().cpu().numpy(), size)

    made = drawing.made(audit, keep)
    write_map(folder / "prior_samples_mean.mrc", made.mean.numpy(), size)
    write_map(folder / "prior_deviation.mrc", made.deviation.numpy(), size)
    pd.DataFrame(made.rows()).to_csv(folder / "prior_deviation.csv", index=False, float_format="%.6g")
    return made


def deviation_section(folder: Path, made: PriorDeviation) -> Section:
    """Return the section of the page; one draw is read back from the folder."""
    from cryoprior.io import read_map

    size = made.voxel_size_angstrom
    one = read_map(folder / SAMPLES / "sample_001.mrc")[0]
    looks = slice_montage({"mean of the draws": made.mean.numpy(), "one draw": one}, size, 2)
    blocks: list[Block] = [Prose(f"{made.count} draws. {made.says()}"), Prose(f"{MEANS} {_sureness(made)}")]
    blocks.append(
        Picture(looks, "central sections of the mean of the draws and of one draw", CAPTION, 2 * SECTION_WIDTH)
    )
    if float(made.deviation.max()) > float(made.deviation.min()):
        picture = slice_montage({"deviation": made.deviation.numpy()}, size, 1)
        blocks.append(Picture(picture, "central sections of the deviation", DEVIATION, SECTION_WIDTH))
    blocks.append(Alert("What the deviation does not know", LIMITS, "note"))
    return Section("How uncertain the prior's map is", blocks)


def _sureness(made: PriorDeviation) -> str:
    """Return how well so few draws give the deviation of one voxel: to 1 / sqrt(2 (count - 1)) of itself."""
    return f"Of {made.count} draws the deviation of one voxel is known to {(2 * (made.count - 1)) ** -0.5:.0%}."
