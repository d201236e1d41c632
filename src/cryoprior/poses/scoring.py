"""How far poses are from the true ones."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch

from cryoprior.metrics.pose import PoseErrors, pose_errors
from cryoprior.poses.files import Poses

POSE = ("euler_deg", "origin_angstrom")

log = logging.getLogger("cryoprior")


def score_poses(poses: Poses, truth: Poses, symmetry: str = "C1", align: bool = False) -> PoseErrors:
    """Return the errors of poses, row by row; ``align`` turns all of them by one rotation first."""
    euler, origin = ([torch.from_numpy(np.array(getattr(one, name))) for one in (poses, truth)] for name in POSE)
    sizes = torch.from_numpy(np.array(truth.pixel_size))
    errors = pose_errors(euler[0], origin[0], euler[1], origin[1], sizes, symmetry, align)
    if errors.summary()["hand_flipped"]:
        log.warning("the poses are those of the other hand: of the mirror image of the map that the truth belongs to")
    return errors


def pose_summary(errors: PoseErrors, symmetry: str, align: bool) -> dict[str, Any]:
    """Return the numbers of errors under the names that summary.json promises."""
    cosine = (float(errors.frame.trace()) - 1) / 2
    turn_deg = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return {**errors.summary(), "aligned": align, "frame_turn_deg": turn_deg, "symmetry": symmetry.upper()}
