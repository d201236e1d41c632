"""Local resolution as a file, and the ChimeraX script that shows it: only commands and arguments that exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from cryoprior.errors import InputError
from cryoprior.io import read_map
from cryoprior.maps.files import fsc_filtered
from cryoprior.maps.judgement import NamedMaps, judge_maps
from cryoprior.maps.local import OUTSIDE, surface_script, write_local_resolution
from cryoprior.maps.map_set import MapSet
from cryoprior.metrics.local_resolution import local_resolution
from kit.projected_views import draw_blobs

BOX, PIXEL = 32, 3.0
NUMBER, COLOUR, MODEL = r"-?\d+(\.\d+)?(e-?\d+)?", r"#[0-9a-f]{6}", r"#\d+"
PAIR = rf"{NUMBER},{NUMBER}"
WORDS = {
    "open": (r"[a-z_]+\.mrc", {"id": r"\d+"}),
    "volume": (MODEL, {"show": None, "hide": None, "style": "surface", "step": "1", "level": NUMBER}),
    "color sample": (MODEL, {"map": MODEL, "palette": rf"{NUMBER},{COLOUR}(:{NUMBER},{COLOUR})+"}),
    "key": (rf"{COLOUR}:{NUMBER}", {"pos": PAIR, "size": PAIR, "numericLabelSpacing": "equal"}),
    "2dlabels": ("text", {"size": r"\d+", "xpos": NUMBER, "ypos": NUMBER}),
    "view": (MODEL, {}),
}
"""What the user guide of ChimeraX has and the script uses: command, first argument, keywords with their values."""


def check_command(line: str) -> str:
    """Return the name of a command of ChimeraX; ValueError where it or an argument is none that is known."""
    words = shlex.split(line)
    name = " ".join(words[: 2 if words[0] == "color" else 1])
    if name not in WORDS:
        raise ValueError(f"{line}: no such command")
    rest, (first, keywords) = words[len(name.split()) :], WORDS[name]
    while rest and re.fullmatch(first, rest[0]):
        rest = rest[2 if name == "2dlabels" else 1 :]
    while rest:
        word = rest.pop(0)
        if word not in keywords:
            raise ValueError(f"{line}: {word}")
        value = keywords[word]
        if value is not None and not re.fullmatch(value, rest.pop(0) if rest else ""):
            raise ValueError(f"{line}: the value of {word}")
    return name


def commands(script: str) -> list[str]:
    return [line for line in script.splitlines() if line and not line.startswith("#")]


def named_maps(sign: float = 1.0) -> NamedMaps:
    volume = torch.from_numpy(sign * draw_blobs(BOX, 0))
    rng = torch.Generator().manual_seed(0)
    halves = [volume + 0.1 * torch.randn(volume.shape, generator=rng) for _ in range(2)]
    maps = MapSet(*halves, (halves[0] + halves[1]) / 2, 50, 50, PIXEL)
    return NamedMaps("map", maps, judge_maps(maps))


@pytest.mark.parametrize("level", [0.0123, -2.5e-7])
def test_the_script_holds_only_commands_of_chimerax(level: float) -> None:
    lines = commands(surface_script(level, 4.0, 9.5))
    names = [check_command(line) for line in lines]
    assert names == ["open", "open", "volume", "volume", "color sample", "key", "2dlabels", "view"]
    assert lines[3].endswith(f"level {level:.6g}")


@pytest.mark.parametrize(
    "line", ["colour #1 map #2", "open map.pdb", "volume #1 levl 3", "key red", "view all", "color sample #1 palette 3"]
)
def test_the_check_refuses_what_is_none(line: str) -> None:
    with pytest.raises(ValueError, match=line.split(maxsplit=1)[0]):
        check_command(line)


def test_palette_and_key_say_the_same_and_below_them_is_grey() -> None:
    lines = commands(surface_script(1.0, 4.0, 9.0))
    palette = [pair.split(",") for pair in lines[4].split("palette ")[1].split(":")]
    key = [word.split(":") for word in lines[5].split()[1:7]]
    assert [float(value) for value, _ in palette] == pytest.approx([0, 2, 4, 5, 6, 7, 8, 9])
    assert [(colour, float(value)) for value, colour in palette[2:]] == [(colour, float(v)) for colour, v in key]
    assert palette[0][1] == palette[1][1]
    assert palette[0][1] not in [colour for colour, _ in key]
    one = commands(surface_script(1.0, 4.0, 4.0))[4].split("palette ")[1]
    values = [float(pair.split(",")[0]) for pair in one.split(":")]
    assert values == sorted(set(values))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_file_is_the_local_resolution_within_the_mask(tmp_path: Path, sign: float) -> None:
    named = named_maps(sign)
    found = write_local_resolution(tmp_path, named)
    volume, size = read_map(tmp_path / "local_resolution.mrc")
    expected = local_resolution(named.maps.half_1, named.maps.half_2, PIXEL).numpy()
    inside = named.judgement.mask.numpy() > 0
    assert size == pytest.approx(PIXEL)
    np.testing.assert_array_equal(volume[inside], expected[inside])
    assert (volume[~inside] == OUTSIDE).all()
    assert 0 < inside.mean() < 1
    assert found["median_angstrom"] == pytest.approx(float(np.median(expected[inside])), rel=1e-3)
    assert 2 * PIXEL <= found["finest_angstrom"] < found["coarsest_angstrom"] <= BOX * PIXEL
    beyond = sign * named.maps.full.numpy() > sign * found["level"]
    assert sign * found["level"] > 0  # a dark particle lies below the solvent
    assert 0.005 < beyond.mean() < 0.2
    assert (beyond & inside).sum() > 0.95 * beyond.sum()
    script = (tmp_path / "map.cxc").read_text()
    filtered = fsc_filtered(named.maps, named.judgement).numpy()
    surface = expected[inside & (sign * filtered >= sign * found["level"])]
    ends = [float(script.split("key ")[1].split()[i].partition(":")[2]) for i in (0, 5)]
    assert ends == pytest.approx(list(np.percentile(surface, (2, 98))), abs=0.006)  # not those of the solvent
    assert f"level {found['level']:.6g}" in script
    assert {path.name for path in tmp_path.iterdir()} == {"local_resolution.mrc", "map.cxc"}
    json.dumps(found)


def test_an_empty_mask_is_refused(tmp_path: Path) -> None:
    maps = named_maps().maps
    empty = NamedMaps("map", maps, judge_maps(maps, torch.zeros(BOX, BOX, BOX)))
    with pytest.raises(InputError, match="mask: no voxel is above 0"):
        write_local_resolution(tmp_path, empty)
