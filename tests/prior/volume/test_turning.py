"""The turns of a cube, and means over them."""

from __future__ import annotations

import numpy as np
import torch

from cryoprior.prior.volume.turning import mean_over_turns, turned_cube, turned_cube_back

Tensor = torch.Tensor


def test_a_cube_has_24_turns_and_none_of_them_is_a_mirror_image() -> None:
    corner = torch.zeros(3, 3, 3)
    corner[0, 0, 0], corner[1, 0, 0], corner[0, 1, 0], corner[0, 0, 1] = 1, 2, 3, 4  # has a hand
    turns = [turned_cube(corner, turn) for turn in range(24)]
    assert len({turn.numpy().tobytes() for turn in turns}) == 24
    assert not any(torch.equal(turn, corner.flip(0)) for turn in turns)
    assert all(torch.equal(turned_cube_back(turn, i), corner) for i, turn in enumerate(turns))


def test_each_answer_is_turned_and_moved_back() -> None:
    volume = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 8, 8)))
    shown: list[Tensor] = []

    def same(turned: Tensor) -> Tensor:
        shown.append(turned)
        return turned

    torch.testing.assert_close(mean_over_turns(same, volume, 24), volume)
    assert torch.equal(shown[0], volume)
    assert len({turned.numpy().tobytes() for turned in shown}) == 24


def test_the_directions_of_a_network_average_out() -> None:
    def lopsided(volume: Tensor) -> Tensor:
        return volume + volume.roll(1, 0)

    volume = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 8, 8)))
    even = volume + sum(volume.roll(step, axis) for step in (1, -1) for axis in range(3)) / 6
    torch.testing.assert_close(mean_over_turns(lopsided, volume, 24), even)
    assert float((mean_over_turns(lopsided, volume, 1) - even).abs().max()) > 0.1
