"""cryoprior.simulate: particles from arrays, bit for bit those of the command, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import cryoprior
from cryoprior import judge_maps, make_maps, simulate
from cryoprior.errors import InputError
from cryoprior.io import read_map, read_particles, write_map
from cryoprior.simulation import command, read_ctf_table, read_noise

BOX, PIXEL, N = 32, 6.0, 20


def blobs(seed: int = 0) -> np.ndarray:
    rng, axis = np.random.default_rng(seed), np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    centres = rng.normal(scale=BOX / 14, size=(8, 3))
    parts = [np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 9) for a, b, c in centres]
    return np.sum(parts, axis=0).astype(np.float32)


def test_arrays_give_the_particles_of_the_command(tmp_path: Path) -> None:
    volumes = {name: blobs(seed) for seed, name in enumerate(("one", "two"))}
    for name, volume in volumes.items():
        write_map(tmp_path / f"{name}.mrc", volume, PIXEL)
    frequency = np.linspace(0, 0.1, 20)
    spectrum = pd.DataFrame({"frequency_per_angstrom": frequency, "power": 1 / (1 + 100 * frequency)})
    spectrum.to_csv(tmp_path / "noise.csv", index=False)
    table = read_ctf_table(None).iloc[:7]
    table.to_csv(tmp_path / "ctf.csv", index=False)
    options: dict[str, Any] = {"n": N, "box": BOX, "pixel_size": PIXEL, "snr": 0.5, "seed": 3, "batch": 8}
    files = {"ctf": tmp_path / "ctf.csv", "noise_like": tmp_path / "noise.csv"}
    paths = tuple(tmp_path / f"{name}.mrc" for name in volumes)
    command.run(command.Options(structures=paths, output=tmp_path / "sim", shift=5.0, **options, **files))
    summary = json.loads((tmp_path / "sim" / "summary.json").read_text())
    noise = read_noise(files["noise_like"], BOX, PIXEL, None)
    particles = simulate(volumes, ctf=dict(table), noise=noise, shift_angstrom=5.0, **options)
    stack, clean = (read_particles(tmp_path / "sim" / f"{name}.star") for name in ("particles", "clean"))
    np.testing.assert_array_equal(particles.images, stack.read(slice(None)))
    np.testing.assert_array_equal(particles.clean, clean.read(slice(None)))
    np.testing.assert_allclose(particles.euler_deg, stack.poses()[0], atol=1e-6)
    np.testing.assert_allclose(particles.origin_pixel, stack.poses()[1] / PIXEL, atol=1e-6)
    assert particles.mask_radius_angstrom == summary["mask_radius_angstrom"]
    assert particles.state.tolist() == pd.read_csv(tmp_path / "sim" / "labels.csv")["state"].tolist()
    for name, volume in zip(particles.names, particles.volumes, strict=True):
        np.testing.assert_array_equal(volume, read_map(tmp_path / "sim" / "maps" / f"{name}.mrc")[0])
    for name, values in stack.ctf_parameters().items():
        np.testing.assert_allclose(particles.ctf[name], values, atol=1e-4)


def test_their_map_is_the_one_that_was_projected() -> None:
    particles = simulate(torch.from_numpy(blobs()), 300, pixel_size=PIXEL, snr=5.0)
    maps = make_maps(
        particles.images,
        particles.euler_deg,
        origin_pixel=particles.origin_pixel,
        ctf=particles.ctf,
        pixel_size=particles.pixel_size,
    )
    assert judge_maps(maps, truth=particles.volumes[0]).truth.correlation.about_mean > 0.9


def test_states_of_one_structure_share_a_scale_and_maps_are_brought_to_the_box() -> None:
    volumes = [blobs(), 0.5 * blobs()]
    apart = simulate(volumes, 4, pixel_size=PIXEL, snr=1.0)
    shared = simulate(volumes, 4, box=40, pixel_size=PIXEL, snr=1.0, structures=["ribosome", "ribosome"])
    assert apart.volumes[1].max() == pytest.approx(float(apart.volumes[0].max()), rel=0.1)
    assert shared.volumes[1].max() == pytest.approx(0.5 * float(shared.volumes[0].max()), rel=1e-5)
    assert shared.images.shape == (4, 40, 40)
    assert repr(shared) == "SimulatedParticles(4 particles of 2 states, box 40 at 6.000 A a pixel)"


def test_noise_of_another_variance_is_brought_to_one() -> None:
    power = torch.full((BOX, BOX // 2 + 1), 9.0)
    particles = simulate(blobs(), 200, pixel_size=PIXEL, noise=power)
    assert float((particles.images - particles.clean).var()) == pytest.approx(1, rel=0.02)


def test_what_cannot_be_simulated_is_refused() -> None:
    cases: dict[str, dict[str, Any]] = {
        "state1: a map of shape .*expected a cube": {"volumes": blobs()[:20]},
        "state1: the map is constant": {"volumes": np.ones((8, 8, 8))},
        "0 maps and 0 structures": {"volumes": []},
        "1 maps and 2 structures": {"structures": ["a", "b"]},
        "snr 0: expected more than 0": {"snr": 0.0},
        "n 0: expected more than 0": {"n": 0},
        "noise of shape .*expected powers": {"noise": torch.ones(BOX, BOX)},
        "ctf: .*without defocus_v_angstrom": {"ctf": {"defocus_u_angstrom": [1e4]}},
        "ctf: columns of different lengths": {
            "ctf": dict(read_ctf_table(None)) | {"cs_mm": [1.0, 2.0]},
        },
    }
    for message, changed in cases.items():
        with pytest.raises(InputError, match=message):
            simulate(**({"volumes": blobs(), "n": 3, "pixel_size": PIXEL} | changed))


@pytest.mark.parametrize("name", cryoprior.simulation.__all__)
def test_the_workshop_names_what_is_public(name: str) -> None:
    assert getattr(cryoprior.simulation, name) is not None
