"""What a candidate leaves of particles: by theory where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.operators.levels import lloyd_max
from cryoprior.planning.candidates import DEFAULTS, WHOLE, candidates, parse_candidate
from cryoprior.planning.keeping import Examples, Kept, kept_by
from cryoprior.planning.map_prior_worth import map_prior_worth

BOX = 64


def kept(text: str, snr: float = 0.01) -> Kept:
    examples = Examples.drawn(torch.full((BOX // 2 + 1,), snr, dtype=torch.float64), BOX, seed=3)
    return kept_by(parse_candidate(text, BOX), examples)


def worth(text: str, snr: float = 0.01) -> float:
    return float(kept(text, snr).worth[4:29].median())


@pytest.mark.parametrize("text", [WHOLE, "identity", "float16", "float16:zstd=3", "integer:bits=8"])
def test_whole_images_are_worth_themselves(text: str) -> None:
    assert worth(text) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("operator", ["quantize:", "fourier:compression=1,"])
def test_bits_keep_the_gain_of_bussgang(bits: int, operator: str) -> None:
    found = worth(f"{operator}bits={bits}")
    assert found == pytest.approx(lloyd_max(bits).gain, rel=0.02)
    assert found == pytest.approx({1: 0.64, 2: 0.88, 3: 0.965, 4: 0.99}[bits], abs=0.02)


@pytest.mark.parametrize("compression", [2, 5, 10])
def test_masks_keep_one_part_in_c(compression: int) -> None:
    text = f"fourier:pattern=uniform,compression={compression},sets=64"
    assert worth(text) == pytest.approx(1 / compression, rel=0.1)
    assert worth(f"{text},bits=1") == pytest.approx(0.637 / compression, rel=0.1)


def test_sums_of_pixels_keep_their_rank() -> None:
    assert worth("pixel:block=16,masks=102,sets=16") == pytest.approx(102 / 256, rel=0.1)


def test_published_masks_count_what_they_store() -> None:
    text = "fourier:pattern=uniform,compression=2,symmetry=published,sets=16"
    found = kept(text)
    assert found.bytes_per_particle == pytest.approx(0.75 * 4 * BOX**2, rel=0.03)
    assert worth(text) == pytest.approx(0.75, rel=0.1)


def test_a_crop_keeps_coarse_shells_alone() -> None:
    found = kept("crop:size=32").worth
    assert float(found[:15].min()) == pytest.approx(1)
    assert float(found[-4:].max()) == 0


def test_jpeg_loses_more_where_it_keeps_less() -> None:
    sizes = [kept(f"jpeg2000:quality={quality}").bytes_per_particle for quality in (50, 40, 30)]
    worths = [worth(f"jpeg2000:quality={quality}") for quality in (50, 40, 30)]
    assert sizes == sorted(sizes, reverse=True)
    assert worths == sorted(worths, reverse=True)


def test_a_signal_stands_above_rounding_where_it_is_strong() -> None:
    assert worth("quantize:bits=1", snr=4.0) < 0.4 < worth("quantize:bits=1", snr=0.01)


def test_the_usual_candidates_fit_their_box() -> None:
    assert [way.name for way in candidates((), BOX)] == list(DEFAULTS)
    odd = [way.name for way in candidates((), 50)]
    assert odd[0] == WHOLE
    assert not any(name.startswith("pixel") for name in odd)
    assert [way.name for way in candidates(("quantize:bits=1",), BOX)] == [WHOLE, "quantize:bits=1"]


def test_kinds_are_told_apart() -> None:
    kinds = [parse_candidate(text, BOX).kind for text in ("float16", "quantize:bits=2", "crop:size=32")]
    assert [*kinds, parse_candidate("crop:size=32,bits=2", BOX).kind] == ["format", "bits", "masks", "masks and bits"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("tiff",), "no encoding or operator is called 'tiff'; expected one of bin, crop"),
        (("quantize:bits=0",), "bits=0; expected 1 to 8"),
        (("quantize:bits=33",), "bits=33; expected 1 to 8"),
        (("float16", "float16"), "candidate 'float16' is given twice"),
    ],
)
def test_what_is_no_candidate_is_refused(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        candidates(texts, BOX)


def test_the_prior_is_worth_less_the_more_is_left_out() -> None:
    texts = ("quantize:bits=1", "fourier:compression=3.5", "fourier:compression=10", "fourier:compression=40")
    found = [map_prior_worth(parse_candidate(text, BOX))[0] for text in texts]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(1.36)
    assert found[-2:] == pytest.approx([1.12, 1.12], abs=1e-3)
    assert np.all(np.diff(found) <= 0)
