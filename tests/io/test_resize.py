from __future__ import annotations

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.io import resize
from cryoprior.io.resize import centre_shift, fourier_matrix
from kit.stacks import draw_images

BOXES = [(16, 8), (16, 7), (15, 8), (15, 7), (8, 16), (7, 16), (8, 15), (7, 15), (320, 128)]


def low_pass(box: int, pixel: float, centre: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Return a smooth blob whose grey values do not depend on the grid, pixel box // 2 being the origin."""
    y, x = np.meshgrid(*2 * [(np.arange(box) - box // 2) * pixel], indexing="ij")
    return 3 + np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / 0.02)


@pytest.mark.parametrize(("old", "new"), BOXES)
def test_the_mean_stays(old: int, new: int) -> None:
    images = draw_images(2, old) + 5
    np.testing.assert_allclose(resize(images, new, "fourier").mean((1, 2)), images.mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("old", "new"), [(64, 32), (64, 31), (63, 32), (32, 64), (48, 64)])
def test_low_pass_images_keep_values_and_centre(old: int, new: int) -> None:
    image = low_pass(old, 1 / old, (0.03, -0.05))
    resized = resize(image[None], new, "fourier")[0]
    np.testing.assert_allclose(resized, low_pass(new, 1 / new, (0.03, -0.05)), atol=2e-3)


def test_sampling_below_the_new_nyquist_is_exact() -> None:
    t = np.arange(24)
    wave = np.cos(2 * np.pi * 6 * (t - 12) / 24) + 0.5
    np.testing.assert_allclose(fourier_matrix(24, 12) @ wave, wave[::2], atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [(8, 16), (7, 16), (8, 15), (7, 15), (128, 320)])
def test_padding_then_cropping_is_identity(old: int, new: int) -> None:
    np.testing.assert_allclose(fourier_matrix(new, old) @ fourier_matrix(old, new), np.eye(old), atol=1e-12)


def test_white_noise_is_averaged() -> None:
    small = resize(draw_images(8, 64), 32, "fourier")
    assert small[:, 1:, 1:].std() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(("old", "new"), [(64, 32), (64, 48), (48, 64), (63, 32), (64, 33)])
def test_bicubic_moves_the_centre_as_stated(old: int, new: int) -> None:
    resized = resize(low_pass(old, 1 / old)[None], new, "bicubic")[0] - 3
    axis = np.arange(new) - new // 2
    centre = (resized.sum(0) @ axis) / resized.sum()
    assert centre == pytest.approx(centre_shift(old, new, "bicubic"), abs=0.02)


def test_other_methods_are_refused() -> None:
    with pytest.raises(InputError, match=r"resize 'linear': expected one of fourier, bicubic"):
        resize(draw_images(1), 8, "linear")
    with pytest.raises(InputError, match=r"resize to a box of 1: expected at least 2 pixels"):
        resize(draw_images(1), 1, "fourier")
