"""convert: the same particles in other files, resampled and split, or one line on what is wrong and nothing written."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from cryoprior import cli
from cryoprior.errors import InputError
from cryoprior.housekeeping import convert
from cryoprior.io import ParticleStack, StackWriter, read_particles, read_star, resize, write_stack, write_star
from cryoprior.output.record import read_recorded
from cryoprior.training.data import drawn_rows, training_stack
from kit.folders import shown

N, BOX, PIXEL = 21, 20, 1.31


def write_cryodrgn(folder: Path) -> dict[str, Any]:
    """Write a bare stack with cryoDRGN's pickles, and return the options that name them."""
    rng = np.random.default_rng(0)
    write_stack(folder / "raw.mrcs", rng.normal(size=(N, BOX, BOX)).astype(np.float32), 1.0)
    rotations = Rotation.random(N, random_state=rng).as_matrix()
    (folder / "poses.pkl").write_bytes(pickle.dumps((rotations, rng.uniform(-0.1, 0.1, (N, 2)))))
    defocus = rng.uniform(10_000, 20_000, (N, 1))
    fixed = np.tile([30.0, 300.0, 2.7, 0.07, 0.0], (N, 1))
    ctf = np.concatenate([np.tile([BOX, PIXEL], (N, 1)), defocus, defocus - 300, fixed], axis=1)
    (folder / "ctf.pkl").write_bytes(pickle.dumps(ctf))
    (folder / "ind.pkl").write_bytes(pickle.dumps(np.array([3, 4, 9, 17])))
    return {"particles": folder / "raw.mrcs", "poses": folder / "poses.pkl", "ctf": folder / "ctf.pkl"}


def run(folder: Path, name: str = "out", **more: Any) -> Path:
    convert.run(convert.Options(**(write_cryodrgn(folder) | {"output": folder / name} | more)))
    return folder / name


def read_direct(folder: Path, **more: Any) -> ParticleStack:
    given = write_cryodrgn(folder) | more
    return read_particles(given.pop("particles"), **given)


def refuse(folder: Path, match: str, **more: Any) -> None:
    """Check that a conversion is refused in these words, and that it leaves nothing behind."""
    write_cryodrgn(folder)
    before = sorted(folder.rglob("*"))
    with pytest.raises(InputError, match=match):
        run(folder, "refused", **more)
    assert sorted(folder.rglob("*")) == before


