"""compare-maps: what it reports of maps of known relation, what it writes, and what it refuses."""

from __future__ import annotations

import functools
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.transform import Rotation

from cryoprior.errors import InputError
from cryoprior.image import alignment
from cryoprior.image.alignment import transform_volume
from cryoprior.image.soft_mask import sphere_mask
from cryoprior.io import read_map, write_map
from cryoprior.maps import signs
from cryoprior.maps.compare_command import Options, run
from kit.folders import shown

D, VOXEL = 32, 3.0
BLOBS = np.array([[0.0, 0, 0], [6, 1, 0], [-2, 5, 1], [1, -3, 6], [-4, 2, -4], [3, 4, -4], [-2, -5, 2]])


def body() -> np.ndarray:
    z, y, x = np.indices((D, D, D)) - D // 2
    return sum(
        (1 + 0.2 * i) * np.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2 + (z - p[2]) ** 2) / (2 * 1.3**2))
        for i, p in enumerate(BLOBS)
    )


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(D, D, D))


def written(folder: Path, name: str, volume: np.ndarray, voxel_size: float = VOXEL) -> Path:
    write_map(folder / name, volume, voxel_size)
    return folder / name


def test_a_map_with_itself(tmp_path: Path) -> None:
    a = written(tmp_path, "a.mrc", body() + 0.1 * noise(0))
    summary = run(Options(a=a, b=a))
    assert summary["fsc_0143_angstrom"] == summary["fsc_05_angstrom"] == pytest.approx(2 * VOXEL)
    assert summary["nyquist_limited"]
    assert summary["correlation"] == pytest.approx(1)
    assert summary["correlation_about_mean"] == pytest.approx(1)
    assert (summary["contrast"], summary["hand"], summary["box"]) == ("same", "same", D)
    assert summary["voxel_size_angstrom"] == pytest.approx(VOXEL)
    assert summary["voxels"] == pytest.approx(0.01 * D**3, abs=2)
    assert "alignment" not in summary
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mrc"]
    json.dumps(summary)


def test_half_maps_with_a_mask(tmp_path: Path) -> None:
    a, b = (written(tmp_path, f"{i}.mrc", body() + 0.15 * noise(i)) for i in (1, 2))
    mask = written(tmp_path, "mask.mrc", sphere_mask(D, 9.0, 4.0).numpy())
    plain, masked = run(Options(a=a, b=b)), run(Options(a=a, b=b, mask=mask, level=0.5))
    assert not plain["nyquist_limited"]
    assert plain["fsc_0143_angstrom"] < plain["fsc_05_angstrom"]
    assert masked["fsc_0143_unmasked_angstrom"] == plain["fsc_0143_angstrom"]
    assert masked["fsc_05_angstrom"] < masked["fsc_05_unmasked_angstrom"]
    assert masked["level"] == 0.5
    assert masked["voxels"] == int((read_map(a)[0] >= 0.5).sum())


def test_inverted_contrast_is_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    a, b = written(tmp_path, "a.mrc", body() + 0.3 * noise(1)), written(tmp_path, "b.mrc", 0.3 * noise(2) - body())
    with caplog.at_level(logging.WARNING, "cryoprior"):
        summary = run(Options(a=a, b=b))
    assert (summary["contrast"], summary["hand"]) == ("inverted", "same")
    assert summary["correlation"] < 0
    assert "b.mrc: its contrast is inverted" in caplog.text


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1, 2)])
def test_the_other_hand_is_seen(tmp_path: Path, axes: tuple[int, ...], caplog: pytest.LogCaptureFixture) -> None:
    a = written(tmp_path, "a.mrc", body() + 0.2 * noise(1))
    b = written(tmp_path, "b.mrc", np.flip(body() + 0.2 * noise(2), axes))
    with caplog.at_level(logging.WARNING, "cryoprior"):
        summary = run(Options(a=a, b=b))
    assert (summary["contrast"], summary["hand"]) == ("same", "flipped")
    assert "b.mrc: it has the other hand" in caplog.text


def test_unrelated_maps_are_neither(tmp_path: Path) -> None:
    a, b = written(tmp_path, "a.mrc", noise(1)), written(tmp_path, "b.mrc", noise(2))
    summary = run(Options(a=a, b=b))
    assert (summary["contrast"], summary["hand"]) == ("same", "same")


