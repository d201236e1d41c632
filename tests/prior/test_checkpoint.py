from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cryoprior.errors import InputError
from cryoprior.measurement.conditioning import Measurement
from cryoprior.operators import parse_operator
from cryoprior.prior.adapters import DdpmDenoiser
from cryoprior.prior.checkpoint import build_network, load_prior, make_denoiser, save_prior
from cryoprior.prior.config import PriorConfig, read_config
from cryoprior.prior.evidence import evidence_of_image
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.prior.posterior import posterior_mean
from cryoprior.prior.signal import SignalDenoiser, Spectra

FLAT = Spectra((1.0,) * 12, (0.5,) * 12)
OURS = PriorConfig(
    "signal", (8, 32), 1, {16: FLAT}, {"d": (1.5, 2.5)}, (4.0, 5.0), {"d": [0, 2]}, steps=7, validation_loss=0.25
)
DDPM = PriorConfig(
    "ddpm", (32, 32, 32), 1, {16: FLAT}, {}, (4.0, 4.0), ddpm_scale=0.25, ddpm_offset=0.125, description="a test"
)

FAMILY = OperatorFamily().without(["block=8", "pattern=ring"])
AWARE = dataclasses.replace(OURS, operators=dataclasses.asdict(FAMILY))


def trained(config: PriorConfig) -> torch.nn.Module:
    torch.manual_seed(1)
    network = build_network(config)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return network.eval()


def saved(folder: Path, config: PriorConfig = OURS, *, half: bool = False) -> torch.nn.Module:
    network = trained(config)
    save_prior(folder, network, config, half=half)
    return network


@pytest.mark.parametrize(("config", "kind"), [(OURS, SignalDenoiser), (DDPM, DdpmDenoiser)])
def test_what_is_loaded_gives_the_same_images(tmp_path: Path, config: PriorConfig, kind: type) -> None:
    network = saved(tmp_path, config)
    prior = load_prior(tmp_path)
    assert isinstance(prior.denoiser, kind)
    assert prior.config == config
    assert prior.boxes == (16,)
    x, tau = torch.randn(2, 16, 16), torch.tensor([0.3, 3.0])
    expected = make_denoiser(network, config)(x, tau)
    assert torch.equal(prior(x, tau), expected)
    assert torch.equal(prior.spectrum(16), torch.full((16, 9), 1.5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_half_precision_halves_the_file_and_barely_moves_the_images(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "full").mkdir()
    saved(tmp_path / "half", half=True)
    saved(tmp_path / "full")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    parameters = sum(p.numel() for p in trained(OURS).parameters())
    assert 2 * parameters < sizes[0] < 0.6 * sizes[1]
    x, tau = torch.randn(2, 16, 16), torch.ones(2)
    half, full = (load_prior(tmp_path / name)(x, tau) for name in ("half", "full"))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0, atol=1e-2)


def test_a_loaded_prior_is_frozen(tmp_path: Path) -> None:
    saved(tmp_path)
    denoiser = load_prior(tmp_path).denoiser
    assert isinstance(denoiser, SignalDenoiser)
    assert not denoiser.network.training
    assert not any(p.requires_grad for p in denoiser.network.parameters())


def refused(folder: Path, text: str) -> None:
    with pytest.raises(InputError, match=text):
        load_prior(folder)


def test_missing_pieces_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "absent: no such prior; expected 'default'.* a folder that .* or org/name")
    refused(tmp_path, "no config.json")
    saved(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    refused(tmp_path, "no model.safetensors; .*resume")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    saved(tmp_path)
    weights = tmp_path / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    refused(tmp_path, r"model\.safetensors: the weights do not fit config.json .*; copy the prior again")
    weights.write_bytes(b"")
    refused(tmp_path, r"model\.safetensors: the weights do not fit")


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    saved(tmp_path)
    state = load_file(str(tmp_path / "model.safetensors"))
    save_file({k: v for k, v in state.items() if "conv_out" not in k}, str(tmp_path / "model.safetensors"))
    refused(tmp_path, r"model\.safetensors: the weights do not fit")
    save_file(state, str(tmp_path / "model.safetensors"))
    raw = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(raw | {"channels": [16, 32]}))
    refused(tmp_path, r"model\.safetensors: the weights do not fit")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"unknown": 1}, "config.json: not the configuration of a prior .*unknown"),
        ({"spectra": {"16": {"signal": [1.0]}}}, "config.json: not the configuration of a prior .*noise"),
        ({"spectra": 3}, "config.json: not the configuration"),
        ({"format": 99}, "config.json: format 99; this version reads 1"),
    ],
)
def test_configurations_that_are_none_are_named(tmp_path: Path, change: dict[str, object], text: str) -> None:
    saved(tmp_path)
    raw = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(raw | change))
    refused(tmp_path, text)


