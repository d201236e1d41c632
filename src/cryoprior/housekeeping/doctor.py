"""``cryoprior doctor``: what is installed, what is missing and how to get it; missing optional parts are no failure."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from cryoprior.devices import best_device
from cryoprior.errors import for_command_line
from cryoprior.output.record import installed_version
from cryoprior.version import __version__

DISTRIBUTIONS = ("torch", "diffusers", "accelerate", "numpy", "scipy", "scikit-image", "zarr", "mrcfile")
TEAMTOMO = ("torch-fourier-slice", "torch-ctf", "torch-fourier-shift")
EXTRAS = {"heterogeneity": "umap-learn", "dev": "pytest"}


EXAMPLE = "cryoprior doctor"


@dataclass(frozen=True)
class Options:
    """No options."""


def run(options: Options) -> dict[str, Any]:
    """Return what is installed and what is missing, each with its remedy."""
    from cryoprior.external import PROGRAMS

    return {
        "cryoprior": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: installed_version(name) or "not installed" for name in DISTRIBUTIONS + TEAMTOMO},
        "extras": {name: _extra(name, marker) for name, marker in EXTRAS.items()},
        "device": _device(),
        "processors": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "programs": {
            name: str(program.path or f"not found; {program.how_to_get}") for name, program in PROGRAMS.items()
        },
        "prior": _embedded_prior(),
        "lpips_weights": _lpips_weights(),
    }


def _extra(name: str, marker: str) -> str:
    version = installed_version(marker)
    return f"{marker} {version}" if version else f"not installed; pip install 'cryoprior[{name}]'"


def _device() -> dict[str, Any]:
    import torch

    device = best_device()
    names = {"cuda": torch.cuda.get_device_name, "mps": lambda: "Apple's GPU"}
    return {
        "torch": device,
        "accelerator": names[device]() if device in names else "none; everything runs on the processor",
        "threads": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "not set; 1 is often faster than 2 on two busy cores"),
    }


def _memory_gib() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _embedded_prior() -> str:
    assets = Path(str(files("cryoprior"))) / "assets"
    weights = sorted(assets.glob("**/model.safetensors"))
    return ", ".join(str(path.parent) for path in weights) or "not in this installation; make prior trains it"


def _lpips_weights() -> str:
    from cryoprior.external.lpips_weights import HOW_TO_GET, weights_path

    return (
        str(weights_path())
        if weights_path().is_file()
        else f"{weights_path()}: not found; {for_command_line(HOW_TO_GET)}"
    )
