"""The paper's preparation of EMPIAR-10648: does bicubic resizing from 222 to 256 pixels change the map's resolution?

Particles of the PKM2-like tetramer are simulated at 222 pixels and mapped as they are, resized to 256 pixels by bicubic
interpolation (as the paper did) and by Fourier padding. One mask, made at 222 pixels, is resampled for the others.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from benchmarks.kit.table import command, machine, markdown, parser, write
from scipy import ndimage

from cryoprior.io import ParticleStack, read_particles
from cryoprior.maps.judgement import judge_maps, map_mask
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.sources import FullParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.metrics.fsc import resolution
from cryoprior.simulation import command as simulate

OLD, NEW = 222, 256
MEANING = (
    "Resolutions of half maps, and the place of the corrected 0.143 crossing in Fourier shells, which are equally wide "
    "at any number of pixels over one field of view. A preparation that harms nothing moves it by less than a shell."
)


def stacks(data: Path, folder: Path, n: int, snr: float, pixel_size: float) -> dict[str, ParticleStack]:
    """Return the simulated particles as they are, and resized in two ways."""
    options = simulate.Options(
        (data / "structures" / "pkm2_tetramer.pdb.gz",),
        folder / "sim",
        n=n,
        box=OLD,
        pixel_size=pixel_size,
        snr=snr,
        b_factor=60.0,
        ctf=data / "meta" / "empiar_10028_ctf_sample.csv",
        seed=5,
        batch=16,
    )
    simulate.run(options)
    particles = read_particles(folder / "sim" / "particles.star")
    return {
        f"{OLD} pixels, as simulated": particles,
        f"bicubic to {NEW}": particles.resized(NEW, "bicubic"),
        f"Fourier-padded to {NEW}": particles.resized(NEW, "fourier"),
    }


def rows(data: Path, n: int, snr: float, pixel_size: float, threads: int) -> list[list[str]]:
    """Return one row a preparation: box, pixel size, resolutions by half maps unmasked and corrected, at two levels."""
    torch.set_num_threads(threads)
    lines, mask = [], None
    with tempfile.TemporaryDirectory() as folder:
        for name, stack in stacks(data, Path(folder), n, snr, pixel_size).items():
            maps = solve_maps(FullParticles(stack), MapSettings(symmetry="D2", batch=8), name)
            if mask is None:
                mask = map_mask(maps)[0]
            judgement = judge_maps(maps, resampled(mask, maps.box))
            size = maps.voxel_size_angstrom
            shell = maps.box * size
            at_half = resolution(judgement.curves.corrected, maps.box, size, 0.5).angstrom
            corrected, unmasked = judgement.resolution.angstrom, judgement.unmasked.angstrom
            cells = [f"{value:.3f}" for value in (size, unmasked, at_half, corrected, shell / corrected)]
            lines.append([name, str(maps.box), *cells])
    return lines


def resampled(mask: torch.Tensor, box: int) -> torch.Tensor:
    """Return a mask at another number of voxels over the same field of view, centre upon centre."""
    if mask.shape[0] == box:
        return mask
    old = mask.shape[0]
    axis = (np.arange(box) - box // 2) * old / box + old // 2
    grid = np.meshgrid(axis, axis, axis, indexing="ij")
    return torch.from_numpy(ndimage.map_coordinates(mask.numpy(), grid, order=1, mode="nearest").astype(np.float32))


def main() -> None:
    asked = parser(__doc__, "resize_control")
    asked.add_argument("--n", type=int, default=300)
    asked.add_argument("--snr", type=float, default=0.05)
    asked.add_argument("--pixel-size", type=float, default=1.1)
    arguments = asked.parse_args()
    lines = rows(arguments.data, arguments.n, arguments.snr, arguments.pixel_size, arguments.threads)
    columns = [
        "preparation",
        "box",
        "pixel (Å)",
        "0.143 unmasked (Å)",
        "0.5 corrected (Å)",
        "0.143 corrected (Å)",
        "shell",
    ]
    facts = f"{machine(arguments.threads)}. {arguments.n} particles of"
    made_by = command("maps.resize_control", sys.argv[1:])
    text = (
        f"# Bicubic resizing from {OLD} to {NEW} pixels, as the paper prepares EMPIAR-10648\n\n{MEANING}\n\n"
        f"{markdown(columns, lines)}\n{facts} pkm2_tetramer (D2, simulated, not 6TTF), {arguments.pixel_size} Å, "
        f"SNR {arguments.snr}.\n\n    {made_by}\n"
    )
    write(arguments.out / "resize_control.md", text)
    print(text)


if __name__ == "__main__":
    main()
