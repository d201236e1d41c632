"""Kinds of input: the good one, how it is copied for a case, and the commands that read it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzz.good import FINE, OPERATOR, PIXEL_SIZE, TRAINING
from kit.relion_sums import NAME as SUMS
from kit.relion_sums import WEIGHT

Commands = dict[str, list[str]]
"""Words of a command by its name."""


@dataclass(frozen=True)
class Kind:
    """How a kind of input is given to the program.

    copy: takes the folder of good inputs and an empty folder; returns what is passed and what is changed.
    commands: takes the good inputs, what is passed and the output; returns the commands that read it.
    """

    copy: Callable[[Path, Path], tuple[Path, Path]]
    commands: Callable[[Path, str, str], Commands]


def _copied(source: str, name: str) -> Callable[[Path, Path], tuple[Path, Path]]:
    def copy(good: Path, folder: Path) -> tuple[Path, Path]:
        target = folder / name
        if (good / source).is_dir():
            shutil.copytree(good / source, target)
        else:
            shutil.copy(good / source, target)
        return target, target

    return copy


def _star(good: Path, folder: Path) -> tuple[Path, Path]:
    (folder / "particles.mrcs").symlink_to(good / "sim/particles.mrcs")
    shutil.copy(good / "sim/particles.star", folder / "p.star")
    return folder / "p.star", folder / "p.star"


def _stack(good: Path, folder: Path) -> tuple[Path, Path]:
    shutil.copy(good / "sim/particles.mrcs", folder / "particles.mrcs")
    shutil.copy(good / "sim/particles.star", folder / "p.star")
    return folder / "p.star", folder / "particles.mrcs"


def _cryosparc(good: Path, folder: Path) -> tuple[Path, Path]:
    (folder / "sim").symlink_to(good / "sim")
    shutil.copy(good / "p.cs", folder / "p.cs")
    return folder / "p.cs", folder / "p.cs"


def _folder(good: Path, folder: Path) -> tuple[Path, Path]:
    (folder / "run").mkdir()
    return folder / "run", folder / "run"


def _of_particles(good: Path, given: str, output: str) -> Commands:
    return {
        "validate": ["validate", given],
        "measure": ["measure", given, "-o", output, "--operator", OPERATOR],
        "convert": ["convert", given, "-o", output],
        "denoise": ["denoise", given, "-o", output, *QUICK_SIGNAL],
        "map": ["map", given, "-o", output, *QUICK_MAP],
        "audit": ["audit", given, "-o", output, "--pixel-size", str(FINE), *ASKED],
        "train": ["train", given, "-o", output, "--dry-run", "--width", "0.25", "--cpu"],
        "evaluate": ["evaluate", str(good / "recon"), "--reference", given, "-o", output, *QUICK_REPORT],
    }


ASKED = ("--map-prior", "default", "--no-tests", "--passes", "0")
QUICK_MAP = ("--passes", "0")
QUICK_SIGNAL = ("--box", "64", "--solver", "gaussian", "--limit", "2")
QUICK_REPORT = ("--lpips", "off", "--pictures", "0")
QUICK_CLUSTERS = ("--embedding", "pca", "--seeds", "1", "--starts", "1", "--clusters", "2")
FEW = ("--n", "2", "--box", "24", "--pixel-size", "8")


def _of_bare(good: Path, given: str, output: str) -> Commands:
    of_particles = _of_particles(good, given, output)
    return {name: of_particles[name] for name in ("validate", "measure", "convert")}


def _of_measurements(good: Path, given: str, output: str) -> Commands:
    return {
        "validate": ["validate", given],
        "describe": ["describe", given],
        "reconstruct": ["reconstruct", given, "-o", output, "--solver", "least-squares"],
        "map": ["map", given, "-o", output, *QUICK_MAP],
    }


def _of_prior(good: Path, given: str, output: str) -> Commands:
    solver = ["--solver", "exact:steps=2", "--limit", "2"]
    star = str(good / "sim/particles.star")
    return {
        "validate": ["validate", given],
        "reconstruct": ["reconstruct", str(good / "y.zarr"), "-o", output, "--prior", given, *solver],
        "train": ["train", star, "-o", output, "--init", given, "--dry-run", "--cpu", "--width", "0.25"],
    }


def _of_companion(name: str) -> Callable[[Path, str, str], Commands]:
    def commands(good: Path, given: str, output: str) -> Commands:
        size = [] if name == "ctf" else ["--pixel-size", str(PIXEL_SIZE)]
        beside = [str(good / "sim/particles.mrcs"), f"--{name}", given, *size]
        return {
            "validate": ["validate", *beside],
            "measure": ["measure", *beside, "-o", output, "--operator", OPERATOR],
            "convert": ["convert", *beside, "-o", output],
        }

    return commands


def _of_latents(good: Path, given: str, output: str) -> Commands:
    words = ["heterogeneity", str(good / "z.pkl"), given, "-o", output, *QUICK_CLUSTERS]
    return {"heterogeneity": words}


def _of_labels(good: Path, given: str, output: str) -> Commands:
    z = str(good / "z.pkl")
    return {"heterogeneity": ["heterogeneity", z, z, "-o", output, *QUICK_CLUSTERS, "--labels", given]}


def _of_volume(good: Path, given: str, output: str) -> Commands:
    blob = str(good / "blob.mrc")
    return {
        "compare-maps": ["compare-maps", blob, given, "-o", output],
        "mask": ["compare-maps", blob, blob, "--mask", given, "-o", output],
        "simulate": ["simulate", given, "-o", output, *FEW],
    }


def _of_half_maps(good: Path, given: str, output: str) -> Commands:
    audit = ["audit", "-o", output]
    given_as = {
        "audit": (given, "half2.mrc", "prior1.mrc"),
        "audit of half 2": ("half2.mrc", given, "prior1.mrc"),
        "audit of a prior's map": ("blob.mrc", "half2.mrc", given),
    }
    return {
        name: [*audit, *_named(("--half1", "--half2", "--prior-half1", "--prior-half2"), good, (*maps, "prior2.mrc"))]
        for name, maps in given_as.items()
    }


def _named(flags: tuple[str, ...], good: Path, files: tuple[str, ...]) -> list[str]:
    return [word for flag, file in zip(flags, files, strict=True) for word in (flag, str(good / file))]


def _of_map_prior(good: Path, given: str, output: str) -> Commands:
    halves = _named(("--half1", "--half2"), good, ("fine1.mrc", "fine2.mrc"))
    return {
        "validate": ["validate", given],
        "describe": ["describe", given],
        "audit": ["audit", *halves, "--map-prior", given, "--no-tests", "-o", output],
    }


def _of_reconstruction(good: Path, given: str, output: str) -> Commands:
    star = str(good / "sim/particles.star")
    return {
        "validate": ["validate", given],
        "evaluate": ["evaluate", given, "--reference", star, "-o", output, *QUICK_REPORT],
        "map": ["map", f"{given}/particles.star", "-o", output, *QUICK_MAP],
    }


def _of_model(good: Path, given: str, output: str) -> Commands:
    return {
        "simulate": ["simulate", given, "-o", output, *FEW],
        "model score": ["model", "score", str(good / "model.pdb"), given, "-o", output, "--deposited"],
    }


def _of_ctf_table(good: Path, given: str, output: str) -> Commands:
    return {"simulate": ["simulate", str(good / "blob.mrc"), "-o", output, *FEW, "--ctf", given]}


def _of_run(good: Path, given: str, output: str) -> Commands:
    words = Path(given) / WORDS
    return {"resume": json.loads(words.read_text())} if words.exists() else {}


def _sums(changed: str) -> Callable[[Path, Path], tuple[Path, Path]]:
    def copy(good: Path, folder: Path) -> tuple[Path, Path]:
        shutil.copytree(good / "sums", folder / "sums")
        return folder / "sums" / f"{SUMS}.star", folder / "sums" / f"{SUMS}{changed}"

    return copy


def _of_sums(good: Path, given: str, output: str) -> Commands:
    return {"external-reconstruct": ["external-reconstruct", given, "-o", output, "--map-prior", "none"]}


def _of_spectrum(good: Path, given: str, output: str) -> Commands:
    size = ["--box", "32", "--pixel-size", "8", "--n", "900", "--candidate", "quantize:bits=1"]
    return {"plan": ["plan", "--spectrum", given, *size, "-o", output]}


WORDS = "words.json"
"""The command that goes on in a folder that a run left, or the words themselves where words are what is changed."""


def resumed(good: Path, what: str, folder: Path) -> list[str]:
    """Return the words of the command that made a good folder, for the folder that is given."""
    star, y = str(good / "sim/particles.star"), str(good / "y.zarr")
    return {
        "recon": ["reconstruct", y, "-o", str(folder), "--solver", "least-squares", "--shard-size", "5"],
        "prior": ["train", star, "-o", str(folder), *TRAINING, "--resume"],
        "bench": ["bench", str(good / "plan.toml"), "-o", str(folder)],
    }[what]


HEADER_ONLY = ("describe",)
"""Commands that read no number that was measured: where those are damaged, what they say may be right."""

COSTLY = ("audit", "audit of half 2", "audit of a prior's map", "map", "evaluate", "heterogeneity", "train", "simulate")
"""Commands that work long after they have read: drawn less often."""

KINDS: dict[str, Kind] = {
    "star": Kind(_star, _of_particles),
    "stack": Kind(_stack, _of_particles),
    "bare": Kind(_copied("sim/particles.mrcs", "p.mrcs"), _of_bare),
    "cryosparc": Kind(_cryosparc, _of_particles),
    "measurements": Kind(_copied("y.zarr", "y.zarr"), _of_measurements),
    "half": Kind(_copied("half.zarr", "y.zarr"), _of_measurements),
    "packed": Kind(_copied("packed.zarr", "y.zarr"), _of_measurements),
    "prior": Kind(_copied("prior", "prior"), _of_prior),
    "map prior": Kind(_copied("map_prior", "map_prior"), _of_map_prior),
    "half map": Kind(_copied("blob.mrc", "m.mrc"), _of_half_maps),
    "plan": Kind(
        _copied("plan.toml", "plan.toml"), lambda good, given, output: {"bench": ["bench", given, "-o", output]}
    ),
    "poses": Kind(_copied("poses.pkl", "poses.pkl"), _of_companion("poses")),
    "ctf": Kind(_copied("ctf.pkl", "ctf.pkl"), _of_companion("ctf")),
    "ind": Kind(_copied("ind.pkl", "ind.pkl"), _of_companion("ind")),
    "latents": Kind(_copied("z.pkl", "z.pkl"), _of_latents),
    "labels": Kind(_copied("labels.csv", "labels.csv"), _of_labels),
    "rows": Kind(
        _copied("bench/rows.csv", "rows.csv"), lambda good, given, output: {"rows": ["operating-point", given]}
    ),
    "spectrum": Kind(_copied("snr.csv", "snr.csv"), _of_spectrum),
    "ctf table": Kind(_copied("ctf.csv", "ctf.csv"), _of_ctf_table),
    "volume": Kind(_copied("blob.mrc", "m.mrc"), _of_volume),
    "reconstruction": Kind(_copied("recon", "recon"), _of_reconstruction),
    "model": Kind(_copied("model.pdb", "m.pdb"), _of_model),
    "relion sums": Kind(_sums(".star"), _of_sums),
    "relion grid": Kind(_sums(WEIGHT), _of_sums),
    "run": Kind(_folder, _of_run),
    "words": Kind(_folder, _of_run),
}
"""All kinds of input by name."""
