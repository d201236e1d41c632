"""Maps of RELION's sums: a known map comes back, and a Wiener filter is what it is by shell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.image.gridding import gridded_map
from cryoprior.image.soft_mask import sphere_mask
from cryoprior.metrics.fsc import fsc
from kit.half_maps import particle, shell_power
from kit.relion_sums import padded_transform, radius, uneven_weights

BOX = 32


def sums(volume: torch.Tensor, padding: int, current: int, weight: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    inside = radius(padding * len(volume)) < padding * (current // 2)
    numerator = weight * padded_transform(volume.numpy(), padding) * inside
    return torch.from_numpy(numerator), torch.from_numpy(weight * inside)


@pytest.mark.parametrize(("box", "padding", "current"), [(32, 2, 32), (32, 2, 20), (31, 2, 30)])
def test_a_map_comes_back_from_its_sums(box: int, padding: int, current: int) -> None:
    truth = particle(box=box) * sphere_mask(box, 0.35 * box, 3.0)
    found = gridded_map(*sums(truth, padding, current, uneven_weights(padding * box)), box, current, padding)
    curve = fsc(found, truth)[1 : current // 2]
    assert float(curve[:-4].min()) > 0.999
    assert float(curve.min()) > 0.98, "the kernel reaches over the rim of the sums"
    low = torch.fft.rfftn(truth) * torch.from_numpy(radius(box) < current // 2)
    kept = torch.fft.irfftn(low, s=truth.shape)
    assert float((found * kept).sum() / kept.square().sum()) == pytest.approx(1, abs=0.01)
    beyond = shell_power(found)[current // 2 + 1 :]
    assert float(beyond.max() if len(beyond) else 0) < 1e-3 * float(shell_power(found).max())


def test_the_power_of_the_signal_makes_a_wiener_filter() -> None:
    truth, weight = particle() * sphere_mask(BOX, 0.35 * BOX, 3.0), np.full((2 * BOX, 2 * BOX, BOX + 1), 4.0)
    added = torch.linspace(0.1, 12, BOX // 2 + 1, dtype=torch.float64)
    given = (*sums(truth, 2, BOX, weight), BOX, BOX, 2)
    with_it, without = gridded_map(*given, added), gridded_map(*given)
    a, b = (torch.fft.rfftn(volume) for volume in (with_it, without))
    shell = torch.from_numpy(radius(BOX)).round().long()
    for place in (5, 8, 11):  # lower ones change too much from one end of the shell to the other
        within = shell == place
        gain = float((a * b.conj()).real[within].sum() / b.abs().square()[within].sum())
        assert gain == pytest.approx(4 / (4 + float(added[place])), rel=0.01), place


def test_a_shell_without_signal_is_empty() -> None:
    added = torch.zeros(BOX // 2 + 1, dtype=torch.float64)
    added[9:] = torch.inf
    given = (*sums(particle(), 2, BOX, uneven_weights(2 * BOX)), BOX, BOX, 2)
    cut, whole = shell_power(gridded_map(*given, added)), shell_power(gridded_map(*given))
    assert float((cut[10:] / whole[9]).max()) < 0.05 < float(whole[10] / whole[9])
    assert float((cut / whole)[2:8].min()) > 0.9
