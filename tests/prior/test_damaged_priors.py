"""Priors on disk: damaged weights and configurations that cannot be are refused by name, before memory is taken."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from cryoprior.errors import InputError
from cryoprior.prior.checkpoint import EMBEDDED, build_network, load_prior, prior_folder, save_prior
from cryoprior.prior.config import PriorConfig, read_config_and_digests
from cryoprior.prior.signal import Spectra
from cryoprior.prior.stored_weights import whole_digest

OURS = PriorConfig("signal", (8, 32), 1, {16: Spectra((1.0,) * 12, (0.5,) * 12)}, {"d": (1.5, 2.5)}, (4.0, 5.0))
NAN = float("nan")


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_prior(tmp_path, build_network(OURS), OURS)
    return tmp_path


def change_config(folder: Path, **values: Any) -> None:
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | values))


def change_weights(folder: Path, change: Callable[[dict[str, np.ndarray]], object], *, resealed: bool = True) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    if resealed:
        change_config(folder, digests={"model.safetensors": whole_digest(folder / "model.safetensors")})


def test_one_changed_bit_of_the_weights_is_refused(prior: Path) -> None:
    path = prior / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model.safetensors: damaged: its digest is not the one in config.json"):
        load_prior(prior)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused_even_where_their_digest_is_right(prior: Path, value: float) -> None:
    def spoil(state: dict[str, np.ndarray]) -> None:
        state["unet.conv_in.weight"].flat[3] = value

    change_weights(prior, spoil)
    with pytest.raises(InputError, match=r"unet.conv_in.weight holds values that are not finite"):
        load_prior(prior)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("unet.conv_in.bias"), r"unet.conv_in.bias: none, the network has 8"),
        (lambda s: s.update(more=np.zeros(3, np.float32)), r"more: 3, the network has none"),
        (lambda s: s.update({"unet.conv_in.bias": np.zeros(4, np.float32)}), r"bias: 4, the network has 8"),
        (lambda s: s.update({"unet.conv_in.bias": np.zeros(8, np.int8)}), r"bias is I8; expected one of F32, F16"),
    ],
)
def test_weights_of_other_names_shapes_or_types_are_refused(
    prior: Path, change: Callable[[dict[str, np.ndarray]], object], text: str
) -> None:
    change_weights(prior, change)
    with pytest.raises(InputError, match=r"model.safetensors: the weights do not fit config.json \(.*" + text):
        load_prior(prior)


FLAT = {"signal": [1.0] * 12, "noise": [0.5] * 12}
CANNOT_BE: list[dict[str, Any]] = [
    *[
        {"channels": c}
        for c in ([10**6] * 4, [50000, 50000], [], [8], [-8, 8], ["a"], None, [8.5, 16], [0, 0], [9, 18])
    ],
    *[{"layers": n} for n in (0, -1, 10**6, "2", 1.5, True, None)],
    *[{"objective": name} for name in ("nonsense", None, 5)],
    *[{"spectra": {box: FLAT}} for box in ("-1", "abc", "0", "32", "1000000000")],
    *[{"spectra": {"16": FLAT | {"signal": values}}} for values in ([NAN] * 12, [-1.0] * 12, ["a"] * 12, [0.0] * 12)],
    *[{"spectra": value} for value in ({}, [1], {"16": {"signal": [1.0], "noise": [1.0]}})],
    *[{"intensity": value} for value in ({"d": [0, 0]}, {"d": [NAN, 1]}, {"d": ["a", "b"]}, [1, 2])],
    *[{"pixel_size_angstrom": value} for value in ([-1, -2], ["a", "b"], [8], [NAN, 1])],
    *[{"trained_on": value} for value in ([1], {"d": ["a"]}, None, {"d": [-1]}, {"d": 3})],
    *[{"operators": value} for value in ({"x": 1}, "pixel", {"blocks": 8}, {"compression": [NAN, 2]})],
    *[{"means_only": "no"}, {"steps": "x"}, {"ddpm_scale": 0}, {"ddpm_offset": NAN}, {"description": 5}],
    {"validation_loss": NAN},
    {"extra": 1},
]


@pytest.mark.parametrize("values", CANNOT_BE, ids=lambda values: str(values)[:60])
def test_a_configuration_that_cannot_be_is_refused(prior: Path, values: dict[str, Any]) -> None:
    change_config(prior, **values)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"config.json: (not the configuration of a prior|no network of channels)"):
        load_prior(prior)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


@pytest.mark.parametrize("text", ['{"spectra":' + "[" * 100_000, "[1]", "\xff", "1" + "0" * 100_000])
def test_a_configuration_that_is_no_json_object_is_refused(prior: Path, text: str) -> None:
    (prior / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"config.json: .*copy the (prior|model) again"):
        load_prior(prior)


def test_a_network_larger_than_its_file_takes_no_memory(prior: Path) -> None:
    """14 GB of weights by the configuration, 300 kB in the file."""
    change_config(prior, channels=[4096, 4096, 4096, 4096])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"model.safetensors: the weights do not fit config.json"):
        load_prior(prior)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


def test_an_older_prior_has_no_digests_and_is_read(prior: Path) -> None:
    raw = json.loads((prior / "config.json").read_text())
    del raw["digests"]
    (prior / "config.json").write_text(json.dumps(raw))
    loaded = load_prior(prior)
    assert (loaded.config, loaded.particles) == (OURS, None)


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_embedded_priors_carry_the_digest_of_their_weights(name: str) -> None:
    folder = prior_folder(name)
    assert read_config_and_digests(folder)[1] == {"model.safetensors": whole_digest(folder / "model.safetensors")}
