"""Point groups: group laws, orders, axes, and RELION's own lists of operators."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.image.symmetry import point_group

ORDERS = {"C1": 1, "C2": 2, "C7": 7, "c99": 99, "D1": 2, "D2": 4, "D3": 6, "d7": 14, "T": 12, "O": 24}
ORDERS |= dict.fromkeys(("I", "I1", "I2", "I3", "I4"), 60)


def distance_to_group(matrices: torch.Tensor, group: torch.Tensor) -> float:
    """Return how far the worst of the matrices is from the nearest of the group, the largest difference of an entry."""
    return float((matrices[:, None] - group[None]).abs().amax((2, 3)).amin(1).max())


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_a_point_group_is_a_group_of_rotations_of_its_order(name: str, order: int) -> None:
    group = point_group(name)
    assert group.shape == (order, 3, 3)
    assert group.dtype == torch.float64
    torch.testing.assert_close(group[0], torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(torch.linalg.det(group), torch.ones(order, dtype=torch.float64))
    torch.testing.assert_close(group @ group.mT, torch.eye(3, dtype=torch.float64).expand(order, 3, 3))
    products = (group[:, None] @ group[None]).flatten(0, 1)
    assert distance_to_group(products, group) < 1e-9
    distances = torch.cdist(group.flatten(1), group.flatten(1)) + 10 * torch.eye(order)
    assert order == 1 or float(distances.min()) > 1e-2


def test_the_axes_are_where_the_documentation_says() -> None:
    def has(name: str, axis: tuple[float, float, float], degrees: float) -> bool:
        from scipy.spatial.transform import Rotation

        vector = np.radians(degrees) * np.asarray(axis) / np.linalg.norm(axis)
        wanted = torch.from_numpy(Rotation.from_rotvec(vector).as_matrix())[None]
        return distance_to_group(wanted, point_group(name)) < 1e-9

    assert has("C3", (0, 0, 1), 120)
    assert has("D4", (1, 0, 0), 180)
    assert has("T", (0, 0, 1), 120)
    assert has("T", (0, 2**0.5, 1), 180)
    assert has("O", (1, 0, 0), 90)
    assert all(has("I2", axis, 180) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    assert has("I3", (0, 0, 1), 72)
    assert has("I4", (0, 0, 1), 72)
    torch.testing.assert_close(point_group("I"), point_group("I2"))
    assert distance_to_group(point_group("I1"), point_group("I2")) > 0.1
    assert distance_to_group(point_group("I3"), point_group("I4")) > 0.1


@pytest.mark.parametrize("name", ["C0", "D", "TH", "I5", "C100", "", "C1x", "C-2"])
def test_an_unknown_group_is_refused_with_the_list(name: str) -> None:
    with pytest.raises(InputError, match=r"expected a point group, one of C1, C2, \.\.\. Cn, .* I4"):
        point_group(name)


@pytest.mark.external
@pytest.mark.parametrize("name", [name for name in ORDERS if name != "c99"])
def test_relion_lists_the_same_operators(name: str, tmp_path: Path) -> None:
    if not shutil.which("relion_refine"):
        pytest.skip("no relion_refine on PATH")
    command = ["relion_refine", "--sym", name, "--print_symmetry_ops"]
    text = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    blocks = re.split(r"R\(\d+\)=", text)[1:]
    rows = [[[float(v) for v in line.split()] for line in block.strip().splitlines()[:3]] for block in blocks]
    theirs, ours = torch.tensor(rows, dtype=torch.float64), point_group(name)
    assert len(theirs) == len(ours)
    assert distance_to_group(theirs, ours) < 1e-4  # it prints five digits
    assert distance_to_group(ours, theirs) < 1e-4
