"""Half maps and a map of any particles with known poses: arrays, stacks, measurements or reconstructions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cryoprior.devices import choose_device
from cryoprior.errors import InputError
from cryoprior.io import Measurements, ParticleStack
from cryoprior.maps.arrays import Array, InMemory, array_geometry, images_in_memory, measurements_in_memory
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.prior_maps import ask_beside, drawing_beside, prior_for
from cryoprior.maps.sight import Sight
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source
from cryoprior.maps.sources import FullParticles, MeasuredParticles, ReconstructedParticles
from cryoprior.maps.sums import MapSettings
from cryoprior.measurement.arrays import as_particles
from cryoprior.measurement.reading import measured_operator
from cryoprior.operators import Operator, parse_operator
from cryoprior.prior import MapPrior
from cryoprior.prior.volume.sampling import check_samples


def make_maps(
    images: Array | ParticleStack | Measurements | None = None,
    euler_deg: Array | None = None,
    *,
    y: Array | None = None,
    operator: str | Operator | None = None,
    particles: Array | None = None,
    prior_weight: float = 0.0,
    pixel_size: float | None = None,
    origin_pixel: Array | None = None,
    ctf: Mapping[str, Any] | None = None,
    half: Array | None = None,
    invert: bool = False,
    symmetry: str = "C1",
    passes: int = 8,
    batch: int = 128,
    map_prior: str | Path | MapPrior | None = None,
    samples: int = 0,
    seed: int = 0,
    device: str = "auto",
) -> MapSet:
    """Return half maps and the map of particles, bit for bit those of ``cryoprior map``.

    Full particles are ``images`` alone. Measurements are ``y`` with their ``operator``. Reconstructions are ``images``
    with the operator that measured them. A stack, and measurements from a file, bring their own poses and CTF.

    Parameters
    ----------
    images: (n, box, box), a ParticleStack, or Measurements; taken as float32.
    euler_deg: RELION's rot, tilt and psi, (n, 3).
    y: measurements, (n, m), in place of images.
    operator: what measured y, or the particles before they were reconstructed: an Operator or its text, which beside
        ``y`` has ``box=`` in it.
    particles: the index of every row in the stack that was measured, (n,), which chooses its mask set; 0 to n - 1.
    prior_weight: weight of the unmeasured part of reconstructions, 0 to 1.
    pixel_size: angstrom.
    origin_pixel: RELION's origin x, y in pixels, (n, 2); 0 where None.
    ctf: CTF parameters by name as ``ParticleStack.ctf_parameters`` returns them, n rows or one number for all; None for
        images without a CTF.
    half: the half set of every particle, 1 or 2, (n,); 1, 2, 1, 2, ... where None.
    invert: reverse the contrast of all images.
    symmetry: point group about RELION's axes.
    passes: for sums of pixels: passes over the particles at most; 0 takes what the masks mixed for noise.
    batch: particles in memory at a time.
    map_prior: a prior of maps, to be asked for each half map and judged by the other: ``default``, a folder of
        ``train-map``, or what :func:`cryoprior.load_map_prior` returned. What it made is the ``audit`` of the result;
        the maps themselves are the same without it.
    samples: with a map prior, draws of what the map may look like, 2 or more; the ``deviation`` of the result says
        where they differ. Each costs 25 evaluations of the prior's network. 0 draws none.
    seed: of the draws.
    device: where to compute: auto, cpu, cuda, cuda:1 or mps.

    Raises
    ------
    InputError: inputs that exclude each other, arrays whose shapes do not fit, another operator than the one that
        measured, a half set without particles, a map prior that never saw the voxel size.
    """
    geometry = {"pixel_size": pixel_size, "origin_pixel": origin_pixel, "ctf": ctf, "half": half}
    source = source_of(images, euler_deg, y, operator, particles, prior_weight, geometry)
    contrast = -1.0 if invert else 1.0
    settings = MapSettings(symmetry, passes, batch, str(choose_device(device)), contrast)
    if samples and map_prior is None:
        raise InputError("<samples> without <map_prior>: a map prior is what they are drawn from; pass default")
    if samples:
        check_samples(samples)
    prior = None if map_prior is None else prior_for(source, map_prior, device)
    maps = solve_maps(source, settings)
    if prior is None:
        return maps
    judgement = judge_maps(maps)
    audit = ask_beside(maps, judgement, prior, symmetry, None, source.geometry.euler_deg)
    if audit is None or not samples:
        return dataclasses.replace(maps, audit=audit)
    drawn = drawing_beside(maps, judgement, prior, samples, seed).made(audit)
    return dataclasses.replace(maps, audit=audit, deviation=drawn)


def source_of(
    images: Array | ParticleStack | Measurements | None,
    euler_deg: Array | None,
    y: Array | None,
    operator: str | Operator | None,
    particles: Array | None,
    prior_weight: float,
    geometry: Mapping[str, Any],
) -> Source:
    """Return what is mapped; the parameters are those of :func:`make_maps`."""
    if (images is None) == (y is None):
        raise InputError("make_maps: expected either images or y; pass one of them")
    if isinstance(operator, str):
        operator = parse_operator(operator, box=_box(images))
    if isinstance(images, Measurements):
        _refuse(images, euler_deg=euler_deg, particles=particles, **geometry)
        if operator is None:
            return MeasuredParticles(images, measured_operator(images))
        images.check_operator(operator.digest())
        return MeasuredParticles(images, operator)
    if y is not None:
        if operator is None:
            raise InputError("make_maps: y without its operator; pass <operator>")
        known = array_geometry(_poses(euler_deg), **geometry)
        return MeasuredParticles(measurements_in_memory(y, known, operator.box, particles), operator)
    if isinstance(images, ParticleStack):
        _refuse(images, euler_deg=euler_deg, **geometry)
        return _of_images(images, operator, particles, prior_weight)
    assert images is not None
    known = array_geometry(_poses(euler_deg), **geometry)
    return _of_images(images_in_memory(images, known, particles), operator, particles, prior_weight)


def _of_images(
    stack: ParticleStack | InMemory, operator: Operator | None, particles: Array | None, prior_weight: float
) -> Source:
    if operator is None:
        if prior_weight:
            raise InputError("make_maps: a prior_weight without an operator; pass what measured the images")
        return FullParticles(stack)
    if operator.box != stack.box or not 0 <= prior_weight <= 1:
        given = f"an operator of box {operator.box} and prior_weight {prior_weight:g}"
        raise InputError(f"{stack.path}: {given}; expected box {stack.box} and a weight from 0 to 1")
    index = stack.index if particles is None else np.array(as_particles(particles, stack.n))
    return ReconstructedParticles(stack, Sight(operator, index), prior_weight)


def _box(images: Any) -> int | None:
    """Return the pixels a side of what holds images, None where there are only measurements."""
    shape = getattr(images, "shape", None)
    box: int | None = getattr(images, "box", None) if shape is None else shape[-1]
    return box


def _poses(euler_deg: Array | None) -> Array:
    if euler_deg is None:
        raise InputError("make_maps: arrays without poses; pass euler_deg, rot, tilt and psi of every particle")
    return euler_deg


def _refuse(source: ParticleStack | Measurements, **given: Any) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(f"{source.path}: {', '.join(names)} given beside it; it brings its own; leave them out")
