"""The eight turns and mirror images are the symmetries of the square, in the order in which they are numbered."""

from __future__ import annotations

import pytest
import torch

from cryoprior.image.turns import turned, turned_back

IMAGE = torch.arange(16.0).reshape(1, 4, 4)
TURNS = range(8)


def test_there_are_eight_of_them() -> None:
    found = {tuple(turned(IMAGE, turn).flatten().tolist()) for turn in TURNS}
    assert len(found) == 8
    assert torch.equal(turned(IMAGE, 0), IMAGE)
    assert torch.equal(turned(IMAGE, 1), torch.rot90(IMAGE, 1, (1, 2)))
    assert torch.equal(turned(IMAGE, 4), IMAGE.transpose(1, 2))


def test_one_after_another_is_one_of_them() -> None:
    known = [turned(IMAGE, turn) for turn in TURNS]
    for first in TURNS:
        for second in TURNS:
            both = turned(turned(IMAGE, first), second)
            assert sum(torch.equal(both, one) for one in known) == 1


@pytest.mark.parametrize("turn", TURNS)
def test_every_image_of_a_batch_is_turned_alike_and_back(turn: int) -> None:
    images = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    there = turned(images, turn)
    assert torch.equal(there[1:2], turned(images[1:2], turn))
    assert torch.equal(turned_back(there, turn), images)
