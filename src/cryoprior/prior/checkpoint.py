"""Priors on disk: a folder with ``model.safetensors`` and ``config.json``; nothing in it can execute."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cryoprior.errors import InputError
from cryoprior.output.files import whole_file, write_whole
from cryoprior.prior.adapters import DdpmDenoiser, ddpm_unet
from cryoprior.prior.denoiser import Denoiser, OperatorAware
from cryoprior.prior.evidence import Evidence
from cryoprior.prior.foreign import HUB_NAME, fetched, is_foreign, load_ddpm
from cryoprior.prior.network import NetworkConfig, SignalNetwork
from cryoprior.prior.operator_family import OperatorFamily
from cryoprior.prior.signal import SignalDenoiser, Spectra

FORMAT = 1
EMBEDDED = {"default": "default", "operator-aware": "operator_aware"}
"""Priors that come with the package, and their folders: one for any solver, one that ``posterior`` asks."""


@dataclass(frozen=True, repr=False)
class PriorConfig:
    """What a prior is, beside its weights.

    ``spectra`` holds, for every box it was trained for, the radial power of signal and noise in the prior's grey scale
    (mean 0, standard deviation 1). ``intensity`` is the affine map of each training set, x_prior = (x - offset) /
    scale, by digest. ``trained_on`` holds digests of the particle files and the rows that were trained on.
    """

    objective: str
    channels: tuple[int, ...]
    layers: int
    spectra: dict[int, Spectra]
    intensity: dict[str, tuple[float, float]]
    pixel_size_angstrom: tuple[float, float]
    trained_on: dict[str, list[int]] = field(default_factory=dict)
    steps: int = 0
    validation_loss: float | None = None
    description: str = ""
    ddpm_scale: float = 1.0
    """Grey values of the DDPM's [-1, 1] scale in one unit of the prior's own; only for ``ddpm``."""
    ddpm_offset: float = 0.0
    operators: dict[str, Any] = field(default_factory=dict)
    """The operators that an operator-aware prior was trained on, as fields of OperatorFamily; empty for others."""
    means_only: bool = False
    """Trained on measurements alone: it gives posterior means, and has never seen a noisy full image."""
    format: int = FORMAT

    def __repr__(self) -> str:
        boxes = ", ".join(map(str, sorted(self.spectra)))
        kinds = [self.objective, *(["operator-aware"] if self.operators else []), *(["means only"] * self.means_only)]
        return f"PriorConfig({', '.join(kinds)}; boxes {boxes}; {self.steps} steps)"

    @property
    def operator_aware(self) -> bool:
        """Return whether the network takes measurements as evidence."""
        return bool(self.operators)

    @property
    def family(self) -> OperatorFamily | None:
        """Return the operators it was trained on."""
        return OperatorFamily.of(self.operators) if self.operators else None


@dataclass(frozen=True, repr=False)
class Prior:
    """A prior that was loaded: its denoiser and its description; callable as the denoiser.

    path: the folder that it came from; for a function its name.
    """

    denoiser: Denoiser
    config: PriorConfig
    path: Path

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


def build_network(config: PriorConfig) -> nn.Module:
    """Return the untrained network that the configuration describes."""
    if config.objective == "ddpm":
        network: nn.Module = ddpm_unet(config.channels, config.layers, max(config.spectra))
        return network
    shape = NetworkConfig(channels=config.channels, layers=config.layers, operator_aware=config.operator_aware)
    return SignalNetwork(shape)


def save_prior(
    folder: Path, network: nn.Module, config: PriorConfig, *, half: bool = False, stem: str = "model"
) -> None:
    """Write the weights and the configuration into the folder, each whole or as it was."""
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    with whole_file(folder / f"{stem}.safetensors") as partial:
        save_file(state, str(partial))
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in dataclasses.asdict(config).items())
    # one field per line: some hold thousands of rows
    write_whole(folder / "config.json", "{\n " + ",\n ".join(lines) + "\n}\n")


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
    config = read_config(folder)
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise InputError(
            f"{folder}: no model.safetensors; the training may not have finished; train again with <resume=True>"
        )
    try:
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(str(weights)).items()}
        network = build_network(config)
        network.load_state_dict(state)
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{weights}: the weights do not fit config.json ({reason}); copy the prior again") from None
    network = network.to(device).eval().requires_grad_(False)
    return Prior(make_denoiser(network, config), config, folder)


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


def read_config(folder: Path) -> PriorConfig:
    """Return the configuration of a prior folder; InputError where it is missing or not ours."""
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder}: no config.json; expected a prior that `cryoprior train` wrote")
    try:
        raw: dict[str, Any] = json.loads(path.read_text())
        spectra = {int(box): Spectra(tuple(s["signal"]), tuple(s["noise"])) for box, s in raw.pop("spectra").items()}
        intensity = {k: (float(a), float(b)) for k, (a, b) in raw.pop("intensity").items()}
        channels, pixel = tuple(raw.pop("channels")), tuple(raw.pop("pixel_size_angstrom"))
        config = PriorConfig(spectra=spectra, intensity=intensity, channels=channels, pixel_size_angstrom=pixel, **raw)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the configuration of a prior ({error}); copy the prior again") from None
    if config.format != FORMAT:
        raise InputError(f"{path}: format {config.format}; this version reads {FORMAT}; use the version that wrote it")
    return config
