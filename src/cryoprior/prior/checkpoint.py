"""Priors on disk: a folder with ``model.safetensors`` and ``config.json``; nothing in it can execute."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from cryoprior.errors import InputError
from cryoprior.prior.adapters import DdpmDenoiser, ddpm_unet
from cryoprior.prior.config import CONFIG, REMEDY, PriorConfig, read_config_and_digests, write_config
from cryoprior.prior.denoiser import Centred, Denoiser, OperatorAware, SignalPrior, TrainedInScale
from cryoprior.prior.evidence import Evidence
from cryoprior.prior.foreign import HUB_NAME, fetched, is_foreign, load_ddpm
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.signal import SignalDenoiser
from cryoprior.prior.stored_weights import read_weights, whole_digest
from cryoprior.prior.tensor_file import write_tensors
from cryoprior.prior.training_particles import PARTICLES, TrainingParticles

WEIGHTS = "model.safetensors"
EMBEDDED = {"default": "default", "operator-aware": "operator_aware"}
"""Priors that come with the package, and their folders: one for any solver, one that ``posterior`` asks."""


@dataclass(frozen=True, repr=False)
class Prior:
    """A prior that was loaded: its denoiser and its description; callable as the denoiser.

    path: the folder that it came from; for a function its name.
    particles: the digests of the particles that trained it; None where they were not recorded.
    """

    denoiser: Denoiser
    config: PriorConfig
    path: Path
    particles: TrainingParticles | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        return f"Prior({self.path.name!r}, {self.config!r})"

    @property
    def boxes(self) -> tuple[int, ...]:
        """Return the boxes it was trained for."""
        return tuple(sorted(self.config.spectra))

    def __call__(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[x0 | x0 + tau e = x]."""
        return self.denoiser(x, tau)

    def spectrum(self, box: int) -> Float[Tensor, "box half"]:
        """Return the power spectrum of its images."""
        return self.denoiser.spectrum(box)

    @property
    def training_scale(self) -> tuple[float, float] | None:
        """Return scale and offset of the grey scale that its network was trained in, None where it has none."""
        return self.denoiser.training_scale if isinstance(self.denoiser, TrainedInScale) else None

    @property
    def operator_aware(self) -> bool:
        """Return whether it can be asked about measurements."""
        return isinstance(self.denoiser, OperatorAware) and self.denoiser.operator_aware

    @property
    def means_only(self) -> bool:
        """Return whether it was trained on measurements alone."""
        return isinstance(self.denoiser, OperatorAware) and self.denoiser.means_only

    def components(self, box: int, like: Tensor) -> tuple[Float[Tensor, "box half"], Float[Tensor, "box half"]]:
        """Return the power of signal and noise on the rfft2 grid."""
        assert isinstance(self.denoiser, OperatorAware)
        return self.denoiser.components(box, like)

    def estimate(self, evidence: Evidence) -> Float[Tensor, "b box box"]:
        """Return E[s | evidence]."""
        assert isinstance(self.denoiser, OperatorAware)
        return self.denoiser.estimate(evidence)

    def signal(self, x: Float[Tensor, "b box box"], tau: Float[Tensor, "b"]) -> Float[Tensor, "b box box"]:
        """Return E[s | x0 + tau e = x]."""
        assert isinstance(self.denoiser, SignalPrior)
        return self.denoiser.signal(x, tau)

    def mean_image(self, box: int, like: Tensor) -> Float[Tensor, "box box"]:
        """Return E[x0], a radial image; 0 for a prior that knows none."""
        return self.denoiser.mean_image(box, like) if isinstance(self.denoiser, Centred) else like.new_zeros(box, box)


def build_network(config: PriorConfig) -> nn.Module:
    """Return the untrained network that the configuration describes."""
    if config.objective == "ddpm":
        network: nn.Module = ddpm_unet(config.channels, config.layers, max(config.spectra))
        return network
    shape = NetworkConfig(channels=config.channels, layers=config.layers, operator_aware=config.operator_aware)
    return SignalNetwork(shape)


