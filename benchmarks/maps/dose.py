"""What measuring under masks costs where the electron dose is the limit: maps of the 50S, one dose for all exposures.

Whole exposures, bins, and sums of pixels under binary masks, each mask an exposure with its share of the dose; counts
are Poisson distributed. Whole images of a part of the dose stand beside them.

    python -m benchmarks.maps.dose
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from benchmarks.kit.table import command, machine, markdown, parser, progress, versions, write, write_csv
from benchmarks.maps.what_to_keep import BOX, DATA_SETS, PASSES, DataSet, particles_of

from cryoprior.image.soft_mask import soft_mask
from cryoprior.maps import judge_maps, make_maps
from cryoprior.measurement.dose import Dose, exposures
from cryoprior.operators import parse_operator
from cryoprior.simulation import SimulatedParticles

SCRIPT, NAME = "maps.dose", "dose"
PACKAGES = ("cryoprior", "torch", "numpy")
N, ELECTRONS, CONTRAST = 1000, 20.0, 0.02
WHOLE = "identity"
CASES = (
    (WHOLE, 1.0, 0.0),
    ("bin:factor=2", 1.0, 0.0),
    ("pixel:block=2,masks=4,sets=16", 1.0, 0.0),
    ("pixel:block=2,masks=2,sets=16", 1.0, 0.0),
    ("pixel:block=4,masks=16,sets=16", 1.0, 0.0),
    ("pixel:block=4,masks=6,sets=16", 1.0, 0.0),
    ("pixel:block=16,masks=102,sets=16", 1.0, 0.0),
    (WHOLE, 1 / 8, 0.0),
    (WHOLE, 1 / 12, 0.0),
    (WHOLE, 1 / 32, 0.0),
    (WHOLE, 1 / 48, 0.0),
    (WHOLE, 1.0, 20.0),
    ("pixel:block=2,masks=4,sets=16", 1.0, 20.0),
    ("pixel:block=4,masks=16,sets=16", 1.0, 20.0),
)
"""What is measured, the part of the dose, and readout noise in electrons."""


def rows(made: SimulatedParticles) -> Iterator[dict[str, Any]]:
    """Yield a row by case: exposures, electrons and resolutions."""
    clean, truth = made.clean, made.volumes[0]
    mask = soft_mask(truth, made.pixel_size, extend_voxel=3.0, edge_voxel=5.0)
    grey = {"mean": float(clean.mean()), "deviation": float(clean.std())}
    for text, part, readout in CASES:
        operator = parse_operator(text, box=BOX)
        dose = Dose(part * ELECTRONS, readout, CONTRAST, made.pixel_size, **grey)
        y = dose.counted(clean, operator, 3, list(range(len(clean))))
        maps = make_maps(
            y=y,
            operator=operator,
            euler_deg=made.euler_deg,
            origin_pixel=made.origin_pixel,
            ctf=made.ctf,
            pixel_size=made.pixel_size,
            passes=PASSES,
            device="cpu",
        )
        judged = judge_maps(maps, truth=truth, mask=mask)
        assert judged.truth is not None
        yield {
            "measured": text,
            "dose": dose.electrons,
            "exposures": exposures(operator),
            "electrons": dose.per_pixel(operator),
            "readout": readout,
            "halves": judged.resolution.angstrom,
            "truth": judged.truth.resolution.angstrom,
        }
        progress(f"{text}, {part:g} of the dose, readout {readout:g}")


def page(table: Sequence[dict[str, Any]], made: str) -> str:
    """Return the page."""
    lines = [
        [
            row["measured"],
            f"{row['dose']:.3g}",
            str(row["exposures"]),
            f"{row['electrons']:.3g}",
            f"{row['readout']:g}",
            *("none" if row[key] == float("inf") else f"{row[key]:.1f}" for key in ("halves", "truth")),
        ]
        for row in table
    ]
    head = ["measured", "e/Å²", "exposures", "e a pixel and exposure", "readout, e", "half maps, Å", "truth, Å"]
    return (
        "# What masks cost under a limited dose\n\n"
        f"{N} particles of the 50S, known poses, prior-free maps in one mask; a dose of {ELECTRONS:g} electrons per "
        f"square angstrom for all exposures of a particle together, contrast {CONTRAST:g}, pixels of 5 angstrom. "
        "Theory: sums of K x K pixels under random halves know a pixel as 1 / (2 K^2) of the dose would, by least "
        "squares 1 / (3 K^2): compare K = 2 with whole images of 1/8 and 1/12 of the dose, K = 4 with 1/32 and 1/48."
        "\n\n"
        f"{markdown(head, lines)}\n{made}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__, NAME).parse_args(arguments)
    torch.set_num_threads(options.threads)
    words = list(sys.argv[1:] if arguments is None else arguments)
    fifty = next(wanted for wanted in DATA_SETS if wanted.name.startswith("50S"))
    wanted = DataSet("clean", fifty.structure, 1.0, fifty.pixel_size, fifty.b_factor, N, fifty.chains)
    table = list(rows(particles_of(options.data, wanted, seed=5)))
    write_csv(options.out / NAME / "rows.csv", table)
    made = f"{machine(options.threads)}. {versions(PACKAGES)}.\n\n    {command(SCRIPT, words)}\n"
    write(options.out / f"{NAME}.md", page(table, made))


if __name__ == "__main__":
    main()
