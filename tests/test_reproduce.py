"""docs/reproduce.md works as it stands: every command of it, in order, on small files of the formats that it names."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from accelerate.state import AcceleratorState
from scipy.spatial.transform import Rotation
from torch.utils.flop_counter import FlopCounterMode

from cryoprior.benchmark.images.page import ImageTable
from cryoprior.benchmark.images.plan import ImagesPlan, PixelGrid
from cryoprior.benchmark.images.table import run_images
from cryoprior.benchmark.toml import read_plan
from cryoprior.io import read_particles, write_stack, write_star
from cryoprior.io.formats.columns import ANGLES, ORIGINS
from cryoprior.operators import parse_operator
from cryoprior.prior.adapters import ddpm_unet
from cryoprior.solvers import Nesterov
from cryoprior.training.data import random_split
from cryoprior.training.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")

REPLACED = {
    "--box 128": "--box 32",
    "--box 256": "--box 32",
    "--limit 211460": "--limit 30",
    "--split 187964": "--split 24",
    "--solver nesterov": "--solver nesterov:steps=3",
    "--solver exact": "--solver exact:steps=3",
    "--lpips fetch": "--lpips off",
}
"""What the rehearsal has in the place of words of the document: small images, few particles, few steps, no download."""

ADDED = {
    "heterogeneity": "--epochs 1 --embedding pca --clusters 2 --starts 1 --seeds 1 --processes 1",
    "poses": "--contrast dark --threads 1",
}
"""What it adds: one epoch and a quick comparison of states; contrast that few particles do not show."""

SMALL = {"paper-128": "small", "paper-256": "small"}
TINY = "--steps 2 --width 0.25 --batch 4 --cpu"
TABLES = "benchmarks/images/reproduce_10076.toml"
BENCH = (TABLES, "benchmarks/maps/table3.toml")
"""Plans; the second has tests of its own."""
QUICK = {
    "least-squares": "least-squares",
    "posterior": "posterior",
    "exact": "exact:steps=4",
    "exact:estimate=sample": "exact:estimate=sample,steps=2",
    "nesterov": "nesterov:steps=2",
    "ddrm": "ddrm:steps=2",
    "ddnm": "ddnm:steps=2",
    "diffpir": "diffpir:steps=2",
    "pigdm": "pigdm:steps=2",
    "dps": "dps:steps=2",
    "dmplug": "dmplug:iterations=2",
    "dmplug:iterations=1000": "dmplug:iterations=1",
    "total-variation": "total-variation:iterations=5",
}
"""Every solver of that plan, and what the rehearsal has in its place."""

RELION = """#!{python} -IS
import os, sys
words = sys.argv[1:]
if words == ["--version"]:
    sys.exit(print("RELION version: 3.1.9") or 0)
given = dict(zip(words, words[1:]))
rows = [line for line in open(os.environ["FOUND"]) if "@" in line]
names = [word for word in open(given["--i"]).read().split() if "@" in word]
assert len(names) == len(rows) and os.path.isfile(given["--ref"])
columns = ["_rln" + name for name in ("ImageName", "AngleRot", "AngleTilt", "AnglePsi", "OriginXAngst", "OriginYAngst")]
with open(given["--o"] + "_it001_data.star", "w") as data:
    data.write("\\n".join(["data_particles", "", "loop_", *columns, *(row.strip() for row in rows), ""]))
"""

MODELANGELO = """#!{python}
import os, sys
if "--version" in sys.argv:
    sys.exit(print("ModelAngelo 1.0.12") or 0)
given = dict(zip(sys.argv[2::2], sys.argv[3::2]))
assert sys.argv[1] == "build" and "--protein-fasta" in given and os.path.isfile(given["--volume-path"])
out = given["--output-dir"]
for name in (".cif", "_raw.cif"):
    open(os.path.join(out, os.path.basename(out) + name), "w").write({model!r})
