"""DDPMs of diffusers: a folder that it wrote, or a name on the Hugging Face hub, becomes a prior of this package."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.image.spectrum import pixel_variance, power_spectrum, radial_average, shell_index
from cryoprior.output.stored_json import read_json
from cryoprior.prior.adapters import DdpmDenoiser
from cryoprior.prior.config import CONFIG, MOST_CHANNELS, MOST_LAYERS, MOST_LEVELS
from cryoprior.prior.sampling import prior_samples
from cryoprior.prior.signal import Spectra
from cryoprior.prior.stored_weights import check_finite
from cryoprior.random import ParticleNoise

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
WANTED = ("*.json", "*.safetensors", "unet/*.json", "unet/*.safetensors", "scheduler/*.json")
REMEDY = "copy the model again"
SAMPLES, STEPS = 8, 12
"""Images drawn from a DDPM, and the steps of each draw, to learn its grey scale and its spectrum."""
LINEAR = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": 1000}
"""The schedule of Ho et al. 2020, which the denoiser of DDPMs stands on."""

log = logging.getLogger("cryoprior")


def is_foreign(folder: Path) -> bool:
    """Return whether a folder holds a model that diffusers wrote."""
    if (folder / "model_index.json").is_file():
        return True
    config = folder / "config.json"
    with suppress(InputError):  # a damaged file is refused by who reads it
        return config.is_file() and "_class_name" in _read_json(config)
    return False


def fetched(name: str) -> Path:
    """Return the folder in the cache of a model on the Hugging Face hub, downloaded where it is not there yet.

    Raises
    ------
    InputError: no such model, or no network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
    from requests.exceptions import RequestException

    try:
        return Path(snapshot_download(name, allow_patterns=list(WANTED)))
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RequestException,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{name}: no such folder, and not to be had from the Hugging Face hub ({reason}); pass the folder of a "
            "prior, or go online and check the name"
        ) from None


def load_ddpm(
    folder: Path, device: str | torch.device, spectrum: Tensor | np.ndarray | None = None
) -> tuple[Any, Spectra, float, float, int]:
    """Return network, spectra, scale, offset and box of a DDPM that diffusers wrote.

    Parameters
    ----------
    folder: of a pipeline (with ``model_index.json``) or of a UNet2DModel alone.
    spectrum: images in the network's grey scale, (n, box, box), that look like those it was trained on; where None,
        eight images are drawn from it, which takes 23 evaluations of the network each.

    Raises
    ------
    InputError: another kind of network, of another number of channels, or of another schedule.
    """
    network = _read_network(folder).to(device).eval().requires_grad_(False)
    _check_schedule(folder)
    box = _box(network, folder)
    images = _drawn(network, box, folder) if spectrum is None else torch.as_tensor(np.asarray(spectrum))
    if images.ndim != 3 or images.shape[1:] != (box, box):
        raise InputError(f"<spectrum>: shape {tuple(images.shape)}; {folder} knows images (n, {box}, {box})")
    offset = float(images.double().mean())
    power = radial_average(power_spectrum(images.double() - offset))
    scale = float(pixel_variance(power[shell_index(box)])) ** 0.5
    if not 0 < scale < float("inf"):
        raise InputError(
            f"{folder}: its images do not vary, or are not finite; pass <spectrum>, images that look like them"
        )
    curve = tuple((power / scale**2).tolist())
    return network, Spectra(curve, (0.0,) * len(curve)), scale, offset, box


def _read_network(folder: Path) -> Any:
    from diffusers import UNet2DModel

    place = folder / "unet" if (folder / "unet").is_dir() else folder
    config = place / "config.json"
    values = _read_json(config) if config.is_file() else {}
    kind = values.get("_class_name")
    if kind != "UNet2DModel":
        raise InputError(f"{place}: a network of the kind {kind}; expected the UNet2DModel of an unconditional DDPM")
    _check_size(place, values)
    try:
        network = UNet2DModel.from_pretrained(place, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{place}: cannot be read ({reason}); expected weights in safetensors; save it again"
        ) from None
    channels = (network.config.in_channels, network.config.out_channels)
    if channels != (1, 1):
        raise InputError(f"{place}: {channels[0]} channels in and {channels[1]} out; expected 1 and 1: grey images")
    check_finite(place, network.state_dict(), REMEDY)
    return network


def _check_schedule(folder: Path) -> None:
    path = next(
        (p for p in (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json") if p.is_file()),
        None,
    )
    if path is None:
        return
    schedule = {**LINEAR, "prediction_type": "epsilon"}
    given = _read_json(path)
    other = [f"{key}={given[key]}" for key, value in schedule.items() if given.get(key, value) != value]
    if other or given.get("trained_betas"):
        raise InputError(
            f"{path}: {', '.join(other) or 'trained_betas'}; expected the prediction of noise under 1000 linear betas "
            "from 0.0001 to 0.02; wrap another DDPM with cryoprior.as_prior"
        )


def _box(network: Any, folder: Path) -> int:
    size = network.config.sample_size
    sides = {int(side) for side in (size if isinstance(size, list | tuple) else (size or 0,))}
    if len(sides) != 1 or 0 in sides:
        raise InputError(f"{folder}: sample_size {size}; expected the pixels a side of square images")
    return sides.pop()


def _drawn(network: Any, box: int, folder: Path) -> Float[Tensor, "n box box"]:
    log.warning(
        "%s: its grey scale and spectrum are not known; %d images are drawn to learn them; "
        "load_prior(..., spectrum=images) spares that, with images that look like its training set", folder, SAMPLES,
    )  # fmt: skip
    shells = int(shell_index(box).max()) + 1
    flat = DdpmDenoiser(network, {box: Spectra((1.0,) * shells, (0.0,) * shells)})
    device = next(network.parameters()).device
    white = ParticleNoise(0, "ddpm/spectrum", range(SAMPLES)).normal_like(torch.empty(SAMPLES, box, box, device=device))
    with torch.no_grad():
        return prior_samples(flat, white, STEPS).cpu()


def _check_size(place: Path, config: dict[str, Any]) -> None:
    """Raise InputError where the configuration describes a larger network than the files hold, before it is built."""
    from diffusers import UNet2DModel

    channels, layers = config.get("block_out_channels", []), config.get("layers_per_block", 1)
    numbers = [*channels, layers] if isinstance(channels, list) else [None]
    if not all(type(n) is int and 1 <= n <= MOST_CHANNELS for n in numbers) or len(channels) > MOST_LEVELS:
        raise InputError(f"{place / CONFIG}: channels {str(channels)[:80]}, layers {layers}; {REMEDY}")
    if layers > MOST_LAYERS:
        raise InputError(f"{place / CONFIG}: {layers} layers; expected at most {MOST_LAYERS}; {REMEDY}")
    try:
        with torch.device("meta"):
            wanted = sum(p.numel() for p in UNet2DModel.from_config(config).parameters())
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        raise InputError(f"{place / CONFIG}: no network ({str(error).splitlines()[0]}); {REMEDY}") from None
    held = sum(path.stat().st_size for path in place.glob("*.safetensors")) // 2  # float16 at least
    if wanted > held > 0:
        raise InputError(f"{place}: weights for {held} numbers; {CONFIG} describes {wanted}; {REMEDY}")


def _read_json(path: Path) -> dict[str, Any]:
    return read_json(path, "a configuration of diffusers", "copy the model again")