def assert_same(one: ParticleStack, two: ParticleStack) -> None:
    """Check images, pixel size, poses and CTF of the same particles in two files."""
    np.testing.assert_array_equal(one.read(slice(None)), two.read(slice(None)))
    np.testing.assert_allclose(one.pixel_size, two.pixel_size, rtol=1e-12)
    for a, b in zip(one.poses() or (), two.poses() or (), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    first, second = one.ctf_parameters(), two.ctf_parameters()
    assert (first is None) == (second is None)
    for name in first or {}:
        np.testing.assert_allclose((first or {})[name], (second or {})[name], rtol=1e-12)


@pytest.mark.parametrize(
    "more", [{}, {"box": 8}, {"box": 24, "resize": "bicubic"}], ids=["as is", "fourier", "bicubic"]
)
def test_the_star_holds_the_particles_of_the_pickles(tmp_path: Path, more: dict[str, Any]) -> None:
    out = run(tmp_path, batch=4, **more)
    direct = read_direct(tmp_path)
    wanted = direct.resized(more["box"], more.get("resize", "fourier")) if more else direct
    assert_same(read_particles(out / "particles.star"), wanted)
    names = {"particles.star", "particles.mrcs", "summary.json", "provenance.json"}
    assert shown(out) == names
    summary = json.loads((out / "summary.json").read_text())
    box = more.get("box", BOX)
    assert (summary["n"], summary["box"], summary["parts"]) == (N, box, {"particles": N})
    assert summary["pixel_size_angstrom"] == [pytest.approx(PIXEL * BOX / box, abs=1e-6)]
    assert (summary["poses"], summary["ctf"]) == (True, True)
    record = json.loads((out / "provenance.json").read_text())
    assert [Path(given["path"]).name for given in record["inputs"]] == ["raw.mrcs", "poses.pkl", "ctf.pkl"]


def test_resized_particles_can_be_mapped(tmp_path: Path) -> None:
    # Seen to fail: map took the summary beside them for that of a reconstruction, and refused how they were resized.
    assert read_recorded(run(tmp_path, box=8))["resize"]["box"] == 8


def test_converting_again_changes_nothing(tmp_path: Path) -> None:
    first = run(tmp_path, "first", box=10)
    options = convert.Options(particles=first / "particles.star", output=tmp_path / "second")
    convert.run(options)
    for name in ("particles.star", "particles.mrcs"):
        assert (first / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_bicubic_resizing_moves_the_centre_and_the_origins_take_it_up(tmp_path: Path) -> None:
    origins = {}
    for method in ("fourier", "bicubic"):
        poses = read_particles(run(tmp_path, method, box=8, resize=method) / "particles.star").poses()
        assert poses is not None
        origins[method] = poses[1]
    moved = (BOX // 2 + 0.5) * 8 / BOX - 0.5 - 4  # docs/formats.md
    np.testing.assert_allclose(origins["bicubic"] - origins["fourier"], -moved * PIXEL * BOX / 8, rtol=1e-9)
    images = read_particles(tmp_path / "bicubic" / "particles.star").read(slice(None))
    np.testing.assert_array_equal(images, resize(read_direct(tmp_path).read(slice(None)), 8, "bicubic"))


def test_columns_groups_and_order_of_a_star_file_stay(tmp_path: Path) -> None:
    images = np.random.default_rng(3).normal(size=(4, 8, 8)).astype(np.float32)
    (tmp_path / "Extract").mkdir()
    for part in ("a", "b"):
        write_stack(tmp_path / "Extract" / f"{part}.mrcs", images + (part == "b"), 2.0)
    names = ["000003@Extract/b.mrcs", "000001@Extract/a.mrcs", "000004@Extract/a.mrcs"]
    table = pd.DataFrame({"rlnMicrographName": ["0012", "m 1", "m2"], "rlnImageName": names})
    table["rlnOpticsGroup"], table["rlnMyOwn"] = [2, 1, 1], [0.1, 2e-7, 3.0]
    optics = pd.DataFrame({"rlnOpticsGroup": [1, 2], "rlnImagePixelSize": [2.0, 2.5], "rlnImageSize": 8})
    write_star(tmp_path / "p.star", table, optics)
    convert.run(convert.Options(particles=tmp_path / "p.star", output=tmp_path / "out", box=4))
    blocks = read_star(tmp_path / "out" / "particles.star")
    kept = table.assign(rlnImageName=[f"{i:06d}@particles.mrcs" for i in (1, 2, 3)], rlnImageOriginalName=names)
    pd.testing.assert_frame_equal(blocks["particles"], kept, check_dtype=False)
    assert blocks["optics"]["rlnImagePixelSize"].tolist() == [4.0, 5.0]
    assert_same(read_particles(tmp_path / "out" / "particles.star"), read_particles(tmp_path / "p.star").resized(4))


@pytest.mark.parametrize(("split", "counts"), [(0.8, (17, 4)), (0.5, (10, 11)), (13, (13, 8)), (20, (20, 1))])
def test_a_split_is_disjoint_complete_seeded_and_in_order(
    tmp_path: Path, split: float, counts: tuple[int, int]
) -> None:
    out = run(tmp_path, split=split, box=10)
    whole = read_particles(out / "particles.star")
    parts = [read_particles(out / f"{name}.star") for name in ("train", "validation")]
    rows = [[int(name.split("@")[0]) - 1 for name in part.table["rlnImageName"]] for part in parts]
    assert tuple(map(len, rows)) == counts
    assert sorted(rows[0] + rows[1]) == list(range(N))
    for part, places in zip(parts, rows, strict=True):
        assert places == sorted(places)
        assert_same(part, whole.subset(np.array(places)))
    summary = json.loads((out / "summary.json").read_text())
    fixed = min(16, counts[1])
    assert summary["parts"] == {"particles": N, "train": counts[0], "validation": counts[1], "validation_fixed": fixed}
    again, other = run(tmp_path, "again", split=split, box=10), run(tmp_path, "other", split=split, box=10, seed=1)
    text = (out / "validation.star").read_text()
    assert text == (again / "validation.star").read_text() != (other / "validation.star").read_text()


def test_sixteen_drawn_of_the_validation_part_stand_by_themselves(tmp_path: Path) -> None:
    # Seen to fail: they were the first sixteen, in the order in which a session recorded them.
    images = np.random.default_rng(0).normal(size=(200, 8, 8)).astype(np.float32)
    write_stack(tmp_path / "many.mrcs", images, 1.0)
    rows = {}
    for name in ("validation", "validation_fixed"):
        out = tmp_path / name
        convert.run(convert.Options(particles=tmp_path / "many.mrcs", output=out, split=0.5))
        rows[name] = [int(n.split("@")[0]) - 1 for n in read_star(out / f"{name}.star")["particles"]["rlnImageName"]]
    assert len(rows["validation_fixed"]) == 16
    assert set(rows["validation_fixed"]) < set(rows["validation"])
    assert max(rows["validation_fixed"]) > 150
    held = training_stack(read_particles(tmp_path / "many.mrcs"), None, 0.5, 0).validation_rows
    assert drawn_rows(held, 16, 0).tolist() == rows["validation_fixed"]
    assert drawn_rows(held, 16, 1).tolist() != rows["validation_fixed"]
    assert set(drawn_rows(held, 16, 0)) < set(drawn_rows(held, 40, 0))


def test_per_image_maps_every_image_to_its_own_extremes(tmp_path: Path) -> None:
    out = run(tmp_path, box=16, intensity="per-image", batch=4)
    images = read_particles(out / "particles.star").read(slice(None))
    np.testing.assert_allclose(images.min((1, 2)), -1, atol=1e-6)
    np.testing.assert_allclose(images.max((1, 2)), 1, atol=1e-6)
    kept = read_direct(tmp_path).resized(16).read(slice(None))
    for one, other in zip(images, kept, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999999
    assert json.loads((out / "summary.json").read_text())["intensity"] == "per-image"


def test_per_image_refuses_a_constant_image(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    images[1] = 2.0
    write_stack(tmp_path / "flat.mrcs", images, 1.0)
    options = convert.Options(particles=tmp_path / "flat.mrcs", output=tmp_path / "out", intensity="per-image")
    with pytest.raises(InputError, match=r"flat\.mrcs: particle 2 .* is constant; expected an image; leave it out"):
        convert.run(options)
    assert not (tmp_path / "out").exists()


def test_train_holds_out_the_rows_of_the_validation_part(tmp_path: Path) -> None:
    out = run(tmp_path, split=0.8, seed=3)
    trained = training_stack(read_particles(out / "particles.star"), None, 0.2, 3)
    names = read_particles(out / "validation.star").table["rlnImageName"]
    assert [int(name.split("@")[0]) - 1 for name in names] == trained.validation_rows.tolist()


def test_a_selection_and_a_limit_are_kept_in_order(tmp_path: Path) -> None:
    direct = read_direct(tmp_path)
    chosen = read_particles(run(tmp_path, "chosen", ind=tmp_path / "ind.pkl") / "particles.star")
    assert_same(chosen, direct.subset([3, 4, 9, 17]))
    few = read_particles(run(tmp_path, "few", ind=tmp_path / "ind.pkl", limit=2) / "particles.star")
    assert_same(few, direct.subset([3, 4]))


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"split": 0.0}, r"split 0: expected a share between 0 and 1, or a number of at least 2"),
        ({"split": 1.0}, r"split 1: expected a share"),
        ({"split": -0.5}, r"split -0\.5: expected a share"),
        ({"split": 2.5}, r"split 2\.5: expected a share"),
        ({"split": 0.01}, r"raw\.mrcs: split 0\.01 puts 0 of 21 particles in train\.star"),
        ({"split": 21}, r"split 21 puts 21 of 21 particles in train\.star; expected at least one in either part"),
        ({"box": 1}, "box 1: expected at least 2"),
        ({"resize": "nearest"}, "resize 'nearest': expected one of fourier, bicubic"),
        ({"poses": Path("no.pkl")}, r"no\.pkl: no such file"),
        ({"pixel_size": -1.0}, r"pixel_size -1\.0: expected more than 0 angstrom"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path: Path, more: dict[str, Any], match: str) -> None:
    refuse(tmp_path, match, **more)


def test_an_image_that_is_none_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    images[3, 1, 1] = np.nan
    write_stack(tmp_path / "bad.mrcs", images, 2.0)
    more = {"particles": tmp_path / "bad.mrcs", "poses": None, "ctf": None, "batch": 2}
    refuse(tmp_path, r"bad\.mrcs: particle 4 \(000004@bad\.mrcs\)", **more)


def test_an_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = StackWriter.write

    def stopping(self: StackWriter, images: np.ndarray) -> None:
        if self.written:
            raise KeyboardInterrupt
        write(self, images)

    write_cryodrgn(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(StackWriter, "write", stopping)
    with pytest.raises(KeyboardInterrupt):
        convert.run(convert.Options(particles=tmp_path / "raw.mrcs", pixel_size=2.0, output=tmp_path / "cut", batch=4))
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_in_use_is_refused_and_replaced_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(tmp_path, split=0.5)
    words = ["convert", str(tmp_path / "raw.mrcs"), "-o", str(out), "--box", "10"]
    with pytest.raises(SystemExit) as left:
        cli.main(words)
    assert left.value.code == 2
    assert "out: the output is in use; pass another -o, or --overwrite" in capsys.readouterr().err
    assert read_particles(out / "train.star").box == BOX
    with pytest.raises(SystemExit) as left:
        cli.main([*words, "--overwrite", "--json"])
    assert left.value.code in (0, None)
    assert json.loads(capsys.readouterr().out)["box"] == 10
    assert read_particles(out / "particles.star").box == 10
    assert not (out / "train.star").exists()


def test_the_folder_that_holds_the_particles_is_not_replaced(tmp_path: Path) -> None:
    out = run(tmp_path)
    options = convert.Options(particles=out / "particles.star", output=out, overwrite=True, box=10)
    with pytest.raises(
        InputError, match=r"out: the output holds .*particles\.star, which this run reads; pass another output"
    ):
        convert.run(options)
    assert read_particles(out / "particles.star").box == BOX