"""


def document_commands() -> list[str]:
    """Return the lines of the document's blocks, each of which is a command."""
    return re.findall(r"^ {4}(\S.*)$", TEXT, re.MULTILINE)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def dark_particles(n: int, box: int, seed: int) -> np.ndarray:
    """Return dark discs in noise, (n, box, box)."""
    axis = np.arange(box) - box // 2
    disc = np.hypot(*np.meshgrid(axis, axis)) < box / 5
    return (0.5 * np.random.default_rng(seed).normal(size=(n, box, box)) - disc).astype(np.float32)


def write_cryodrgn(folder: Path, n: int, box: int) -> None:
    """Write what cryoDRGN's inputs of 10076 are: a stack whose header has no pixel size, and two pickles."""
    rng = np.random.default_rng(0)
    with mrcfile.new(folder / "L17Combine_weight_local.mrcs") as stack:
        stack.set_data(dark_particles(n, box, 1))
        stack.set_image_stack()
    rotations = Rotation.random(n, random_state=rng).as_matrix().astype(np.float32)
    shifts = rng.uniform(-0.02, 0.02, (n, 2)).astype(np.float32)
    defocus = rng.uniform(10_000, 20_000, n)
    fixed = [np.full(n, value) for value in (45.0, 300.0, 2.7, 0.07, 0.0)]
    ctf = np.stack([np.full(n, box), np.full(n, 1.31), defocus, defocus - 200, *fixed], axis=1).astype(np.float32)
    (folder / "poses.pkl").write_bytes(pickle.dumps((rotations, shifts)))
    (folder / "ctf.pkl").write_bytes(pickle.dumps(ctf))


def write_relion(folder: Path, n: int, box: int) -> None:
    """Write what RELION's particles of 10648 are."""
    rng = np.random.default_rng(2)
    write_stack(folder / "10648.mrcs", -dark_particles(n, box, 3), 1.5)
    table = pd.DataFrame({"rlnImageName": [f"{i + 1:06d}@10648.mrcs" for i in range(n)], "rlnOpticsGroup": 1})
    table[[*ANGLES]] = rng.uniform(0, 180, (n, 3))
    table[[*ORIGINS]] = rng.uniform(-3, 3, (n, 2))
    table["rlnDefocusU"], table["rlnDefocusV"], table["rlnDefocusAngle"] = 12_000.0, 11_800.0, 20.0
    optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["opticsGroup1"], "rlnVoltage": [300.0]}
    optics |= {"rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1], "rlnImagePixelSize": [1.5]}
    write_star(folder / "10648.star", table, pd.DataFrame(optics | {"rlnImageSize": [box]}))


def model_text() -> str:
    """Return a model as ModelAngelo writes it: one chain of 25 residues."""
    names = "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id"
    names += " label_seq_id pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id"
    names += " auth_asym_id pdbx_PDB_model_num"
    atoms = [
        f"ATOM 1 {atom[0]} {atom} . ALA A ? {i} ? {3.8 * i:.3f} {len(atom) + i % 3:.3f} {j}.0 1 60.0 {i} A 1"
        for i in range(1, 26)
        for j, atom in enumerate(("N", "CA", "C", "O"))
    ]
    return "\n".join(["data_1", "#", "loop_", *(f"_atom_site.{name}" for name in names.split()), *atoms, "#", ""])


@pytest.fixture
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cryodrgn_stand_in: Path) -> None:
    """Go to a folder with all that the document says is needed, programs included."""
    write_cryodrgn(tmp_path, 100, 80)  # 80 to 32 pixels is 320 to 128
    write_relion(tmp_path, 33, 28)
    (tmp_path / "6ttf.fasta").write_text(f">PKM2\n{5 * 'MKVLA'}\n")
    tools = tmp_path / "bin"
    program(tools / "relion_refine", RELION.replace("{python}", sys.executable))
    angelo = program(tools / "model_angelo", MODELANGELO.format(python=sys.executable, model=model_text()))
    monkeypatch.setenv("CRYOPRIOR_CRYODRGN", str(cryodrgn_stand_in))
    monkeypatch.setenv("CRYOPRIOR_MODELANGELO", str(angelo))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FOUND", str(tmp_path / "found.txt"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _own_accelerator() -> Iterator[None]:
    reset_accelerator()
    yield
    reset_accelerator()


