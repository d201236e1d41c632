"""``cryoprior validate``: what a path holds, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.io import (
    FORMATS,
    read_measurements,
    read_particles,
    validate_measurements,
    validate_particles,
    validate_reconstruction,
)
from cryoprior.options import argument, check_options, option

Check = Callable[[Path, "Options"], tuple[dict[str, Any], list[str]]]


@dataclass(frozen=True)
class Options:
    path: Path = argument("Particles, measurements (.zarr), a prior folder or a reconstruction folder.")
    pixel_size: float | None = option("Pixel size in angstrom, where the particle file gives none.", None)
    poses: Path | None = option("cryoDRGN poses.pkl, beside a bare stack.", None)
    ctf: Path | None = option("cryoDRGN ctf.pkl, beside a bare stack.", None)
    ind: Path | None = option("Pickle of the indices of the particles to keep.", None)
    datadir: Path | None = option("Folder to find the image stacks in.", None)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    kind = _kind(options.path)
    summary, findings = CHECKS[kind](options.path, options)
    if findings:
        listed = "".join(f"\n  - {finding}" for finding in findings)
        raise InputError(f"{options.path}: {kind} with {len(findings)} finding(s):{listed}")
    return {"path": str(options.path), "kind": kind, "valid": True, **summary}


def _kind(path: Path) -> str:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; expected one of {', '.join(CHECKS)}; check the name")
    if path.is_file():
        if path.suffix.lower() in FORMATS:
            return "particles"
        raise InputError(
            f"{path}: unknown extension {path.suffix!r}; expected one of {', '.join(FORMATS)}, or a folder"
        )
    for name, kind in (("zarr.json", "measurements"), ("model.safetensors", "prior"), ("config.json", "prior")):
        if (path / name).is_file():
            return kind
    if (path / "particles.star").is_file() or (path / "shards").is_dir():
        return "reconstruction"
    raise InputError(
        f"{path}: holds no zarr.json (measurements), model.safetensors (prior) or particles.star (reconstruction); "
        "pass the folder that a command wrote"
    )


def _particles(path: Path, options: Options) -> tuple[dict[str, Any], list[str]]:
    stack = read_particles(
        path,
        pixel_size=options.pixel_size,
        poses=options.poses,
        ctf=options.ctf,
        ind=options.ind,
        datadir=options.datadir,
    )
    findings = validate_particles(stack)
    found = {"ctf": "rlnDefocusU" in stack.table.columns, "poses": stack.poses() is not None}
    sizes = sorted({round(float(size), 6) for size in stack.pixel_size})
    return {"n": stack.n, "box": stack.box, "pixel_size_angstrom": sizes, **found}, findings


def _measurements(path: Path, options: Options) -> tuple[dict[str, Any], list[str]]:
    from cryoprior.measurement.reading import measured_operator

    measured = read_measurements(path)
    findings = validate_measurements(measured)
    try:
        operator = measured_operator(measured)
        if operator.m != measured.m:
            findings.append(f"{measured.m} numbers a particle; the operator measures {operator.m}")
    except InputError as error:
        findings.append(error.message)
    return {"n": measured.n, "box": measured.box, "operator": measured.operator_spec, "sigma": measured.sigma}, findings


def _prior(path: Path, options: Options) -> tuple[dict[str, Any], list[str]]:
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    findings = [f"no {name}" for name in ("model.safetensors", "config.json") if not (path / name).is_file()]
    if findings:
        return {}, findings
    try:
        weights = load_file(path / "model.safetensors")
    except (SafetensorError, ValueError, TypeError) as error:
        return {}, [f"model.safetensors cannot be read: {error}; copy it again"]
    findings = [f"weights {name} that are not finite" for name, w in weights.items() if not np.isfinite(w).all()]
    try:
        from cryoprior.prior import load_prior

        load_prior(path)
    except InputError as error:
        findings.append(error.message)
    return {"parameters": sum(int(w.size) for w in weights.values())}, findings


def _reconstruction(path: Path, options: Options) -> tuple[dict[str, Any], list[str]]:
    stack = read_particles(path / "particles.star")
    return {"n": stack.n, "box": stack.box}, validate_reconstruction(path)


CHECKS: dict[str, Check] = {
    "particles": _particles,
    "measurements": _measurements,
    "prior": _prior,
    "reconstruction": _reconstruction,
}
