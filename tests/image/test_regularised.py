"""The regularised map against dense algebra, known spectra and views that are missing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.image import regularised
from cryoprior.image.backprojection import Backprojector
from cryoprior.image.descent import measured
from cryoprior.image.normal_equations import NormalEquations, support_sphere
from cryoprior.image.regularised import (
    divided,
    noise_to_signal,
    solve,
    solve_from_coarse,
    unit_gain,
)
from cryoprior.image.shells import Shells
from cryoprior.image.slices import VolumeSlices
from cryoprior.metrics.fsc import fsc, volume_shell_sums

Tensor = torch.Tensor
BOX, NOISE = 24, 1.5


def turns(n: int, most_deg: float = 180.0) -> Tensor:
    """Return rotations whose views lie within an angle of z."""
    rng = np.random.default_rng(n)
    tilt = np.degrees(np.arccos(rng.uniform(np.cos(np.radians(most_deg)), 1, n)))
    euler = np.stack([rng.uniform(0, 360, n), tilt, rng.uniform(0, 360, n)], 1)
    return torch.from_numpy(Rotation.from_euler("ZYZ", euler, degrees=True).as_matrix())


@lru_cache
def particle(box: int = BOX) -> Tensor:
    rng, axis = np.random.default_rng(0), torch.arange(box) - box // 2
    volume = torch.zeros((box,) * 3).double()
    for x, y, z in rng.normal(scale=box / 9, size=(30, 3)).clip(-box / 4, box / 4):
        gaussians = [torch.exp(-((axis - c) ** 2) / 2.5) for c in (z, y, x)]
        volume += gaussians[0][:, None, None] * gaussians[1][:, None] * gaussians[2]
    return volume


def halves(n: int, noise: float, most_deg: float = 180.0, box: int = BOX) -> list[Backprojector]:
    """Return the sums of two half sets of n particles each, their images with white noise."""
    found, slices = [], VolumeSlices(particle(box))
    for half in (1, 2):
        rotations = turns(n + half, most_deg)[:n]
        rng = np.random.default_rng(100 + half)
        images = torch.from_numpy(noise * rng.normal(size=(n, box, box)))
        transforms = slices.read(rotations) + torch.fft.rfft2(images)
        sums = Backprojector(box)
        sums.insert(transforms, torch.ones(transforms.shape).double(), rotations)
        found.append(sums)
    return found


def all_of(sums: list[Backprojector]) -> tuple[NormalEquations, Tensor, Tensor, Tensor]:
    """Return equations and target of all particles, lambda and the weights of all."""
    parts = [one.equations() for one in sums]
    ridge = noise_to_signal([one.target() for one in sums], parts)
    weights = [one.eigenvalues for one in parts]
    return parts[0] + parts[1], sums[0].target() + sums[1].target(), ridge, weights[0] + weights[1]


def finished(sums: list[Backprojector]) -> Tensor:
    equations, target, ridge, _ = all_of(sums)
    return unit_gain(solve(equations, target, ridge).volume, equations, ridge)


def slopes(found: Tensor, truth: Tensor) -> Tensor:
    a, b = torch.fft.rfftn(found), torch.fft.rfftn(truth)
    return volume_shell_sums((a * b.conj()).real) / volume_shell_sums(b.abs().square())


def objective(volume: Tensor, equations: NormalEquations, target: Tensor, ridge: Tensor) -> float:
    held = torch.fft.irfftn(torch.fft.rfftn(volume) * Shells(len(volume)).spread(ridge), s=volume.shape)
    return float((volume * (equations.apply(volume) + held - 2 * target)).sum())


def test_the_solution_is_that_of_dense_algebra() -> None:
    box = 8
    equations, target, ridge, _ = all_of(halves(40, NOISE, box=box))
    support = support_sphere(box)
    unit = torch.eye(box**3).double().reshape(-1, box, box, box)
    held = torch.fft.irfftn(torch.fft.rfftn(unit, dim=(1, 2, 3)) * Shells(box).spread(ridge), s=(box,) * 3)
    dense = (torch.stack([equations.apply(one) for one in unit]) + held).flatten(1)
    inside = support.flatten() > 0
    expected = torch.zeros(box**3).double()
    expected[inside] = torch.linalg.solve(dense[inside][:, inside], target.flatten()[inside])
    found = solve(equations, target, ridge)
    assert found.converged
    # what lies beyond Nyquist, or in a shell that was not measured, is left out of the search
    kept = measured(equations)
    difference = torch.fft.rfftn(found.volume - expected.reshape((box,) * 3)) * kept
    assert float(difference.norm()) < 0.05 * float((torch.fft.rfftn(found.volume) * kept).norm())


def test_lambda_is_what_the_same_views_show_without_noise() -> None:
    # Sums are linear: of the same views without noise the signal is known, and the difference is the noise alone.
    noisy, clean = halves(200, NOISE), halves(200, 0.0)
    _, _, ridge, _ = all_of(noisy)
    shells, support = Shells(BOX), support_sphere(BOX)
    signal, noise, weight = (torch.zeros(BOX // 2 + 1).double() for _ in range(3))
    for one, without in zip(noisy, clean, strict=True):
        w = one.equations().eigenvalues
        of_signal = torch.fft.rfftn(support * without.target()).abs().square()
        of_noise = torch.fft.rfftn(support * (one.target() - without.target())).abs().square()
        signal += shells.mean(of_signal) / shells.mean(w.square()) / 2
        noise += shells.mean(of_noise) / (support.mean() * shells.mean(w)) / 2
        weight += shells.mean(w.square()) / shells.mean(w) / 2
    low, high = (bound * weight for bound in (regularised.LEAST_NOISE, regularised.MOST_NOISE))
    expected = torch.minimum(torch.maximum(noise / signal, low), high)
    assert float((noise / signal / weight)[4:9].min()) > 2 * regularised.LEAST_NOISE
    torch.testing.assert_close(ridge[4:9], expected[4:9], rtol=0.35, atol=0)
    assert float((ridge[4:9] / expected[4:9]).log().mean().exp()) == pytest.approx(1, abs=0.2)


def test_every_step_lowers_the_objective_to_the_stated_residual() -> None:
    equations, target, ridge, _ = all_of(halves(12, NOISE, most_deg=40))
    support = support_sphere(BOX)
    steps = [solve(equations, target, ridge, steps=k) for k in (0, 1, 2, 4, 8, 16, 100)]
    values = [objective(one.volume, equations, support * target, ridge) for one in steps]
    assert values == sorted(values, reverse=True)
    assert values[0] == 0
    assert (steps[-1].converged, steps[1].converged) == (True, False)
    assert steps[-1].residual <= regularised.RESIDUAL


def test_the_start_does_not_change_the_solution() -> None:
    equations, target, ridge, _ = all_of(halves(60, NOISE))
    found = solve(equations, target, ridge)
    again = solve(equations, target, ridge, start=particle())
    assert float((found.volume - again.volume).norm()) < 0.01 * float(found.volume.norm())
    assert solve(equations, target, ridge, start=found.volume).steps <= 1


def test_from_coarse_is_the_same_map_in_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    equations, target, ridge, _ = all_of(halves(60, NOISE))
    direct = solve_from_coarse(equations, target, ridge)
    monkeypatch.setattr(regularised, "COARSE_BOX", 8)
    coarse = solve_from_coarse(equations, target, ridge)
    assert float((coarse.volume - direct.volume).norm()) < 0.01 * float(direct.volume.norm())
    assert coarse.steps <= direct.steps


@pytest.mark.parametrize("n", [10, 200])
def test_lambda_is_the_noise_over_the_signal(n: int) -> None:
    _, _, ridge, weights = all_of(halves(n, NOISE))
    shells = Shells(BOX)
    noise = NOISE**2 * BOX**2 * BOX**3 / (2 * BOX) ** 3
    expected = noise / shells.mean(torch.fft.rfftn(particle()).abs().square())
    unit = shells.mean(weights)
    told = slice(1, 6)  # where the signal is above the bounds of lambda and known from half maps
    assert float((expected / unit)[5]) < 0.5 * regularised.MOST_NOISE
    ratio = ridge[told] / torch.maximum(expected, regularised.LEAST_NOISE * unit)[told]
    assert float(ratio.max()) < 4
    assert float(ratio.min()) > 0.25


def test_noise_beside_the_particle_is_taken_unless_it_does_not_fit() -> None:
    sums = halves(100, NOISE)
    equations, targets = [one.equations() for one in sums], [one.target() for one in sums]
    shape = 1 + torch.linspace(1, 0, BOX // 2 + 1).double()
    noise = NOISE**2 * BOX**2 * BOX**3 / (2 * BOX) ** 3 * shape
    alone = noise_to_signal(targets, equations)
    seen = noise_to_signal(targets, equations, noise)
    assert not torch.allclose(alone, seen, rtol=0.05)
    for wrong in (1e-6, 0.0, 1e6):  # masked surroundings, or a gradient across the image
        torch.testing.assert_close(noise_to_signal(targets, equations, wrong * noise), alone)


def test_few_particles_have_the_grey_scale_of_many() -> None:
    truth = particle()
    for n in (10, 200):
        found = finished(halves(n, NOISE))
        good = fsc(found, truth) > 0.5
        assert int(good[1:].sum()) >= 4
        torch.testing.assert_close(slopes(found, truth)[good], torch.ones(int(good.sum())).double(), rtol=0, atol=0.25)
        assert float(slopes(found, truth)[good].mean()) == pytest.approx(1, abs=0.08)


def test_what_no_view_saw_stays_near_zero() -> None:
    """Views within 35 degrees of z leave a cone about z unmeasured: divided by a floor it would outweigh all else."""
    found = torch.fft.rfftn(finished(halves(150, NOISE, most_deg=35))).abs()
    truth = torch.fft.rfftn(particle()).abs()
    axis = torch.fft.fftfreq(BOX, 1 / BOX)
    z, y, x = torch.meshgrid(axis, axis, axis[: BOX // 2 + 1].abs(), indexing="ij")
    radius = (z**2 + y**2 + x**2).sqrt()
    unseen = (z.abs() > radius * np.cos(np.radians(45))) & (radius > 3) & (radius < BOX // 2)
    seen = (z.abs() < radius * np.sin(np.radians(25))) & (radius > 3) & (radius < BOX // 2)
    assert float(found[unseen].norm()) < 1.1 * float(truth[unseen].norm())
    assert 0.8 < float(found[seen].norm() / truth[seen].norm()) < 1.25  # and is not raised for what was not seen


def test_shells_that_nothing_measured_stay_empty() -> None:
    radius = torch.hypot(torch.fft.rfftfreq(BOX, 1 / BOX), torch.fft.fftfreq(BOX, 1 / BOX)[:, None])
    low, slices, sums = (radius <= 6).double().expand(60, -1, -1), VolumeSlices(particle()), []
    for half in (1, 2):
        kept, rotations = Backprojector(BOX), turns(60 + half)[:60]
        kept.insert(slices.read(rotations) * low, low, rotations)
        sums.append(kept)
    power = volume_shell_sums(torch.fft.rfftn(finished(sums)).abs().square())
    assert float(power[9:].max()) < 1e-9 * float(power.max())
    equations, target, _, _ = all_of(sums)
    raw = volume_shell_sums(torch.fft.rfftn(divided(equations, target)).abs().square())
    assert float(raw[9:].max()) < 1e-9 * float(raw.max())


def test_particles_without_any_weight_give_an_empty_map() -> None:
    empty = [Backprojector(BOX), Backprojector(BOX)]
    assert float(finished(empty).abs().max()) == 0
    equations, target, _, _ = all_of(empty)
    assert float(divided(equations, target).abs().max()) == 0


def test_division_alone_gives_the_volume_of_many_views() -> None:
    equations, target, _, _ = all_of(halves(300, 0.0))
    assert float(fsc(divided(equations, target), particle())[1:7].min()) > 0.95
