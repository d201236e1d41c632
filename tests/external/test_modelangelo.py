"""ModelAngelo: how it is found, what it is given, and what is made of its output; a script stands in for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.external.modelangelo import (
    MODELANGELO,
    VARIABLE,
    BuildSettings,
    build_model,
    version,
)
from cryoprior.external.modelangelo_files import read_sequences, write_config
from cryoprior.io import write_map

PROTEIN = ">one\nMKTAYIAKQRQISFVKSHFSRQ\n>two chains\nGSHMWWLLE\n"

STAND_IN = """#!{python}
import argparse, json, os, sys
if sys.argv[1:] == ["--version"]:
    print("ModelAngelo 1.0.12")
    sys.exit(0)
kind = sys.argv[1]
parser = argparse.ArgumentParser(allow_abbrev=False)
for name in ("--volume-path", "--output-dir", "--config-path"):
    parser.add_argument(name, required=True)
for name in ("--mask-path", "--device", "--model-bundle-name", "--model-bundle-path"):
    parser.add_argument(name)
if kind == "build":
    parser.add_argument("--protein-fasta", required=True)
    parser.add_argument("--rna-fasta")
    parser.add_argument("--dna-fasta")
elif kind != "build_no_seq":
    sys.exit("no such command " + kind)
given = vars(parser.parse_args(sys.argv[2:]))
out = given["output_dir"]
open(os.path.join(out, "model_angelo.log"), "w").close()
for path in [given["volume_path"], given["mask_path"]]:
    assert path is None or path.endswith(".mrc") and os.path.getsize(path) > 1024, path
config = json.load(open(given["config_path"]))
assert set(config["ca_infer_args"]) >= {{"threshold", "batch_size", "stride", "crop", "dont_mask_input"}}
assert config["gnn_infer_args"]["aggressive_pruning"] is True
print("C-alpha prediction", json.dumps(given))
if os.environ.get("BREAK") == "fail":
    sys.exit("CUDA out of memory")
if os.environ.get("BREAK") == "silent":
    sys.exit(0)
name = os.path.basename(out)
row = "ATOM {{n}} {{e}} {{a}} . {{r}} A ? {{i}} ? {{i}}.5 {{n}}.25 3.0 1 {{b}} {{i}} A 1"
head = ["group_PDB", "id", "type_symbol", "label_atom_id", "label_alt_id", "label_comp_id", "label_asym_id",
        "label_entity_id", "label_seq_id", "pdbx_PDB_ins_code", "Cartn_x", "Cartn_y", "Cartn_z", "occupancy",
        "B_iso_or_equiv", "auth_seq_id", "auth_asym_id", "pdbx_PDB_model_num"]
text = "data_1\\n#\\nloop_\\n" + "".join("_atom_site." + h + "\\n" for h in head)
for i, residue in enumerate(["GLY", "ALA", "TRP"], 1):
    for j, atom in enumerate(["N", "CA", "C", "O"]):
        text += row.format(n=4 * i + j, e=atom[0], a=atom, r=residue, i=i, b=[90.5, 80.25, 40.0][i - 1]) + "\\n"
open(os.path.join(out, name + ".cif"), "w").write(text + "#\\n")
if kind == "build":
    open(os.path.join(out, name + "_raw.cif"), "w").write(text + "#\\n")
else:
    os.mkdir(os.path.join(out, "hmm_profiles"))
    open(os.path.join(out, "hmm_profiles", "A.hmm"), "w").write("HMMER3/f\\n")
"""


def stand_in(folder: Path) -> Path:
    """Return an executable that takes ModelAngelo's arguments, no others, and writes what it would."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model_angelo"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return path


def map_file(path: Path) -> Path:
    write_map(path, np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32), 15.0)
    return path


def given(log: Path) -> dict[str, Any]:
    """Return the arguments that the stand-in has printed."""
    line = next(line for line in log.read_text().splitlines() if line.startswith("C-alpha prediction"))
    found: dict[str, Any] = json.loads(line.removeprefix("C-alpha prediction"))
    return found


@pytest.fixture(autouse=True)
def _no_modelangelo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_it_is_found_by_name_by_variable_and_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    remedy = "ModelAngelo: no model_angelo on the PATH; install it from its source repository 3dem/model-angelo"
    with pytest.raises(InputError, match=f"{remedy}.*executable, by CRYOPRIOR_MODELANGELO"):
        MODELANGELO.find()
    named, by_variable, on_path = (stand_in(tmp_path / name) for name in ("named", "variable", "path"))
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert MODELANGELO.find() == on_path
    assert MODELANGELO.path == on_path
    monkeypatch.setenv(VARIABLE, str(by_variable))
    assert MODELANGELO.find() == by_variable
    assert MODELANGELO.find(named) == named
    with pytest.raises(InputError, match=r"no .*absent on the PATH; install it"):
        MODELANGELO.find(tmp_path / "absent")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"CRYOPRIOR_MODELANGELO names .*absent, which is no executable"):
        MODELANGELO.find()
    assert version(named) == "1.0.12"


def test_a_model_without_a_sequence(tmp_path: Path) -> None:
    log = tmp_path / "kept.log"
    built = build_model(map_file(tmp_path / "in.map"), tmp_path / "out", executable=stand_in(tmp_path / "bin"), log=log)
    assert built.model == tmp_path / "out" / "model" / "model.cif"
    assert (built.raw, [p.name for p in built.profiles]) == (None, ["A.hmm"])
    words = given(log)
    assert words["model_bundle_name"] == "nucleotides_no_seq"
    assert words["device"] is None
    assert built.command[1] == "build_no_seq"
    assert log.read_text().startswith("$ ")


