from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from cryoprior.errors import InputError
from cryoprior.options import argument, check_options, option


@dataclass(frozen=True)
class Options:
    inputs: tuple[Path, ...] = argument("Files.", many=True)
    box: int = option("Pixels a side.", 64, minimum=8, maximum=512)
    pixel_size: float | None = option("Angstrom.", None, minimum=0.1)
    estimate: Literal["mean", "sample"] = option("Which.", "mean")
    device: str = option("Where.", "cpu", flags=("-d", "^device"), choices=("cpu", "cuda"))
    leave_out: tuple[str, ...] = option("Chains.", (), repeat=True)

    def __post_init__(self) -> None:
        check_options(self)


def test_good_options_pass() -> None:
    assert Options((Path("a"),), box=8, pixel_size=1.5, estimate="sample").box == 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"box": 4}, "^box 4: expected at least 8"),
        ({"box": 1024}, "^box 1024: expected at most 512"),
        ({"pixel_size": float("nan")}, "^pixel_size nan: expected at least 0.1"),
        ({"pixel_size": float("inf")}, "^pixel_size inf: expected a finite number"),
        ({"estimate": "median"}, "^estimate 'median': expected one of mean, sample"),
        ({"device": "tpu"}, "^device 'tpu': expected one of cpu, cuda"),
    ],
)
def test_a_value_out_of_range_is_explained(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Options((Path("a"),), **values)  # type: ignore[arg-type]