def test_a_configuration_survives_the_disk(tmp_path: Path) -> None:
    config = dataclasses.replace(OURS, spectra={16: FLAT, 32: Spectra((1.0,) * 24, (0.5,) * 24)})
    save_prior(tmp_path, trained(OURS), config)
    assert read_config(tmp_path) == config
    (tmp_path / "config.json").write_text("{not json")
    refused(tmp_path, "config.json: not JSON .*expected the configuration of a prior")


def test_an_operator_aware_prior_survives_the_disk(tmp_path: Path) -> None:
    network = saved(tmp_path, AWARE)
    prior = load_prior(tmp_path)
    assert prior.config.operator_aware
    assert prior.config.family == FAMILY
    assert dataclasses.replace(prior.config, operators={}) == OURS
    denoiser = prior.denoiser
    assert isinstance(denoiser, SignalDenoiser)
    assert denoiser.operator_aware
    assert not denoiser.means_only
    assert denoiser.network.unet.conv_in.weight.shape[1] == 3 * 4  # three images in patches of 2 x 2 pixels
    operator = parse_operator("fourier:compression=2", box=16)
    y = operator.forward(torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0)))
    measurement = Measurement(operator, y, 0.1, range(2), "a test")
    expected = posterior_mean(make_denoiser(network, AWARE), measurement)
    assert torch.equal(posterior_mean(denoiser, measurement), expected)
    other = posterior_mean(make_denoiser(trained(OURS), OURS), measurement)
    assert not torch.allclose(expected, other, atol=1e-3)


def test_a_prior_of_images_alone_knows_no_operators(tmp_path: Path) -> None:
    network = saved(tmp_path)
    assert isinstance(network, SignalNetwork)
    assert network.unet.conv_in.weight.shape[1] == 2 * 4
    config = load_prior(tmp_path).config
    assert not config.operator_aware
    assert config.family is None
    raw = json.loads((tmp_path / "config.json").read_text())
    for field in ("operators", "means_only"):  # as written before there were such priors
        del raw[field]
    (tmp_path / "config.json").write_text(json.dumps(raw))
    assert read_config(tmp_path) == OURS


def test_a_prior_of_measurements_alone_says_so(tmp_path: Path) -> None:
    config = dataclasses.replace(AWARE, means_only=True)
    saved(tmp_path, config)
    prior = load_prior(tmp_path)
    assert prior.config.means_only
    with pytest.raises(InputError, match="trained on measurements alone"):
        prior(torch.zeros(1, 16, 16), torch.ones(1))


def test_weights_of_images_alone_do_not_fit_an_operator_aware_prior(tmp_path: Path) -> None:
    save_prior(tmp_path, trained(OURS), AWARE)
    refused(tmp_path, r"model\.safetensors: the weights do not fit")


def test_a_base_without_measurements_answers_as_before_when_it_is_widened() -> None:
    base, wide = trained(OURS), trained(AWARE)
    assert isinstance(base, SignalNetwork)
    assert isinstance(wide, SignalNetwork)
    x = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    signal, noise = FLAT.grids(16, x)
    evidence = evidence_of_image(x, signal, noise.expand(2, -1, -1))
    with torch.no_grad():
        expected = base(evidence)
        assert not torch.allclose(wide(evidence), expected, atol=1e-3)
        wide.load_base(base.state_dict())
        torch.testing.assert_close(wide(evidence), expected, rtol=1e-5, atol=1e-5)
        seen = evidence._replace(seen=x.roll(3, dims=-1))
        torch.testing.assert_close(wide(seen), expected, rtol=1e-5, atol=1e-5)  # what it is to learn begins at 0
    assert not wide.unet.conv_in.weight[:, 8:].any()
    assert base.unet.conv_in.weight.shape[1] == 8  # left as it was
    again = trained(AWARE)
    assert isinstance(again, SignalNetwork)
    again.load_base(wide.state_dict())
    for a, b in zip(again.parameters(), wide.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("channels", "aware", "other", "other_aware"),
    [((8, 32), True, (16, 32), False), ((8, 32), False, (8, 32), True), ((8, 32), True, (8, 32, 32), False)],
)
def test_a_base_of_another_shape_is_refused(
    channels: tuple[int, ...], aware: bool, other: tuple[int, ...], other_aware: bool
) -> None:
    network = SignalNetwork(NetworkConfig(channels=channels, layers=1, operator_aware=aware))
    base = SignalNetwork(NetworkConfig(channels=other, layers=1, operator_aware=other_aware))
    with pytest.raises(RuntimeError):
        network.load_base(base.state_dict())