def reset_accelerator() -> None:
    """Let the next run choose its precision, as a process of its own would."""
    AcceleratorState._reset_state(True)


def rehearsed(words: str, used: set[str]) -> str:
    """Return a command of the document as it is rehearsed, and note in ``used`` what was replaced."""
    text = f"{words} "
    for old, new in REPLACED.items():
        if f" {old} " in text:
            used.add(old)
            text = text.replace(f" {old} ", f" {new} ")
    command = words.split()[1]
    return f"{text.strip()} {ADDED.get(command, '')}".strip()


def call(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Run ``python -m cryoprior`` with these words, and return its summary."""
    reset_accelerator()
    monkeypatch.setattr(sys, "argv", ["cryoprior", *words, "--json"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("cryoprior", run_name="__main__", alter_sys=False)
    shown = capsys.readouterr()
    assert left.value.code in (0, None), f"{' '.join(words)}\n{shown.err}"
    summary: dict[str, object] = json.loads(shown.out)
    return summary


def launched(line: str) -> list[str]:
    """Return cryoprior's words of an ``accelerate launch`` line, which its own parser has taken."""
    given = launch_command_parser().parse_args(shlex.split(line)[2:])
    assert (given.multi_gpu, given.num_processes, given.mixed_precision) == (True, 8, "bf16")
    assert (given.module, given.training_script) == (True, "cryoprior")
    return list(given.training_script_args)


@pytest.mark.usefixtures("_place", "_own_accelerator")
@pytest.mark.slow
def test_every_command_runs_on_what_those_before_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    used: set[str] = set()
    seen: list[str] = []
    for line in document_commands():
        words = launched(line) if line.startswith("accelerate launch ") else shlex.split(line)[1:]
        seen.append(words[0])
        if words[0] == "bench":
            assert words[1] in BENCH
            if words[1] == TABLES:
                rehearse_tables(Path(words[3]), monkeypatch)
        elif words[0] == "train":
            rehearse_training(words, monkeypatch, capsys)
        else:
            if words[0] == "poses":
                write_found(tmp_path / "10076" / "validation.star", tmp_path / "found.txt")
            call(shlex.split(rehearsed(f"cryoprior {' '.join(words)}", used))[1:], monkeypatch, capsys)
    assert used == set(REPLACED)
    assert set(ADDED) <= set(seen)
    assert {"convert", "train", "measure", "reconstruct", "evaluate", "bench", "map", "heterogeneity", "model"} <= set(
        seen
    )
    check_what_was_made(tmp_path)


def rehearse_training(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the line dry with its own preset and options, and unless it is dry itself a few steps of a small network."""
    dry = words if "--dry-run" in words else [*words, "--dry-run"]
    folder = Path(words[words.index("-o") + 1])
    plan = call([*dry, "--cpu"], monkeypatch, capsys)
    assert not folder.exists()
    preset = PRESETS[words[words.index("--preset") + 1] if "--preset" in words else "small"]
    assert (plan["batch"], plan["learning_rate"], plan["precision"]) == (
        preset.batch,
        preset.learning_rate,
        preset.precision,
    )
    if preset.objective == "ddpm":
        assert (plan["parameters"], plan["boxes"]) == (113_668_609, [preset.box])
    if dry is not words:
        small = [SMALL.get(word, word) for word in words]
        call([*small, *TINY.split()], monkeypatch, capsys)
        assert (folder / "model.safetensors").is_file()


def tables_plan(monkeypatch: pytest.MonkeyPatch, work: Path) -> ImagesPlan:
    """Return the committed plan of Tables 1 and 2, for a folder with particles and priors."""
    monkeypatch.setenv("CRYOPRIOR_WORK", str(work))
    plan = read_plan(ROOT / TABLES)
    assert isinstance(plan, ImagesPlan)
    return plan


def rehearse_tables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run two cells of Tables 1 and 2 and the all-ones cell, every method, on what the page's commands made."""
    plan = tables_plan(monkeypatch, Path.cwd())
    cells = {"K=16 C=2.5 bernoulli", "K=32 C=10 bernoulli", "K=2 all-ones"}
    masks = {cell.mask for cell in plan.all_cells if cell.name in cells}
    methods = [
        dataclasses.replace(m, solver=QUICK[m.solver], masks=tuple(mask for mask in m.masks if mask in masks))
        for m in plan.methods
    ]
    assert {m.solver for m in plan.methods} == set(QUICK)
    assert all(m.masks for m, whole in zip(methods, plan.methods, strict=True) if whole.masks)
    reduced = dataclasses.replace(
        plan,
        methods=tuple(methods),
        pixel=(PixelGrid(16, (2.5,), ("bernoulli",)), PixelGrid(32, (10.0,), ("bernoulli",))),
        fourier=(),
        grid=None,
        named=(),
        box=32,
        lpips="off",
    )
    with monkeypatch.context() as patch:
        patch.setattr(ImageTable, "_pictures", lambda self: iter(()))
        folder.mkdir()
        run_images(reduced, folder)
    rows = pd.read_csv(folder / "rows.csv")
    made = rows[rows["kind"] == "method"]
    assert made.groupby("cell")["method"].nunique().to_dict() == {
        "K=16 C=2.5 bernoulli": 12,
        "K=32 C=10 bernoulli": 12,
        "K=2 all-ones": 13,
    }
    assert set(made["n"]) == {16}
    assert set(made["method"]) == {m.name for m in plan.methods}
    text = (folder / "table.md").read_text()
    assert "| paper |  | .17 / .44 |" in text
    assert "validation_fixed.star" in text


def write_found(star: Path, path: Path) -> None:
    """Write the poses that RELION's stand-in finds: the true ones, two degrees off."""
    poses = read_particles(star).poses()
    assert poses is not None
    rows_found = np.concatenate([poses[0] + [0, 0, 2], poses[1]], axis=1)
    rows = [" ".join([f"{i + 1:06d}@particles.mrcs", *(f"{v:.4f}" for v in row)]) for i, row in enumerate(rows_found)]
    path.write_text("\n".join(rows) + "\n")


def check_what_was_made(folder: Path) -> None:
    def summary(name: str) -> dict[str, object]:
        content: dict[str, object] = json.loads((folder / name / "summary.json").read_text())
        return content

    assert summary("10076")["parts"] == {"particles": 100, "train": 80, "validation": 20, "validation_fixed": 16}
    assert summary("10076")["pixel_size_angstrom"] == [3.275]
    assert summary("10648")["parts"] == {"particles": 30, "train": 24, "validation": 6, "validation_fixed": 6}
    assert summary("10648")["pixel_size_angstrom"] == [1.3125]
    for prior, particles in (("prior-128", "10076"), ("prior-256", "10648")):  # held out is what is judged
        (split,) = json.loads((folder / prior / "split.json").read_text())
        for part in ("validation", "validation_fixed"):
            names = read_particles(folder / particles / f"{part}.star").table["rlnImageName"]
            assert [int(name.split("@")[0]) - 1 for name in names] == split[part]
    assert "zeta_max" not in str(summary("k32-paper")["solver"])  # the operator says it
    assert summary("k16-posterior")["evaluations"] == 1
    assert summary("poses-paper")["median_angle_deg"] == pytest.approx(2, abs=1e-3)
    assert summary("het")["n"] == 20
    assert summary("score")["pairs"] == 1


def test_the_plan_has_the_cells_of_the_published_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plan = tables_plan(monkeypatch, tmp_path)
    published = plan.figures
    assert published is not None
    paper = [cell for cell in plan.all_cells if cell.variant in ("bernoulli", "published")]
    assert len(paper) == len(published) == 32
    for cell, line in zip(paper, published.to_dict("records"), strict=True):
        operator = parse_operator(cell.operator, box=128)
        assert cell.mask == line["mask"]
        assert operator.compression == pytest.approx(line["compression"], rel=0.04)
    (other,) = [cell.name for cell in plan.all_cells if cell not in paper]
    assert [m.name for m in plan.methods if m.cells == (other,)] == ["DMPlug, all-ones, 1000"]
    assert (plan.particles, plan.box, plan.contrast, plan.seeds) == (16, 128, "bright", (0,))
    assert plan.path(str(plan.star)) == tmp_path / "10076" / "validation_fixed.star"
    priors = {m.solver: plan.prior_of(m) for m in plan.methods if m.component.needs_prior}
    assert priors.pop("posterior") == str(tmp_path / "prior-aware")
    assert set(priors.values()) == {str(tmp_path / "prior-128")}


def test_the_papers_sampler_has_each_cell_once_with_the_papers_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plan = tables_plan(monkeypatch, tmp_path)
    paper = [cell for cell in plan.all_cells if cell.variant != "all-ones"]
    samplers = [(m, m.component) for m in plan.methods if isinstance(m.component, Nesterov)]
    zetas = [
        (cell.name, solver._longest(parse_operator(cell.operator, box=128)))
        for m, solver in samplers
        for cell in paper
        if m.has(cell)
    ]
    assert sorted(zetas) == sorted((cell.name, 10.0 if cell.mask == "K=32" else 1.0) for cell in paper)


def test_the_splits_have_the_counts_of_the_paper() -> None:
    for n, validation, counts in ((131_899, 0.2, (105_519, 26_380)), (211_460, 0.111113, (187_964, 23_496))):
        assert tuple(map(len, random_split(Path("p.star"), n, validation, 0, minimum=16))) == counts
    assert round(0.8 * 131_899) == 105_519  # what convert puts in train.star
    assert round(8 / 9 * 211_460) == 187_964
    assert 187_964 + 2 * 23_496 == 234_956


@pytest.mark.parametrize(
    ("preset", "images", "steps"), [("paper-128", 105_519, "5,152"), ("paper-256", 187_964, "73,423")]
)
def test_the_steps_are_those_of_the_presets(preset: str, images: int, steps: str) -> None:
    paper = PRESETS[preset]
    assert paper.epochs is not None
    assert f"{round(paper.epochs * images / (paper.batch * paper.accumulation * 8)):,}" == steps
    assert f"{steps} steps" in TEXT


def forward_operations(preset: str) -> int:
    """Return the operations of one forward pass of the paper's network on one image."""
    paper = PRESETS[preset]
    assert paper.box is not None
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        ddpm_unet(paper.channels, paper.layers, paper.box)(torch.empty(1, 1, paper.box, paper.box), torch.zeros(1))
    return counter.get_total_flops()


def test_the_samplers_whose_hours_are_counted_run_in_bfloat16() -> None:
    counted = [c for c in document_commands() if "--solver nesterov" in c and "--batch" in c]
    assert [c.split()[2] for c in counted] == ["maps-k16.zarr", "states.zarr", "pkm2.zarr"]
    assert all("--dtype bfloat16" in command for command in counted)


def test_the_hours_follow_from_the_operations() -> None:
    forward = {128: forward_operations("paper-128"), 256: forward_operations("paper-256")}
    rows = re.findall(r"^\| .* \| (\d+) × ([\d.]+) GFLOP × ([^=]*) = ([\d.e]+) \| ([\d.]+) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 7
    for passes, giga, factors, operations, hours in rows:
        (each,) = [count for count in forward.values() if f"{count / 1e9:.1f}" == giga]
        counts = [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", factors)]
        total = int(passes) * each * int(np.prod(counts, dtype=np.int64))
        assert f"{total:.2e}".replace("e+", "e") == operations
        assert f"{total / 100e12 / 3600:.1f}" == hours
    for count, seconds in ((forward[128], "1.2 seconds"), (forward[256], "5.0 at 256")):
        assert f"{1000 * count / 100e12:.1f}" == seconds.split()[0]
        assert seconds in TEXT
