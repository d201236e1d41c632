"""Maps of equal size without a prior: how much each control keeps, and how well its quantiser rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cryoprior.io import ParticleStack, read_particles, write_stack, write_star
from cryoprior.maps.controls import ControlParticles, equal_size_controls
from cryoprior.maps.sources import FullParticles
from cryoprior.operators import Bin, Crop, Quantize, rounded
from cryoprior.operators.equal_size import quantizer

N, BOX = 20, 16


@pytest.fixture
def stack(tmp_path: Path) -> ParticleStack:
    images = np.random.default_rng(0).normal(2.0, 3.0, (N, BOX, BOX))
    write_stack(tmp_path / "p.mrcs", images.astype(np.float32), 4.0)
    names = [f"{i + 1:06d}@p.mrcs" for i in range(N)]
    table = pd.DataFrame({"rlnImageName": names, "rlnOpticsGroup": 1})
    table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = 0.0
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnImagePixelSize": [4.0], "rlnImageSize": [BOX]})
    write_star(tmp_path / "p.star", table, optics)
    return read_particles(tmp_path / "p.star")


def test_every_control_keeps_a_share_of_one_over_the_compression(stack: ParticleStack) -> None:
    controls = dict(equal_size_controls(stack, 4.0))
    assert list(controls) == ["fewer particles", "crop", "bin", "quantize"]
    assert controls["fewer particles"].n == 5
    crop, pooled, levels = (controls[name].operator for name in ("crop", "bin", "quantize"))
    assert isinstance(crop, Crop)
    assert crop.size == 8
    assert isinstance(pooled, Bin)
    assert pooled.factor == 2
    assert isinstance(levels, Quantize)
    assert levels.bits == 8
    assert controls["crop"].n == controls["bin"].n == N
    assert pooled.stored * 4 == BOX**2
    assert 7**2 <= crop.stored <= BOX**2 / 4  # the lone Nyquist row and column are not kept


@pytest.mark.parametrize(
    ("compression", "names"),
    [
        (2.5, {"fewer particles", "crop", "quantize"}),
        (16.3, {"fewer particles", "crop", "bin"}),
        (16.0, {"fewer particles", "crop", "bin", "quantize"}),
        (40.0, {"fewer particles", "crop"}),
        (32.0, {"fewer particles", "crop", "quantize"}),
    ],
)
def test_what_cannot_be_matched_is_left_out(stack: ParticleStack, compression: float, names: set[str]) -> None:
    controls = dict(equal_size_controls(stack, compression))
    names = names | ({"quantize"} if int(32 / compression + 1e-6) >= 1 else set())
    assert set(controls) == names


def test_at_least_two_particles_and_one_pixel_are_kept(stack: ParticleStack) -> None:
    controls = dict(equal_size_controls(stack, 1000.0))
    assert controls["fewer particles"].n == 2
    assert controls["crop"].operator.size == 1


def test_a_control_sees_its_own_part_of_the_images(stack: ParticleStack) -> None:
    controls, rows = dict(equal_size_controls(stack, 4.0)), np.arange(3)
    images = torch.from_numpy(stack.read(rows))
    whole, none = FullParticles(stack).views(rows)
    torch.testing.assert_close(whole, images)
    assert none is None
    pooled = controls["bin"]
    assert isinstance(pooled, ControlParticles)
    seen, share = pooled.views(rows)
    blocks = images.reshape(3, 8, 2, 8, 2).mean((2, 4))
    torch.testing.assert_close(seen, blocks.repeat_interleave(2, 1).repeat_interleave(2, 2), rtol=0, atol=1e-4)
    assert share is not None
    assert float(share.max()) <= 1 + 1e-5
    rounded, kept = controls["quantize"].views(rows)
    assert float((rounded - images).square().mean().sqrt()) < 0.01 * 3
    assert kept is not None
    assert float(kept.min()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6])
def test_levels_round_normal_noise_with_the_least_error(bits: int) -> None:
    images = torch.from_numpy(np.random.default_rng(1).normal(5.0, 2.0, (8, 64, 64)).astype(np.float32))
    best = quantizer(images, bits)
    assert (best.bits, best.box) == (bits, 64)
    assert best.mean == pytest.approx(5, rel=0.02)
    assert best.deviation == pytest.approx((2,), rel=0.02)

    def error(operator: Quantize) -> float:
        found = operator.pinv(rounded(operator, operator.forward(images)))
        return 1 - float(torch.corrcoef(torch.stack([found.flatten(), images.flatten()]).double())[0, 1]) ** 2

    for factor in (0.85, 1.15) if bits > 1 else ():
        assert best.deviation is not None
        assert error(best) < error(replace(best, deviation=(factor * best.deviation[0],)))
    # one bit of a normal variable explains 2 / pi of its variance
    assert bits > 1 or error(best) == pytest.approx(1 - 2 / np.pi, rel=0.02)


def test_a_control_has_at_most_eight_bits(stack: ParticleStack) -> None:
    assert dict(equal_size_controls(stack, 2.5))["quantize"].operator.bits == 8
