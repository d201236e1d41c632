"""A few small particles with poses, on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from cryoprior.io import write_stack, write_star
from cryoprior.io.euler import euler_of_matrix
from cryoprior.io.formats.columns import ANGLES, ORIGINS

N, PIXEL = 5, 3.5


def write_set(path: Path, box: int = 8, *, n: int = N, ctf: bool = True, poses: bool = True) -> Path:
    rng = np.random.default_rng(0)
    write_stack(path.with_suffix(".mrcs"), rng.normal(size=(n, box, box)).astype(np.float32), PIXEL)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@{path.stem}.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [PIXEL], "rlnImageSize": [box]})
    if poses:
        table[list(ANGLES)] = euler_of_matrix(Rotation.random(n, rng=rng).as_matrix())
        table[list(ORIGINS)] = rng.normal(scale=5, size=(n, 2))
    if ctf:
        table["rlnDefocusU"] = rng.uniform(9e3, 2e4, n)
        table["rlnDefocusV"], table["rlnDefocusAngle"] = table["rlnDefocusU"] - 500, 20.0
        table["rlnPhaseShift"] = np.arange(n) * 10.0
        optics = optics.assign(rlnVoltage=200.0, rlnSphericalAberration=1.4, rlnAmplitudeContrast=0.07)
    write_star(path, table, optics)
    return path
