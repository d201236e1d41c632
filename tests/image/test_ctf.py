from __future__ import annotations

import math

import pytest
import torch

from cryoprior.image.ctf import ctf_image

BASE = {
    "defocus_u_angstrom": 15000.0,
    "defocus_v_angstrom": 15000.0,
    "defocus_angle_deg": 0.0,
    "voltage_kv": 300.0,
    "cs_mm": 2.7,
    "amplitude_contrast": 0.1,
    "phase_shift_deg": 0.0,
}


def image(pixel_size: float = 1.5, box: int = 32, **changes: float) -> torch.Tensor:
    values = {k: torch.tensor([v], dtype=torch.float64) for k, v in (BASE | changes).items()}
    return ctf_image(values, torch.tensor([pixel_size], dtype=torch.float64), box)[0].double()


def closed_form(pixel_size: float = 1.5, box: int = 32, **changes: float) -> torch.Tensor:
    """The textbook CTF: sin(pi lambda df k^2 - pi/2 Cs lambda^3 k^4 + phase + asin(w)), protein positive at k = 0."""
    p = BASE | changes
    volts = p["voltage_kv"] * 1e3
    wavelength = 12.2643 / math.sqrt(volts + 0.978466e-6 * volts**2)
    kx = torch.fft.rfftfreq(box, d=pixel_size, dtype=torch.float64)[None]
    ky = torch.fft.fftfreq(box, d=pixel_size, dtype=torch.float64)[:, None]
    k2, angle = kx**2 + ky**2, torch.atan2(ky.expand(-1, kx.shape[1]), kx)
    u, v = p["defocus_u_angstrom"], p["defocus_v_angstrom"]
    defocus = (u + v) / 2 + (u - v) / 2 * torch.cos(2 * (angle - math.radians(p["defocus_angle_deg"])))
    chi = math.pi * wavelength * defocus * k2 - math.pi / 2 * p["cs_mm"] * 1e7 * wavelength**3 * k2**2
    return torch.sin(chi + math.radians(p["phase_shift_deg"]) + math.asin(p["amplitude_contrast"]))


CASES = [
    {},
    {"defocus_u_angstrom": 18000.0, "defocus_angle_deg": 35.0},
    {"defocus_u_angstrom": 18000.0, "defocus_angle_deg": -70.0, "voltage_kv": 200.0, "amplitude_contrast": 0.07},
    {"defocus_v_angstrom": 19000.0, "defocus_angle_deg": 20.0},
    {"phase_shift_deg": 60.0, "cs_mm": 0.01},
]


@pytest.mark.parametrize("changes", CASES)
def test_equals_the_closed_form(changes: dict[str, float]) -> None:
    torch.testing.assert_close(image(**changes), closed_form(**changes), rtol=0, atol=1e-3)


def test_the_origin_is_the_amplitude_contrast() -> None:
    assert float(image()[0, 0]) == pytest.approx(0.1, abs=1e-6)


def test_exchanged_axes_are_the_same_ellipse() -> None:
    one = image(defocus_u_angstrom=18000.0, defocus_v_angstrom=15000.0, defocus_angle_deg=10.0)
    two = image(defocus_u_angstrom=15000.0, defocus_v_angstrom=18000.0, defocus_angle_deg=100.0)
    torch.testing.assert_close(one, two, rtol=0, atol=1e-4)
    assert bool(torch.isfinite(two).all())


def test_every_particle_has_its_own() -> None:
    several = {k: torch.tensor([v, v], dtype=torch.float64) for k, v in BASE.items()}
    several["defocus_u_angstrom"] = torch.tensor([15000.0, 21000.0], dtype=torch.float64)
    both = ctf_image(several, torch.tensor([1.5, 2.0], dtype=torch.float64), 32).double()
    torch.testing.assert_close(both[0], image())
    torch.testing.assert_close(both[1], image(pixel_size=2.0, defocus_u_angstrom=21000.0))