def save_prior(
    folder: Path,
    network: nn.Module,
    config: PriorConfig,
    *,
    half: bool = False,
    particles: TrainingParticles | None = None,
) -> None:
    """Write the weights, the digests of the particles that trained them, and the configuration, which names both.

    Each file is whole or as it was; the configuration, the last, has the digests of the others.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    write_tensors(folder / WEIGHTS, state)
    names = [WEIGHTS]
    if particles is not None:
        particles.write(folder)
        names.append(PARTICLES)
    write_config(folder, config, {name: whole_digest(folder / name) for name in names})


def prior_folder(name: str | Path) -> Path:
    """Return the folder of an embedded prior (``default``, ``operator-aware``), or the path itself."""
    if str(name) in EMBEDDED:
        return Path(str(files("cryoprior") / "assets" / EMBEDDED[str(name)]))
    return Path(name)


def load_prior(
    name: str | Path = "default",
    device: str | torch.device = "cpu",
    spectrum: Tensor | np.ndarray | None = None,
) -> Prior:
    """Return an embedded prior, the one in a folder, or a DDPM of diffusers by its folder or its name on the hub.

    Parameters
    ----------
    name: ``default`` or ``operator-aware``, a folder that ``cryoprior train`` wrote, a folder that diffusers wrote (a
        pipeline, or a UNet2DModel), or ``org/name`` of one on the Hugging Face hub.
    device: where its network computes.
    spectrum: for a DDPM of diffusers, images in its own grey scale, (n, box, box), that look like its training set;
        where they are not given, eight are drawn from it to learn grey scale and spectrum.

    Raises
    ------
    InputError: no such folder, a missing or damaged file, weights that do not fit the configuration; a network of
        diffusers that is no unconditional DDPM of grey images; the hub without network.
    """
    folder = prior_folder(name)
    if not folder.is_dir() and HUB_NAME.fullmatch(str(name)):
        folder = fetched(str(name))
    if not folder.is_dir():
        known = " or ".join(map(repr, EMBEDDED))
        raise InputError(
            f"{folder}: no such prior; expected {known}, a folder that `cryoprior train` or diffusers wrote, "
            "or org/name on the Hugging Face hub"
        )
    if is_foreign(folder):
        return _foreign_prior(folder, device, spectrum)
    config, digests = read_config_and_digests(folder)
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder}: no {WEIGHTS}; the training may not have finished; train again with <resume=True>")
    state = read_weights(folder / WEIGHTS, _shapes(folder, config), digests.get(WEIGHTS))
    particles = TrainingParticles.read(folder, digests.get(PARTICLES))
    network = build_network(config)
    network.load_state_dict(state)
    network = network.to(device).eval().requires_grad_(False)
    return Prior(make_denoiser(network, config), config, folder, particles=particles)


def _shapes(folder: Path, config: PriorConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's weights; no memory is taken for them, whatever the configuration says."""
    try:
        with torch.device("meta"):
            network = build_network(config)
    except (ValueError, RuntimeError, ZeroDivisionError) as error:  # diffusers refuses the channels
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / CONFIG}: no network of channels {config.channels} ({reason}); {REMEDY}") from None
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _foreign_prior(folder: Path, device: str | torch.device, spectrum: Tensor | np.ndarray | None) -> Prior:
    network, spectra, scale, offset, box = load_ddpm(folder, device, spectrum)
    shape = network.config
    config = PriorConfig(
        "ddpm",
        tuple(shape.block_out_channels),
        shape.layers_per_block,
        {box: spectra},
        {},
        (0.0, 0.0),
        description=f"DDPM of diffusers, {folder.name}",
        ddpm_scale=scale,
        ddpm_offset=offset,
    )
    return Prior(make_denoiser(network, config), config, folder)


def make_denoiser(network: nn.Module, config: PriorConfig) -> Denoiser:
    """Return the denoiser that a network stands for."""
    if isinstance(network, SignalNetwork):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return SignalDenoiser(network, config.spectra, means_only=config.means_only)
    return DdpmDenoiser(network, config.spectra, scale=config.ddpm_scale, offset=config.ddpm_offset)
