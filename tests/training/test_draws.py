"""What chance decides in a batch: the same for any number of processes that share it."""

from __future__ import annotations

import torch

from cryoprior.training.draws import BatchDraws

Tensor = torch.Tensor


def drawn(first: int, count: int, batch: int = 3) -> tuple[Tensor, ...]:
    draws = BatchDraws(1, "train", batch, first)
    images = torch.empty(count, 4, 4)
    numbers = draws.normal_like(images), draws.uniform(count, 2), draws.integers(8, count), draws.normal_like(images)
    return *numbers, torch.rand(2, generator=draws.together)


def test_an_image_draws_the_same_in_any_part_of_its_batch() -> None:
    whole, parts = drawn(0, 6), [drawn(first, 2) for first in (0, 2, 4)]
    for i in range(4):
        assert torch.equal(whole[i], torch.cat([part[i] for part in parts]))
    assert all(torch.equal(part[4], whole[4]) for part in parts)


def test_images_batches_and_calls_differ() -> None:
    normal, _, _, again, _ = drawn(0, 6)
    assert not torch.equal(normal, again)
    assert len({row.numpy().tobytes() for row in normal}) == 6
    assert not torch.equal(normal, drawn(0, 6, batch=4)[0])


def test_longer_draws_begin_as_shorter_ones() -> None:
    first, second = (BatchDraws(1, "train", 0).uniform(3, size) for size in (2, 5))
    assert torch.equal(second[:, :2], first)
