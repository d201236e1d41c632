"""Small particle sets that the tests of io and of the stages write and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cryoprior.io import write_stack, write_star

N, BOX, PIXEL_SIZE = 7, 16, 1.5


def draw_images(n: int = N, box: int = BOX, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, box, box)).astype(np.float32)


def draw_table(n: int = N, stack: str = "a.mrcs", seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "rlnImageName": [f"{i + 1:06d}@{stack}" for i in range(n)],
            "rlnMicrographName": [f"mic {i}.mrc" for i in range(n)],
            "rlnGroupName": [f"{i:03d}" for i in range(n)],
            "rlnDefocusU": rng.uniform(1e4, 2e4, n),
            "rlnDefocusV": rng.uniform(1e4, 2e4, n),
            "rlnDefocusAngle": rng.uniform(-90, 90, n),
            "rlnAngleRot": rng.uniform(-180, 180, n),
            "rlnAngleTilt": rng.uniform(0, 180, n),
            "rlnAnglePsi": rng.uniform(-180, 180, n),
            "rlnOriginXAngst": rng.normal(size=n),
            "rlnOriginYAngst": rng.normal(size=n),
            "rlnOpticsGroup": [1 + i % 2 for i in range(n)],
        }
    )


def draw_optics(box: int = BOX) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rlnOpticsGroup": [1, 2],
            "rlnOpticsGroupName": ["one", "two"],
            "rlnVoltage": [300.0, 200.0],
            "rlnSphericalAberration": [2.7, 2.7],
            "rlnAmplitudeContrast": [0.1, 0.07],
            "rlnImagePixelSize": [PIXEL_SIZE, 1.25],
            "rlnImageSize": [box, box],
        }
    )


def write_particles(folder: Path, n: int = N, box: int = BOX) -> tuple[Path, np.ndarray, pd.DataFrame]:
    images, table = draw_images(n, box), draw_table(n)
    write_stack(folder / "a.mrcs", images, PIXEL_SIZE)
    write_star(folder / "particles.star", table, draw_optics(box))
    return folder / "particles.star", images, table


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def small_measurements(folder: Path) -> Path:
    """Return measurements of the particles that :func:`write_particles` writes, in a folder."""
    from cryoprior.measurement.command import Options, run

    star, _, _ = write_particles(folder)
    run(Options(particles=star, output=folder / "y.zarr", operator="pixel:block=4,masks=8,sets=3"))
    return folder / "y.zarr"


def many_measurements(folder: Path, n: int, box: int = 48) -> Path:
    """Return measurements of n images of noise by 50 sets of masks: some work for every particle."""
    from cryoprior.measurement.command import Options, run

    star, _, _ = write_particles(folder, n, box)
    run(Options(particles=star, output=folder / "y.zarr", operator="pixel:block=8,masks=16,sets=50"))
    return folder / "y.zarr"
