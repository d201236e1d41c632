"""A DDPM that diffusers wrote is loaded as a prior; what is none is refused with the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from cryoprior.prior.adapters import DdpmDenoiser
from cryoprior.prior.signal import Spectra

BOX = 16


def write_ddpm(folder: Path, *, pipeline: bool = True, channels: int = 1, **schedule: Any) -> Any:
    """Return the network of a small DDPM that diffusers saved there, as a pipeline or alone."""
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=BOX,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    if pipeline:
        DDPMPipeline(network, DDPMScheduler(**schedule)).save_pretrained(folder)
    else:
        network.save_pretrained(folder)
    return network.eval()


@pytest.mark.parametrize("pipeline", [True, False])
def test_a_folder_of_diffusers_is_a_prior_in_one_line(tmp_path: Path, pipeline: bool) -> None:
    network = write_ddpm(tmp_path, pipeline=pipeline)
    images = 0.1 + 0.3 * torch.randn(20, BOX, BOX)
    prior = cryoprior.load_prior(tmp_path, spectrum=images)
    assert prior.boxes == (BOX,)
    assert prior.config.ddpm_offset == pytest.approx(float(images.mean()))
    assert prior.config.ddpm_scale == pytest.approx(float(images.std()), rel=1e-3)
    expected = DdpmDenoiser(
        network, {BOX: Spectra((1.0,), (0.0,))}, scale=prior.config.ddpm_scale, offset=prior.config.ddpm_offset
    )
    x, tau = torch.randn(2, BOX, BOX), torch.tensor([0.3, 3.0])
    torch.testing.assert_close(prior(x, tau), expected(x, tau))
    y = cryoprior.measure(images, "identity")
    assert cryoprior.reconstruct(y, f"identity:box={BOX}", prior, "exact:steps=2").images.shape == images.shape


def test_without_images_it_draws_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_ddpm(tmp_path)
    with caplog.at_level("WARNING", "cryoprior"):
        first, second = cryoprior.load_prior(tmp_path), cryoprior.load_prior(str(tmp_path))
    assert "8 images are drawn to learn them" in caplog.text
    assert first.config == second.config
    assert bool(torch.isfinite(first.spectrum(BOX)).all())
    assert cryoprior.draw(first, 2, steps=2).shape == (2, BOX, BOX)


def test_what_is_no_grey_ddpm_is_refused(tmp_path: Path) -> None:
    write_ddpm(tmp_path / "rgb", channels=3)
    with pytest.raises(InputError, match="3 channels in and 3 out; expected 1 and 1"):
        cryoprior.load_prior(tmp_path / "rgb")
    write_ddpm(tmp_path / "cosine", beta_schedule="squaredcos_cap_v2")
    with pytest.raises(InputError, match=r"beta_schedule=squaredcos_cap_v2; expected .*; wrap another DDPM"):
        cryoprior.load_prior(tmp_path / "cosine")
    write_ddpm(tmp_path / "v", prediction_type="v_prediction")
    with pytest.raises(InputError, match="prediction_type=v_prediction"):
        cryoprior.load_prior(tmp_path / "v")
    write_ddpm(tmp_path / "other", pipeline=False)
    record = json.loads((tmp_path / "other" / "config.json").read_text())
    (tmp_path / "other" / "config.json").write_text(json.dumps({**record, "_class_name": "UNet1DModel"}))
    with pytest.raises(InputError, match="a network of the kind UNet1DModel"):
        cryoprior.load_prior(tmp_path / "other")
    write_ddpm(tmp_path / "cut", pipeline=False)
    (tmp_path / "cut" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        cryoprior.load_prior(tmp_path / "cut")
    write_ddpm(tmp_path / "box", pipeline=False)
    with pytest.raises(InputError, match=r"shape \(2, 8, 8\); .* knows images \(n, 16, 16\)"):
        cryoprior.load_prior(tmp_path / "box", spectrum=torch.randn(2, 8, 8))


def test_the_hub_without_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputError, match="nobody/nothing: no such folder, and not to be had from the Hugging Face hub"
    ) as e:
        cryoprior.load_prior("nobody/nothing")
    assert "\n" not in str(e.value)


def test_a_name_on_the_hub_is_loaded_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    write_ddpm(tmp_path / "there")
    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **kw: asked.append(name) or tmp_path / "there"
    )
    assert cryoprior.load_prior("lab/ddpm", spectrum=torch.randn(3, BOX, BOX)).boxes == (BOX,)
    assert asked == ["lab/ddpm"]
