"""Every encoding gives images back, weighs what its file weighs, and refuses what it cannot hold."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.storage import ENCODINGS, format_encoding, parse_encoding, stored_images

N, BOX = 5, 24
ERRORS = {
    "float32": 0.0,
    "float16": 1e-6,
    "relion-float16": 1e-6,
    "integer:bits=8": 2e-4,
    "integer:bits=5": 8e-3,
    "integer:bits=4": 3e-2,
    "jpeg2000:quality=60": 4e-4,
}
"""Encodings, and the most that their mean square error is of the images' variance."""


def images(n: int = N, box: int = BOX) -> np.ndarray:
    return (7 + 3 * np.random.default_rng(4).normal(size=(n, box, box))).astype(np.float32)


def error(text: str) -> float:
    x = images()
    return float(np.square(stored_images(x, parse_encoding(text)).images - x).mean() / x.var())


def test_every_encoding_is_tried_here() -> None:
    assert {text.partition(":")[0] for text in ERRORS} == set(ENCODINGS)


@pytest.mark.parametrize("zstd", [None, 3])
@pytest.mark.parametrize("text", ERRORS)
def test_images_come_back(text: str, zstd: int | None) -> None:
    encoding = parse_encoding(text if zstd is None else f"{text}{',' if ':' in text else ':'}zstd={zstd}")
    assert parse_encoding(format_encoding(encoding)) == encoding
    x = images()
    found = stored_images(x, encoding)
    assert found.images.shape == x.shape
    assert found.images.dtype == np.float32
    assert float(np.square(found.images - x).mean() / x.var()) <= ERRORS[text]


@pytest.mark.parametrize("text", ERRORS)
def test_an_image_does_not_depend_on_its_neighbours(text: str) -> None:
    encoding = parse_encoding(text)
    alone = stored_images(images()[2:3], encoding).images[0]
    np.testing.assert_array_equal(alone, stored_images(images(), encoding).images[2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("float32", 4 * BOX**2),
        ("float16", 2 * BOX**2),
        ("relion-float16", 2 * BOX**2 + 1024 / N),
        ("integer:bits=5", 5 * BOX**2 / 8 + 8),
        ("integer:bits=4", BOX**2 / 2 + 8),
    ],
)
def test_bytes_are_those_of_the_file(text: str, expected: float) -> None:
    assert stored_images(images(), parse_encoding(text)).bytes_per_particle == pytest.approx(expected)


def test_more_quality_takes_more_bytes_and_errs_less() -> None:
    found = [stored_images(images(), parse_encoding(f"jpeg2000:quality={quality}")) for quality in (30, 40, 50)]
    sizes = [stored.bytes_per_particle for stored in found]
    assert sizes == sorted(sizes)
    assert error("jpeg2000:quality=30") > error("jpeg2000:quality=40") > error("jpeg2000:quality=50")


def test_zstd_loses_nothing_and_takes_less() -> None:
    x = np.round(images())
    plain, packed = (stored_images(x, parse_encoding(text)) for text in ("float32", "float32:zstd=3"))
    np.testing.assert_array_equal(plain.images, packed.images)
    assert packed.bytes_per_particle < 0.5 * plain.bytes_per_particle


def test_an_image_of_one_grey_value_comes_back() -> None:
    for text in ERRORS:
        flat = np.full((2, BOX, BOX), 3.0, np.float32)
        np.testing.assert_allclose(stored_images(flat, parse_encoding(text)).images, flat, rtol=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("integer:bits=0", "bits=0; expected 1 to 8"),
        ("integer:bits=33", "bits=33; expected 1 to 8"),
        ("integer:bits=5,reach=0", "reach=0.0; expected deviations above 0"),
        ("jpeg2000:quality=0", "quality=0.0; expected 1 to 96"),
        ("float32:zstd=0", "zstd=0; expected a level from 1 to 22"),
        ("jpeg2000", "needs quality"),
        ("png", "no encoding is called 'png'"),
    ],
)
def test_bad_fields_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_encoding(text)


@pytest.mark.parametrize("text", [*ERRORS, "integer:bits=5,zstd=3"])
@pytest.mark.parametrize("keep", [0.7, 0.0])
def test_a_file_cut_short_is_refused(text: str, keep: float, tmp_path: Path) -> None:
    encoding, path = parse_encoding(text), tmp_path / "images"
    encoding.write(path, images())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match="images"):
        encoding.read(path, N, BOX)


@pytest.mark.parametrize("text", ["float16", "relion-float16"])
def test_grey_values_beyond_float16_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected at most 65504 for float16"):
        stored_images(images() + 1e6, parse_encoding(text))


def test_values_that_are_not_finite_are_refused() -> None:
    x = images()
    x[1, 2, 3] = np.nan
    with pytest.raises(InputError, match="not finite"):
        stored_images(x, parse_encoding("float32"))


def test_without_its_library_zstd_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    with pytest.raises(InputError, match="numcodecs is not installed"):
        stored_images(images(), parse_encoding("float32:zstd=3"))
