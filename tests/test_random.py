from __future__ import annotations

import pytest
import torch

from cryoprior.random import ParticleNoise, numpy_stream, stream_key

SHAPE = (3, 4)


def draw(particles: list[int], times: int = 2, seed: int = 0, stage: str = "test") -> torch.Tensor:
    noise = ParticleNoise(seed, stage, particles)
    x = torch.zeros(len(particles), *SHAPE)
    return torch.stack([noise.normal_like(x) for _ in range(times)], dim=1)


def test_a_particle_sees_the_same_noise_in_any_batch() -> None:
    batch = draw([5, 2, 9])
    assert torch.equal(draw([9, 5, 2]), batch[[2, 0, 1]])
    for i, particle in enumerate([5, 2, 9]):
        assert torch.equal(draw([particle])[0], batch[i])


def test_streams_differ_by_seed_stage_particle_and_draw() -> None:
    draws = [draw([0]), draw([1]), draw([0], seed=1), draw([0], stage="other")]
    values = torch.cat(draws).flatten(0, 1).flatten(1)
    assert len(torch.unique(values, dim=0)) == 2 * len(draws)


def test_a_fork_is_independent_of_what_was_drawn_before() -> None:
    fresh, used = ParticleNoise(0, "a", [3]), ParticleNoise(0, "a", [3])
    x = torch.zeros(1, *SHAPE)
    used.normal_like(x)
    assert torch.equal(fresh.fork("s").normal_like(x), used.fork("s").normal_like(x))
    assert not torch.equal(fresh.fork("s").normal_like(x), fresh.fork("t").normal_like(x))


def test_noise_has_unit_variance_and_follows_the_dtype() -> None:
    noise = ParticleNoise(0, "a", range(4)).normal_like(torch.zeros(4, 100, 100, dtype=torch.float64))
    assert noise.dtype == torch.float64
    assert abs(float(noise.mean())) < 0.02
    assert abs(float(noise.std()) - 1) < 0.02


def test_a_batch_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="noise for 2 particles was asked for a batch of 3"):
        ParticleNoise(0, "a", [0, 1]).normal_like(torch.zeros(3, 2))


def test_the_streams_never_change() -> None:
    assert stream_key(0, "measure", 7) == 8484358517603372034
    assert numpy_stream(1, "operator", 2).integers(0, 1000, 4).tolist() == [952, 896, 849, 953]
