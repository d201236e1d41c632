"""The transfer of particles against closed forms: aberrations, damping, magnification, and images treated before."""

from __future__ import annotations

import math

import pytest
import torch

from cryoprior.image.aberrations import frequencies, zernike_order
from cryoprior.image.ctf import ctf_image
from cryoprior.image.transfer import Transfer, particle_transfer

BOX, PIXEL = 32, 1.5
BASE = {
    "defocus_u_angstrom": 15000.0,
    "defocus_v_angstrom": 13000.0,
    "defocus_angle_deg": 25.0,
    "voltage_kv": 300.0,
    "cs_mm": 2.7,
    "amplitude_contrast": 0.1,
    "phase_shift_deg": 20.0,
}
MATRIX = torch.tensor([[1.03, 0.02], [-0.01, 0.96]], dtype=torch.float64)
KX = torch.fft.rfftfreq(BOX, PIXEL, dtype=torch.float64)[None].expand(BOX, -1)
KY = torch.fft.fftfreq(BOX, PIXEL, dtype=torch.float64)[:, None].expand(-1, BOX // 2 + 1)
K, PHI = torch.hypot(KX, KY), torch.atan2(KY, KX)


def transfer(**more: torch.Tensor) -> Transfer:
    values = {key: torch.tensor([value], dtype=torch.float64) for key, value in BASE.items()}
    return particle_transfer(values | more, torch.tensor([PIXEL], dtype=torch.float64), BOX)


def number(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def near(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(found.to(expected), expected, rtol=0, atol=tolerance)


def test_b_factor_and_scale_damp_it_as_relion_says() -> None:
    damped = transfer(bfactor_angstrom2=number(120.0), scale=number(0.7)).ctf[0]
    near(damped, transfer().ctf[0].double() * 0.7 * torch.exp(-120.0 / 4 * K**2))


def test_a_beam_tilt_turns_the_phase() -> None:
    """-2 pi Cs lambda^2 k^2 (t . k), Cs in angstrom, t in rad: RELION's sign."""
    held = transfer(beam_tilt_x_mrad=number(0.6), beam_tilt_y_mrad=number(-0.3))
    wavelength = 12.2643247 / math.sqrt(3e5 * (1 + 3e5 * 0.978466e-6))
    phase = -2 * math.pi * 2.7e7 * wavelength**2 * 1e-3 * (0.6 * KX - 0.3 * KY) * K**2
    assert held.phase is not None
    near(held.phase[0], torch.polar(torch.ones_like(phase), phase))
    near(held.image[0], transfer().ctf[0] * held.phase[0])
    near(held.back[0], transfer().ctf[0] * held.phase[0].conj())
    near(held.weight[0], transfer().ctf[0].double().square())


ODD = [
    K * PHI.sin(),
    K * PHI.cos(),
    K**3 * (3 * PHI).sin(),
    (3 * K**3 - 2 * K) * PHI.sin(),
    (3 * K**3 - 2 * K) * PHI.cos(),
    K**3 * (3 * PHI).cos(),
]
EVEN = [
    torch.ones_like(K),
    K**2 * (2 * PHI).sin(),
    2 * K**2 - 1,
    K**2 * (2 * PHI).cos(),
    K**4 * (4 * PHI).sin(),
    (4 * K**4 - 3 * K**2) * (2 * PHI).sin(),
    6 * K**4 - 6 * K**2 + 1,
    (4 * K**4 - 3 * K**2) * (2 * PHI).cos(),
    K**4 * (4 * PHI).cos(),
]


@pytest.mark.parametrize("place", range(len(ODD)))
def test_odd_polynomials_are_phases(place: int) -> None:
    coefficients = torch.zeros(1, len(ODD), dtype=torch.float64)
    coefficients[0, place] = 5.0
    phase = transfer(odd_zernike=coefficients).phase
    assert phase is not None
    near(phase[0], torch.polar(torch.ones_like(K), 5.0 * ODD[place]), 1e-9)


@pytest.mark.parametrize("place", range(len(EVEN)))
def test_even_polynomials_add_to_the_argument(place: int) -> None:
    coefficients = torch.zeros(1, len(EVEN), dtype=torch.float64)
    coefficients[0, place] = 0.8
    with_it = transfer(even_zernike=coefficients)
    quarter = transfer(even_zernike=torch.tensor([[-math.pi / 2]], dtype=torch.float64)).ctf[
        0
    ]  # -sin(g - pi/2) = cos g
    plain = transfer(even_zernike=torch.zeros(1, 1, dtype=torch.float64)).ctf[0]
    near(with_it.ctf[0], plain * (0.8 * EVEN[place]).cos() - quarter * (0.8 * EVEN[place]).sin(), 1e-9)
    assert with_it.phase is None


def test_the_general_phase_is_that_of_torch_ctf() -> None:
    near(transfer(even_zernike=torch.zeros(1, 1, dtype=torch.float64)).ctf[0], transfer().ctf[0].double(), 1e-3)


def test_the_order_is_relions() -> None:
    assert zernike_order(7, odd=True) == [(-1, 1), (1, 1), (-3, 3), (-1, 3), (1, 3), (3, 3), (-5, 5)]
    assert zernike_order(5, odd=False) == [(0, 0), (-2, 2), (0, 2), (2, 2), (-4, 4)]


def test_a_magnification_maps_every_frequency_first() -> None:
    """With a multiple of the identity the image of pixel size p is that of pixel size p / s."""
    values = {key: torch.tensor([value, value], dtype=torch.float64) for key, value in BASE.items()}
    more = {
        "bfactor_angstrom2": torch.tensor([80.0, 80.0]).double(),
        "beam_tilt_x_mrad": torch.tensor([0.6, 0.6]).double(),
        "beam_tilt_y_mrad": torch.tensor([0.1, 0.1]).double(),
        "magnification": torch.stack((1.25 * torch.eye(2), torch.eye(2))).double(),
    }
    both = particle_transfer(values | more, torch.tensor([PIXEL, PIXEL / 1.25], dtype=torch.float64), BOX)
    near(both.image[0], both.image[1], 1e-9)
    grid = frequencies(number(PIXEL), BOX, MATRIX[None])
    near(grid[0][0], 1.03 * KX + 0.02 * KY, 1e-12)
    near(grid[1][0], -0.01 * KX + 0.96 * KY, 1e-12)


def test_treated_images_bear_their_ctf_once_more_or_without_its_sign() -> None:
    tilt = {"beam_tilt_x_mrad": number(0.6), "beam_tilt_y_mrad": number(0.0)}
    plain = transfer(**tilt)
    assert plain.phase is not None
    premultiplied, flipped = (
        transfer(**tilt, premultiplied=torch.tensor([True])),
        transfer(phase_flipped=torch.tensor([True])),
    )
    near(premultiplied.image, plain.ctf.square() * plain.phase)
    near(premultiplied.back, plain.phase.conj())
    near(premultiplied.weight, plain.weight)
    near(flipped.image, plain.ctf.abs())
    near(flipped.back, plain.ctf.abs())
    near(flipped.weight, plain.weight)


@pytest.mark.parametrize("treatment", ["plain", "premultiplied", "phase_flipped"])
def test_what_comes_back_is_what_was_weighed(treatment: str) -> None:
    """Without noise, image times back is the weight: sums are of one kind, whatever was done to the images."""
    more = {} if treatment == "plain" else {treatment: torch.tensor([True])}
    tilted = {"odd_zernike": torch.tensor([[0.3, -0.2, 40.0, 10.0, -15.0, 30.0]], dtype=torch.float64)}
    held = transfer(**tilted, scale=number(0.6), **more)
    product = held.image * held.back
    near(product.real, held.weight.double(), 1e-6)
    near(product.imag, torch.zeros_like(product.imag), 1e-6)


def test_particles_of_a_batch_do_not_know_each_other() -> None:
    values = {key: torch.tensor([value, value], dtype=torch.float64) for key, value in BASE.items()}
    zernike = torch.tensor([[0, 0, 40.0], [0, 0, 0]], dtype=torch.float64)
    flags = torch.tensor([True, False])
    sizes = torch.tensor([PIXEL, PIXEL], dtype=torch.float64)
    both = particle_transfer(values | {"odd_zernike": zernike, "premultiplied": flags}, sizes, BOX).image
    alone = transfer(odd_zernike=zernike[:1], premultiplied=flags[:1]).image
    near(both[0], alone[0], 1e-9)
    near(both[1], ctf_image(values, sizes, BOX)[1].to(both), 1e-9)


def test_a_resampled_image_has_the_same_transfer_where_both_grids_have_frequencies() -> None:
    """Units are those of frequency and length, none of the box: half the box at twice the pixel size keeps them all."""
    values = {key: torch.tensor([value], dtype=torch.float64) for key, value in BASE.items()}
    more = {
        "beam_tilt_x_mrad": number(0.6),
        "beam_tilt_y_mrad": number(0.2),
        "even_zernike": torch.tensor([[0.1, 3.0, 0.0, 9.0]], dtype=torch.float64),
        "magnification": MATRIX[None],
    }
    whole = particle_transfer(values | more, number(PIXEL), BOX).image[0]
    half = particle_transfer(values | more, number(2 * PIXEL), BOX // 2).image[0]
    kept = slice(0, BOX // 4)
    near(half[kept, kept], whole[kept, kept], 1e-9)
    near(half[1 - BOX // 4 :, kept], whole[1 - BOX // 4 :, kept], 1e-9)
