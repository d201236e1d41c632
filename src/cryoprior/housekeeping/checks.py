"""What a path holds, and everything that is wrong with it: one check for each kind of file or folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.housekeeping.map_priors import is_map_prior, map_prior_facts
from cryoprior.io import (
    FORMATS,
    read_measurements,
    read_particles,
    validate_measurements,
    validate_particles,
    validate_reconstruction,
)
from cryoprior.measurement.reading import measured_operator
from cryoprior.prior import load_map_prior, load_prior

Companions = Mapping[str, Any]


def kind_of(path: Path) -> str:
    """Return what a path holds, a key of CHECKS; InputError where it is none of them."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected one of {', '.join(CHECKS)}; check the name")
    if path.is_file():
        if path.suffix.lower() in FORMATS:
            return "particles"
        raise InputError(
            f"{path}: unknown extension {path.suffix!r}; expected one of {', '.join(FORMATS)}, or a folder"
        )
    if is_map_prior(path):
        return "map prior"
    for name, kind in (("zarr.json", "measurements"), ("model.safetensors", "prior"), ("config.json", "prior")):
        if (path / name).is_file():
            return kind
    if (path / "particles.star").is_file() or (path / "shards").is_dir():
        return "reconstruction"
    raise InputError(
        f"{path}: holds no zarr.json (measurements), model.safetensors (prior) or particles.star (reconstruction); "
        "pass the folder that a command wrote"
    )


def _particles(path: Path, companions: Companions) -> tuple[dict[str, Any], list[str]]:
    stack = read_particles(path, **companions)
    findings = validate_particles(stack)
    knows = {"ctf": "rlnDefocusU" in stack.table.columns, "poses": stack.poses() is not None}
    sizes = sorted({round(float(size), 6) for size in stack.pixel_size})
    return {"n": stack.n, "box": stack.box, "pixel_size_angstrom": sizes, **knows}, findings


def _measurements(path: Path, companions: Companions) -> tuple[dict[str, Any], list[str]]:
    measured = read_measurements(path)
    findings = validate_measurements(measured)
    try:
        measured_operator(measured)
    except InputError as error:
        findings.append(error.message)
    return {"n": measured.n, "box": measured.box, "operator": measured.operator_spec, "sigma": measured.sigma}, findings


def _prior(path: Path, companions: Companions) -> tuple[dict[str, Any], list[str]]:
    findings = [f"no {name}" for name in ("model.safetensors", "config.json") if not (path / name).is_file()]
    if findings:
        return {}, findings
    try:
        prior = load_prior(path)
    except InputError as error:
        return {}, [error.message]
    network = getattr(prior.denoiser, "network", None)
    known = None if prior.particles is None else len(prior.particles.digests)
    parameters = sum(int(p.numel()) for p in network.parameters()) if network is not None else None
    return {"parameters": parameters, "training_digests": known}, []


def _map_prior(path: Path, companions: Companions) -> tuple[dict[str, Any], list[str]]:
    try:
        return map_prior_facts(load_map_prior(path)), []
    except InputError as error:
        return {}, [error.message]


def _reconstruction(path: Path, companions: Companions) -> tuple[dict[str, Any], list[str]]:
    stack = read_particles(path / "particles.star")
    return {"n": stack.n, "box": stack.box}, validate_reconstruction(path)


Check = Callable[[Path, Companions], tuple[dict[str, Any], list[str]]]
CHECKS: dict[str, Check] = {
    "particles": _particles,
    "measurements": _measurements,
    "prior": _prior,
    "map prior": _map_prior,
    "reconstruction": _reconstruction,
}
