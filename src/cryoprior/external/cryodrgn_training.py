"""Training of cryoDRGN's variational autoencoder on particles with known poses: its options, its run, its latents.

Latents after epoch N are in z.N.pkl. From version 4 epochs are counted from 1, before from 0: the last of 100 epochs is
z.100.pkl there and z.99.pkl here. Facts are those of cryoDRGN 3.4.0 and 4.3.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.external.cryodrgn import CRYODRGN, CryodrgnInput
from cryoprior.external.program import tail
from cryoprior.io.pickles import read_pickle

FIRST_COUNTED_FROM_ONE = 4
"""The major version of cryoDRGN that began to count epochs from 1."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class CryodrgnTraining:
    """What ``cryodrgn train_vae`` is asked for.

    box: pixels a side to which images are cropped in Fourier space; None: as they are.
    latent: dimension of the latent variable. layers, width: of encoder and decoder both.
    mixed_precision: half precision, for GPUs.
    """

    latent: int
    layers: int
    width: int
    epochs: int
    batch: int
    learning_rate: float
    box: int | None = None
    mixed_precision: bool = True
    seed: int = 0


CRYODRGN_PRESETS: dict[str, CryodrgnTraining] = {
    # the published experiment: cryoDRGN 3.4.0, a GPU
    "paper": CryodrgnTraining(latent=8, layers=3, width=1024, epochs=100, batch=32, learning_rate=1e-4),
    # a processor: minutes for some thousand particles
    "small": CryodrgnTraining(
        latent=8, layers=3, width=128, epochs=25, batch=8, learning_rate=1e-3, box=32, mixed_precision=False
    ),
}


def trained_version(folder: Path) -> str | None:
    """Return the version of the cryoDRGN that began a training, for example ``4.3.1``; None before its first epoch.

    It is read from config.yaml: the program itself takes many seconds to answer.

    Raises
    ------
    InputError: a config.yaml that states no version.
    """
    config = folder / "config.yaml"
    if not config.is_file():
        return None
    version = re.search(r"^version: *['\"]?(\d+(?:\.\w+)+)", config.read_text(), re.MULTILINE)
    if version is None:
        raise InputError(f"{config}: no line 'version: 4.3.1' or the like; expected cryoDRGN's; delete {folder}")
    return version.group(1)


def last_epoch(version: str, epochs: int) -> int:
    """Return the number in the names of the files of the last epoch; version 4 counts from 1, earlier ones from 0."""
    return epochs if int(version.split(".", maxsplit=1)[0]) >= FIRST_COUNTED_FROM_ONE else epochs - 1


def train(
    given: CryodrgnInput,
    folder: Path,
    training: CryodrgnTraining,
    *,
    uninvert: bool = False,
    executable: Path | None = None,
    threads: int | None = None,
) -> Path:
    """Return the latents, z.N.pkl of the last epoch, of a training that goes on where it stopped.

    An interrupted training starts again after the last epoch whose weights and latents are both whole. The draws of its
    batches then differ from those of a training that ran through: cryoDRGN keeps no state of them.

    Parameters
    ----------
    given: as :func:`cryoprior.external.cryodrgn.write_input` gives it.
    folder: cryoDRGN's output; its log is beside it.
    uninvert: leave the sign of the images as it is; see the module :mod:`cryoprior.external.cryodrgn`.
    executable: cryoDRGN's; None: the one that is found.
    threads: of the processor; None leaves it to cryoDRGN.

    Raises
    ------
    InputError: cryoDRGN is absent, fails, or leaves no latents.
    """
    folder, stack = folder.resolve(), given.stack.resolve()  # cryoDRGN runs beside the stack
    latents = _last_latents(folder, training)
    if latents is not None:
        return latents
    done = finished_epoch(folder)
    program, log = CRYODRGN.find(executable), folder.with_suffix(".log")
    words: list[str | float | Path] = [program, "train_vae", stack, "--poses", given.poses.resolve()]
    words += ["--outdir", folder]
    words += ["--ctf", given.ctf.resolve()] if given.ctf else []
    words += ["--uninvert-data"] if uninvert else []
    words += [*_words(training), *_words_of_its_version(program, training)]
    words += ["--load", folder / f"weights.{done}.pkl"] if done is not None else []
    environment = {name: str(threads) for name in THREADS} if threads else {}
    CRYODRGN.run(words, folder=stack.parent, log=log, environment=environment)
    latents = _last_latents(folder, training)
    if latents is None:
        raise InputError(
            f"{CRYODRGN.name}: it ended without the latents of epoch {training.epochs} in {folder}; its log is {log}, "
            f"which ends with\n{tail(log)}"
        )
    return latents


def finished_epoch(folder: Path) -> int | None:
    """Return the number of the last epoch whose weights and latents are whole, None where there is none.

    Latents are written after the weights, so whole latents mean whole weights.
    """
    numbers = sorted((int(path.name.split(".")[1]) for path in folder.glob("weights.*.pkl")), reverse=True)
    return next((n for n in numbers if _is_whole(folder / f"z.{n}.pkl")), None)


def _last_latents(folder: Path, training: CryodrgnTraining) -> Path | None:
    version = trained_version(folder)
    latents = folder / f"z.{last_epoch(version, training.epochs)}.pkl" if version else None
    return latents if latents is not None and _is_whole(latents) else None


def _is_whole(latents: Path) -> bool:
    try:
        read_pickle(latents)
    except InputError:
        return False
    return True


def _words(training: CryodrgnTraining) -> list[str | float]:
    words: list[str | float] = ["--zdim", training.latent, "--num-epochs", training.epochs]
    words += ["--batch-size", training.batch, "--lr", training.learning_rate]
    for part in ("enc", "dec"):
        words += [f"--{part}-layers", training.layers, f"--{part}-dim", training.width]
    words += ["--seed", training.seed]
    return words if training.mixed_precision else [*words, "--no-amp"]


@lru_cache
def _help(program: Path) -> str:
    text = CRYODRGN.answer([str(program), "train_vae", "--help"])
    if "--zdim" not in text:
        raise InputError(
            f"{program}: `train_vae --help` says {text.strip()[-80:]!r}; expected cryoDRGN's options; pass the path of "
            "its executable"
        )
    return text


def _words_of_its_version(program: Path, training: CryodrgnTraining) -> list[str | float]:
    """Return the options that only some versions know: those that its help names."""
    wanted: dict[str, list[str | float]] = {"--shuffle-seed": [training.seed], "--no-analysis": []}
    return [word for flag, values in wanted.items() if flag in _help(program) for word in (flag, *values)]
