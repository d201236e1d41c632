"""Rigid alignment of one map to another: a global search over rotations, then refinement, all in Fourier space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.volume_filters import crop_volume_transform

ROTATIONS = 4608
"""Of the global search: about 15 degrees from one to the next."""
SEARCH_SHELL, SEARCH_BOX = 7, 24
"""The search sees shells up to 7 of the transform, and shifts on a grid of 24 a side."""
STARTS, FINALISTS = 12, 3
AGREEMENT = 0.143
"""Shells from the first on whose FSC is below this are left out of the refinement: noise would steer it."""
BATCH = 256

Pose = Float[np.ndarray, "6"]
"""A rotation vector in radians and a shift in voxels, both x y z."""


@dataclass(frozen=True)
class Alignment:
    """Where a map goes: what lies at p, from voxel d // 2 in x y z, comes to ``rotation @ p + shift_voxel``.

    ``correlation`` is that of the maps up to the finest shell of the refinement, their means taken out.
    """

    rotation: Float[np.ndarray, "3 3"]
    shift_voxel: Float[np.ndarray, "3"]
    correlation: float

    @property
    def angle_deg(self) -> float:
        """Return the angle of the rotation, 0 to 180."""
        return float(np.degrees(Rotation.from_matrix(self.rotation).magnitude()))


def align(
    moving: Float[Tensor, "d d d"], fixed: Float[Tensor, "e e e"], finest_box: int = 96, rotations: int = ROTATIONS
) -> Alignment:
    """Return the rotation and the shift that bring one map upon another.

    Every rotation of a near-uniform set is scored at low resolution by the best of all shifts. The best ones, and no
    rotation at all, are refined there, the best of these up to ever higher shells. Of symmetric maps one of the equal
    answers is found: that with the smallest angle of those refined.

    Parameters
    ----------
    moving, fixed: maps of one box and voxel size, z y x; they should be masked where their solvent is noisy.
    finest_box: larger maps are cropped in Fourier space to this box, an even number.
    rotations: how many are searched.

    Raises
    ------
    InputError: maps of different boxes, of a box below 16, or one that is constant.
    """
    d = moving.shape[-1]
    if fixed.shape != moving.shape or d < 16:
        raise InputError(f"maps of boxes {d} and {fixed.shape[-1]}: expected one box, of at least 16; resample one")
    box = min(d - d % 2, finest_box)
    maps = [crop_volume_transform(m.double().cpu(), box) for m in (moving, fixed)]
    if any(float(m.std()) <= 1e-6 * float(m.abs().max()) for m in maps):
        raise InputError("a map that is constant cannot be aligned; expected density; check the file")
    pair = _Pair.of(*maps)
    low = min(SEARCH_SHELL, box // 2 - 1)
    starts = [np.zeros(6), *pair.search(low, rotations)]
    refined = [pair.refine(start, low) for start in starts]
    order = np.argsort([-pair.correlation(pose, low) for pose in refined])
    climbed = [_climb(pair, pose, low) for pose in _distinct([refined[i] for i in order])[:FINALISTS]]
    finest = max(shell for _, shell in climbed)
    scored = [(pair.correlation(pose, finest), pose) for pose, _ in climbed]
    best = max(score for score, _ in scored)
    equal = [(score, pose) for score, pose in scored if score > best - 1e-4]
    score, pose = min(equal, key=lambda one: float(np.linalg.norm(one[1][:3])))
    return Alignment(Rotation.from_rotvec(pose[:3]).as_matrix(), pose[3:] * d / box, score)


def transform_volume(
    volume: Float[Tensor, "d d d"], rotation: Float[np.ndarray, "3 3"], shift_voxel: Float[np.ndarray, "3"]
) -> Float[Tensor, "d d d"]:
    """Return the map with what lies at p, from voxel d // 2 in x y z, brought to ``rotation @ p + shift_voxel``.

    Splines of order 5 between voxels; what comes from beyond the box is 0.
    """
    d = volume.shape[-1]
    inverse = np.asarray(rotation, np.float64)[::-1, ::-1].T  # on z y x
    centre = np.full(3, float(d // 2))
    offset = centre - inverse @ (centre + np.asarray(shift_voxel, np.float64)[::-1])
    moved = ndimage.affine_transform(volume.double().cpu().numpy(), inverse, offset, order=5, mode="constant")
    return torch.from_numpy(moved).to(volume)


@dataclass(frozen=True)
class _Pair:
    """Two maps of a box: the transform of one to be sampled anywhere, that of the other on its half space."""

    box: int
    moving: Float[Tensor, "1 2 p p p"]
    """Real and imaginary part, centred, of the map in a box twice as large."""
    fixed: Tensor
    """The transform about the centre, rfftn order."""

    @classmethod
    def of(cls, moving: Float[Tensor, "d d d"], fixed: Float[Tensor, "d d d"]) -> _Pair:
        box = moving.shape[-1]
        axis = torch.sinc((torch.arange(box, dtype=torch.float64) - box // 2) / (2 * box)).square()
        flat = (moving - moving.mean()) / (axis[:, None, None] * axis[None, :, None] * axis)  # undoes the sampling
        padded = torch.nn.functional.pad(flat, (box // 2, box // 2) * 3)
        transform = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(padded)))
        channels = torch.stack([transform.real, transform.imag])[None].float()
        return cls(box, channels, torch.fft.rfftn(torch.fft.ifftshift(fixed - fixed.mean())))

    def shells(self, shell: float) -> tuple[Float[Tensor, "k 3"], Tensor, Float[Tensor, "k"]]:
        """Return the frequencies x y z up to a shell, in Fourier voxels, the fixed map there, and their weights."""
        full = torch.fft.fftfreq(self.box, 1 / self.box, dtype=torch.float64)
        z, y, x = torch.meshgrid(full, full, torch.arange(self.box // 2 + 1, dtype=torch.float64), indexing="ij")
        radius = (z.square() + y.square() + x.square()).sqrt()
        inside = (radius <= shell) & (radius > 0)
        frequency = torch.stack([x[inside], y[inside], z[inside]], -1)
        return frequency, self.fixed[inside], torch.where(frequency[:, 0] == 0, 1.0, 2.0).double()

    def sample(self, frequency: Float[Tensor, "*b k 3"]) -> Tensor:
        """Return the transform of the moving map at any frequencies x y z, trilinear on the finer grid."""
        size = self.moving.shape[-1]
        place = (frequency * 2 + size // 2) * (2 / (size - 1)) - 1
        grid = place.reshape(1, 1, 1, -1, 3).to(self.moving)
        parts = torch.nn.functional.grid_sample(self.moving, grid, align_corners=True)
        return torch.complex(parts[0, 0], parts[0, 1]).reshape(frequency.shape[:-1])

    def search(self, shell: int, rotations: int) -> list[Pose]:
        """Return the best poses with distinct rotations, over all shifts."""
        frequency, fixed, weight = self.shells(shell)
        turns = uniform_rotations(rotations)
        small = min(SEARCH_BOX, self.box)
        index = frequency.long()
        places = (index[:, 2] % small, index[:, 1] % small, index[:, 0])
        scores, peaks = [], []
        for batch in torch.split(torch.from_numpy(turns.as_matrix()), BATCH):
            turned = self.sample(frequency @ batch)  # F(R^T k): rows k times R
            norm = (weight * _power(turned)).sum(-1).sqrt()
            cross = torch.zeros(len(batch), small, small, small // 2 + 1, dtype=turned.dtype)
            cross[(slice(None), *places)] = fixed.to(turned) * turned.conj()
            best = torch.fft.irfftn(cross, s=(small,) * 3, dim=(1, 2, 3)).flatten(1).max(1)
            scores.append(best.values / norm)
            peaks.append(best.indices)
        order = torch.cat(scores).argsort(descending=True)[: 20 * STARTS].numpy()
        shift = np.stack(np.unravel_index(torch.cat(peaks).numpy(), (small,) * 3), -1)[:, ::-1]
        voxels = ((shift + small // 2) % small - small // 2) * (self.box / small)
        return _distinct([np.concatenate([turns[i].as_rotvec(), voxels[i]]) for i in order])[:STARTS]

    def moved(
        self, frequency: Float[Tensor, "k 3"], rotation: Float[Tensor, "3 3"], shift: Float[Tensor, "3"]
    ) -> Tensor:
        """Return the transform of the moving map, turned and shifted, at frequencies x y z."""
        phase = frequency @ shift * (-2 * np.pi / self.box)
        return self.sample(frequency @ rotation).to(torch.complex128) * torch.polar(torch.ones_like(phase), phase)

    def refine(self, pose: Pose, shell: int) -> Pose:
        """Return the pose at the nearest peak of the correlation up to a shell."""
        frequency, fixed, weight = self.shells(shell)
        base = torch.from_numpy(Rotation.from_rotvec(pose[:3]).as_matrix())
        start, scale = torch.from_numpy(pose[3:]), self.box / (2 * np.pi * shell)  # 1 moves the finest wave a radian

        def loss(step: np.ndarray) -> tuple[float, np.ndarray]:
            x = torch.from_numpy(step).requires_grad_()
            moved = self.moved(frequency, _rotation(x[:3] / shell) @ base, start + x[3:] * scale)
            value = -(weight * (fixed.conj() * moved).real).sum() / (weight * _power(moved)).sum().sqrt() / norm
            (gradient,) = torch.autograd.grad(value, x)
            return float(value.detach()), gradient.numpy()

        norm = float((weight * _power(fixed)).sum().sqrt())
        end = optimize.minimize(loss, np.zeros(6), jac=True, method="L-BFGS-B", options={"maxiter": 60, "ftol": 1e-10})
        turn = _rotation(torch.from_numpy(end.x[:3] / shell)) @ base
        return np.concatenate([Rotation.from_matrix(turn.numpy()).as_rotvec(), pose[3:] + end.x[3:] * scale])

    def curve(self, pose: Pose, shell: int) -> Float[Tensor, "3 shells"]:
        """Return the cross power of the fixed and the moved map, and their powers, in shells 0 to ``shell``."""
        frequency, fixed, weight = self.shells(shell + 0.5)
        turn = torch.from_numpy(Rotation.from_rotvec(pose[:3]).as_matrix())
        moved = self.moved(frequency, turn, torch.from_numpy(pose[3:]))
        values = torch.stack([(fixed.conj() * moved).real, _power(fixed), _power(moved)]) * weight
        index = frequency.norm(dim=-1).round().long().clamp_max(shell)
        return torch.zeros(3, shell + 1, dtype=torch.float64).index_add_(1, index, values)

    def correlation(self, pose: Pose, shell: int) -> float:
        """Return the correlation of the fixed and the moved map over shells 1 to ``shell``."""
        cross, power_fixed, power_moved = self.curve(pose, shell).sum(1)
        return float(cross / (power_fixed * power_moved).sqrt())


def _climb(pair: _Pair, pose: Pose, shell: int) -> tuple[Pose, int]:
    """Return the pose refined up to ever higher shells, as far as the two maps agree, and the last of them."""
    highest = pair.box // 2 - 1
    while shell < highest:
        cross, power_fixed, power_moved = pair.curve(pose, highest)
        fsc = cross / (power_fixed * power_moved).clamp_min(1e-300).sqrt()
        lost = torch.nonzero(fsc[1:] < AGREEMENT)
        reach = int(lost[0]) if len(lost) else highest
        if min(reach, 2 * shell) <= shell:
            break
        shell = min(reach, 2 * shell)
        pose = pair.refine(pose, shell)
    return pose, shell


def uniform_rotations(n: int) -> Rotation:
    """Return n rotations spread evenly over all of them.

    Source: Alexa 2022, super-Fibonacci spirals, CVPR; its constants phi and psi.
    """
    s = np.arange(n) + 0.5
    alpha, beta = 2 * np.pi * s / np.sqrt(2), 2 * np.pi * s / 1.533751168755204288118041
    near, far = np.sqrt(s / n), np.sqrt(1 - s / n)
    quaternions = [near * np.sin(alpha), near * np.cos(alpha), far * np.sin(beta), far * np.cos(beta)]
    return Rotation.from_quat(np.stack(quaternions, -1))


def _rotation(vector: Float[Tensor, "3"]) -> Float[Tensor, "3 3"]:
    """Return the rotation by a vector as a matrix, which can be differentiated at 0 too."""
    x, y, z = vector
    zero = torch.zeros_like(x)
    rotation: Tensor = torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3))
    return rotation


def _power(fourier: Tensor) -> Tensor:
    return fourier.real.square() + fourier.imag.square()


def _distinct(poses: list[Pose], apart_deg: float = 10.0) -> list[Pose]:
    """Return the first of every group of poses whose rotations are within some degrees of it."""
    quaternions = Rotation.from_rotvec([pose[:3] for pose in poses]).as_quat()
    kept: list[int] = []
    for i, quaternion in enumerate(quaternions):
        if (np.abs(quaternions[kept] @ quaternion) < np.cos(np.radians(apart_deg / 2))).all():
            kept.append(i)
    return [poses[i] for i in kept]