@pytest.fixture
def _short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search 500 rotations and refine the best: enough for maps this clear. The whole search has tests of its own."""
    monkeypatch.setattr(alignment, "STARTS", 1)
    monkeypatch.setattr(signs, "align", functools.partial(alignment.align, rotations=500))


@pytest.mark.usefixtures("_short_search")
@pytest.mark.parametrize(("sign", "flip"), [(1, False), (-1, False), (1, True)])
def test_alignment_with_either_sign_and_hand(tmp_path: Path, sign: int, flip: bool) -> None:
    rotation, shift = Rotation.from_rotvec([0.9, -0.5, 0.7]).as_matrix(), np.array([1.5, -2.0, 1.0])
    moved = transform_volume(torch.from_numpy(body()), rotation, shift).numpy()
    a = written(tmp_path, "a.mrc", body() + 0.02 * noise(1))
    b = written(tmp_path, "b.mrc", sign * (np.flip(moved, 2) if flip else moved) + 0.02 * noise(2))
    summary = run(Options(a=a, b=b, align=True, output=tmp_path / "out"))
    assert summary["contrast"] == ("inverted" if sign < 0 else "same")
    assert summary["hand"] == ("flipped" if flip else "same")
    if not flip:
        turned_back = np.asarray(summary["alignment"]["rotation"]) @ rotation
        assert np.degrees(Rotation.from_matrix(turned_back).magnitude()) < 1
        assert summary["alignment"]["angle_deg"] == pytest.approx(np.degrees(np.linalg.norm([0.9, -0.5, 0.7])), abs=1)
        assert sign * summary["correlation"] > 0.97
        aligned, voxel_size = read_map(tmp_path / "out" / "aligned.mrc")
        assert voxel_size == pytest.approx(VOXEL)
        assert sign * np.corrcoef(aligned.ravel(), body().ravel())[0, 1] > 0.95


def test_what_is_written(tmp_path: Path) -> None:
    a, b = (written(tmp_path, f"{i}.mrc", body() + 0.2 * noise(i)) for i in (1, 2))
    mask = written(tmp_path, "mask.mrc", sphere_mask(D, 9.0, 4.0).numpy())
    summary = run(Options(a=a, b=b, mask=mask, output=tmp_path / "out"))
    folder = tmp_path / "out"
    names = ["fsc.csv", "fsc.png", "provenance.json", "summary.json"]
    assert sorted(shown(folder)) == names
    table = pd.read_csv(folder / "fsc.csv")
    assert list(table) == ["shell", "resolution_angstrom", "fsc", "fsc_unmasked"]
    assert len(table) == D // 2 + 1
    assert table["resolution_angstrom"].iloc[-1] == pytest.approx(2 * VOXEL)
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert json.loads((folder / "provenance.json").read_text())["command"] == "compare-maps"
    assert (folder / "fsc.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="in use"):
        run(Options(a=a, b=b, output=folder))


def test_maps_that_cannot_be_compared(tmp_path: Path) -> None:
    good = body()
    a = written(tmp_path, "a.mrc", good)
    with pytest.raises(InputError, match="no voxel size"):
        run(Options(a=written(tmp_path, "none.mrc", good, 0.0), b=a))
    refused = {
        "expected a cube": written(tmp_path, "slab.mrc", good[:20]),
        r"30 x 30 x 30 voxels; expected 32 .*first map": written(tmp_path, "small.mrc", good[:30, :30, :30]),
        r"3.1000 A a voxel; expected 3.0000, .*first map": written(tmp_path, "size.mrc", good, 3.1),
    }
    for message, path in refused.items():
        with pytest.raises(InputError, match=message):
            run(Options(a=a, b=path))
    with pytest.raises(InputError, match=r"values from .* expected a mask"):
        run(Options(a=a, b=a, mask=a))
    with pytest.raises(InputError, match="lower level"):
        run(Options(a=a, b=a, level=1e6))
    assert run(Options(a=a, b=written(tmp_path, "near.mrc", good, 3.02)))["nyquist_limited"]