def test_a_model_with_sequences_and_every_setting(tmp_path: Path) -> None:
    (tmp_path / "a.fasta").write_text(PROTEIN)
    (tmp_path / "b.txt").write_text(">three\nmkvlaa*\n")
    (tmp_path / "r.fa").write_text(">r\nACGUUGCA\n")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    own = {"ca_infer_args": {"threshold": 0.3, "crop": 5, "dont_mask_input": True}, "gnn_infer_args": {"new": 1}}
    (bundle / "config.json").write_text(json.dumps(own))
    log = tmp_path / "out" / "modelangelo.log"
    built = build_model(
        map_file(tmp_path / "in.mrc"),
        tmp_path / "out",
        BuildSettings(threshold=0.1, batch=2, stride=8, rounds=1, bundle_path=bundle, device="0,1"),
        sequences={"protein": [tmp_path / "a.fasta", tmp_path / "b.txt"], "rna": [tmp_path / "r.fa"], "dna": []},
        mask=map_file(tmp_path / "mask.mrc"),
        executable=stand_in(tmp_path / "bin"),
    )
    assert built.raw is not None
    assert not built.profiles
    words = given(log)
    assert (words["device"], words["model_bundle_name"], words["dna_fasta"]) == ("0,1", None, None)
    assert words["model_bundle_path"] == str(bundle)
    fasta = Path(words["protein_fasta"])
    assert fasta.suffix == ".fasta"
    assert fasta.read_text() == PROTEIN + ">three\nMKVLAA\n"
    assert Path(words["rna_fasta"]).read_text() == ">r\nACGUUGCA\n"
    config = json.loads(Path(words["config_path"]).read_text())
    assert config["ca_infer_args"] == {
        "threshold": 0.1,
        "crop": 5,
        "dont_mask_input": True,
        "batch_size": 2,
        "stride": 8,
    }
    assert config["gnn_infer_args"] == {"new": 1, "num_rounds": 1, "aggressive_pruning": True}


def test_the_papers_settings_are_the_defaults(tmp_path: Path) -> None:
    config = json.loads(write_config(tmp_path / "c.json", BuildSettings(), with_sequence=True).read_text())
    found = config["ca_infer_args"]
    assert (found["threshold"], found["batch_size"], found["stride"]) == (0.05, 4, 16)
    assert config["gnn_infer_args"]["num_rounds"] == 3
    assert found["do_nucleotides"] is True
    other = json.loads(write_config(tmp_path / "c.json", BuildSettings(bundle="original"), True).read_text())
    assert other["ca_infer_args"]["do_nucleotides"] is False


def test_a_bundle_that_was_downloaded_lends_its_own_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints" / "model_angelo_v1.0" / "nucleotides_no_seq"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"ca_infer_args": {"own": 1}, "gnn_infer_args": {}}')
    config = json.loads(write_config(tmp_path / "c.json", BuildSettings(), with_sequence=False).read_text())
    assert config["ca_infer_args"]["own"] == 1
    assert (
        "own" not in json.loads(write_config(tmp_path / "c.json", BuildSettings(), True).read_text())["ca_infer_args"]
    )
    for text, found in (("{", "not JSON"), ("[]", "no ca_infer_args"), ('{"ca_infer_args": 3}', "no ca_infer_args")):
        (folder / "config.json").write_text(text)
        with pytest.raises(InputError, match=found):
            write_config(tmp_path / "c.json", BuildSettings(), with_sequence=False)
    with pytest.raises(InputError, match=r"torch: no config\.json; expected a model bundle of ModelAngelo"):
        write_config(tmp_path / "c.json", BuildSettings(bundle_path=tmp_path / "torch"), True)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("fail", r"(?s)model_angelo failed \(1\); its log is .*CUDA out of memory"),
        ("silent", r"ended without model\.cif; see its log"),
    ],
)
def test_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, message: str) -> None:
    monkeypatch.setenv("BREAK", how)
    with pytest.raises(InputError, match=message):
        build_model(map_file(tmp_path / "in.mrc"), tmp_path / "out", executable=stand_in(tmp_path / "bin"))


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (b"", "protein", "no FASTA record"),
        (b"MKVL\n", "protein", "no FASTA record"),
        (b">a\n>b\nMKV\n", "protein", "sequence a is empty"),
        (b">a\nMK1V-\n", "protein", "sequence a has - 1; expected protein"),
        (b">a\nACGTACGTACGTACGT\n", "protein", "letters of nucleotides alone; expected a protein; pass it with rna"),
        (b">a\nMKV\n", "rna", "sequence a has K M V; expected rna"),
        (b">a\nACGU\n", "dna", "sequence a has U; expected dna"),
        (b"\xff\xfe\x00\x01\x80", "protein", "not text"),
    ],
)
def test_sequences_that_are_none_are_refused(tmp_path: Path, text: bytes, kind: Any, message: str) -> None:
    (tmp_path / "s.fasta").write_bytes(text)
    with pytest.raises(InputError, match=message) as caught:
        read_sequences(tmp_path / "s.fasta", kind)
    assert "s.fasta" in str(caught.value)


def test_an_absent_sequence_file_and_rna_without_a_protein_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.fasta: no such file"):
        read_sequences(tmp_path / "no.fasta", "protein")
    with pytest.raises(InputError, match="rna without a protein"):
        build_model(
            map_file(tmp_path / "in.mrc"),
            tmp_path / "out",
            sequences={"rna": [tmp_path / "r.fasta"]},
            executable=stand_in(tmp_path / "bin"),
        )
