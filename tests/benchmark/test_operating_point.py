"""The operating points of a benchmark, asked for on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cryoprior import cli
from cryoprior.benchmark import operating_point_command as command
from cryoprior.errors import InputError

ROWS = """series,cell,mask,variant,method,compression,effective_compression,ssim,lpips,frc,seed
pixel,K=16 C=2.5,K=16,hadamard,exact mean,2.5,2.5,0.79,0.17,,0
pixel,K=16 C=2.5,K=16,hadamard,exact mean,2.5,2.5,0.83,0.17,,1
pixel,K=16 C=1.4,K=16,hadamard,exact mean,1.4,1.4,0.90,0.12,,0
pixel,K=16 C=2.5,K=16,hadamard,"DPS, mean of 8",2.5,2.5,0.50,0.20,,0
pixel,K=16 C=1.4,K=16,hadamard,"DPS, mean of 8",1.4,1.4,0.70,0.15,,0
fourier,ring C=10,ring,,exact mean,10,8,0.81,0.30,,0
,,,,full image,1,1,1.0,0.0,,0
"""


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


def test_the_largest_compression_by_masks_and_method(rows: Path) -> None:
    found = command.run(command.Options(rows))
    assert found == {
        "largest_compression_with": "ssim ≥ 0.8",
        "points": {
            "pixel K=16 hadamard": {"exact mean": 2.5, "DPS, mean of 8": "never"},
            "fourier ring": {"exact mean": 10},
        },
    }


def test_another_limit_another_score_and_one_method(rows: Path) -> None:
    found = command.run(command.Options(rows, at_least=0.7, method="DPS, mean of 8"))
    assert found["points"] == {"pixel K=16 hadamard": {"DPS, mean of 8": 1.4}}
    found = command.run(command.Options(rows, score="lpips", at_least=0.16))
    assert found["largest_compression_with"] == "lpips ≤ 0.16"
    assert found["points"]["pixel K=16 hadamard"] == {"exact mean": 1.4, "DPS, mean of 8": 1.4}
    assert found["points"]["fourier ring"] == {"exact mean": "never"}


def test_the_command_prints_one_line_a_point_and_json(rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["operating-point", str(rows), "--score", "ssim", "--at-least", "0.8"])
    assert left.value.code in (0, None)
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["points.pixel", "K=16", "hadamard.exact", "mean", "2.5"] in printed
    assert ["points.pixel", "K=16", "hadamard.DPS,", "mean", "of", "8", "never"] in printed
    with pytest.raises(SystemExit):
        cli.main(["operating-point", str(rows), "--method", "exact mean", "--json"])
    assert json.loads(capsys.readouterr().out)["points"]["fourier ring"] == {"exact mean": 10}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (None, {}, "no such file"),
        (ROWS, {"score": "frc"}, "no score 'frc'; expected one of ssim, lpips"),
        (ROWS, {"score": "beauty"}, "no score 'beauty'; expected one of ssim, lpips"),
        (ROWS, {"method": "magic"}, "no method 'magic'; expected one of exact mean; DPS, mean of 8$"),
        (
            ROWS.replace("mask,", "masque,").replace("compression,", "c,", 1),
            {},
            "no column mask, compression; expected",
        ),
        (ROWS.replace(",10,8,", ",ten,8,"), {}, "no column compression; expected"),
        ("a,b\n1,2\n3,4,5\n", {}, "not CSV"),
        ("", {}, "not CSV"),
    ],
)
def test_a_wrong_question_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, options: dict[str, str], message: str
) -> None:
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        command.run(command.Options(path, **options))
    with pytest.raises(SystemExit) as left:
        cli.main(["operating-point", str(path), *(word for k, v in options.items() for word in (f"--{k}", v))])
    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
