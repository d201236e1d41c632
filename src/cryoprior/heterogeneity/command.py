"""``cryoprior heterogeneity``: whether a reconstruction keeps the states that cryoDRGN finds in the originals."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryoprior.errors import InputError
from cryoprior.heterogeneity.embedding import EMBEDDINGS, ORIGINAL, OTHER, RECONSTRUCTED
from cryoprior.options import COMPUTING, INPUT, argument, check_options, option, output_option, overwrite_option

if TYPE_CHECKING:
    from cryoprior.heterogeneity.clusters import ClusterSettings
    from cryoprior.heterogeneity.engine import Labels

COMMAND, TRAINING = "heterogeneity", "training"
"""``training`` is the folder of cryoDRGN's own files in the output, where it is trained here."""
TRAINS = {"trains": True}
"""What tells an output with trainings from one without."""


EXAMPLE = "cryoprior heterogeneity particles.star recon/particles.star --train small -o het/"


@dataclass(frozen=True)
class Options:
    original: Path = argument("Latents of the original particles, cryoDRGN's z.N.pkl; or the particles, with --train.")
    reconstructed: Path = argument("The same of the reconstructed particles; latents must be in the same order.")
    output: Path = output_option("Folder to write.")
    labels: Path | None = option(
        "CSV with the true state of every particle, such as simulate's labels.csv.", None, group=INPUT
    )
    label_column: str | None = option(
        "Column of the labels (default: state, or the only one that fits).", None, group=INPUT
    )
    indices: Path | None = option(
        "Rows of the labels that were trained on: the pickle of cryoDRGN's --ind.", None, group=INPUT
    )
    ceiling: Path | None = option(
        "Latents of the original particles from another training: how far two trainings agree without any loss.",
        None,
        group=INPUT,
    )
    embedding: str = option("What the clusters are fitted to; umap is the paper's.", "umap", choices=EMBEDDINGS)
    neighbours: int = option("UMAP's number of neighbours.", 15, minimum=2, maximum=200)
    min_dist: float = option("UMAP's least distance between points.", 0.1, minimum=0, maximum=1)
    clusters: int = option("Gaussians of the mixture.", 4, minimum=2, maximum=50)
    starts: int = option("Starts of each mixture; the likeliest counts.", 10, minimum=1)
    seeds: int = option("Seeds of embedding and mixture; medians over them are reported.", 5, minimum=1, maximum=100)
    train: str | None = option(
        "Train cryoDRGN first, on every argument that is a particle file: as in the paper, or small, for a processor.",
        None,
        choices=("paper", "small"),
    )
    train_ceiling: bool = option("Train on the original particles once more, with the next seed: the ceiling.", False)
    train_box: int | None = option("Box that --train crops images to (default: the preset's).", None, minimum=16)
    epochs: int | None = option("Epochs of --train (default: the preset's).", None, minimum=1)
    contrast: str = option(
        "Sign of the particles for --train; auto looks at the original.", "auto", choices=("auto", "bright", "dark")
    )
    cryodrgn: Path | None = option(
        "cryoDRGN's executable for --train (default: the installed one).", None, group=COMPUTING
    )
    threads: int | None = option(
        "Processor threads of --train (default: cryoDRGN's choice).", None, minimum=1, group=COMPUTING
    )
    processes: int | None = option("UMAP embeddings at a time (default: 2).", None, minimum=1, group=COMPUTING)
    seed: int = option("Seed that all others come from.", 0, minimum=0)
    overwrite: bool = overwrite_option()

    def __post_init__(self) -> None:
        check_options(self)
        particles = [path for path in (self.original, self.reconstructed) if not _is_latents(path)]
        if particles and self.train is None:
            raise InputError(
                f"{particles[0]}: no latents (.pkl, .npy); pass cryoDRGN's z.N.pkl, or <train=small> for particles"
            )
        if self.train is not None and not particles:
            raise InputError(f"{self.original}: latents are trained already; leave out <train>, or pass particles")
        if self.train_ceiling and (self.original not in particles or self.ceiling is not None):
            raise InputError(
                f"{self.original}: <train_ceiling> trains on the original particles with <train>, in the place of "
                "<ceiling>; pass particles, or latents of another training with <ceiling>"
            )
        if self.labels is None and (self.label_column or self.indices):
            raise InputError("heterogeneity: <label_column> and <indices> belong to <labels>; pass that too")

    @property
    def settings(self) -> ClusterSettings:
        """How latents are clustered."""
        from cryoprior.heterogeneity.clusters import ClusterSettings
        from cryoprior.heterogeneity.embedding import EmbeddingSettings

        embedding = EmbeddingSettings(self.embedding, self.neighbours, self.min_dist)
        return ClusterSettings(embedding, self.clusters, self.starts)

    @property
    def inputs(self) -> list[Path]:
        """All files that were named."""
        given = (self.original, self.reconstructed, self.labels, self.indices, self.ceiling)
        return [path for path in given if path is not None]


def run(options: Options) -> dict[str, Any]:
    """Return the summary of how far the clusters of two sets of latents agree; the output holds files and a report."""
    from cryoprior.heterogeneity.embedding import check_embedding
    from cryoprior.heterogeneity.engine import compare_latents
    from cryoprior.heterogeneity.files import write_results
    from cryoprior.io.latents import read_latents
    from cryoprior.output.record import write_provenance

    start = time.perf_counter()
    check_embedding(options.settings.embedding)
    with _output(options) as folder:
        labels = _read_labels(options)  # before anything is trained
        paths = _latents(options, folder / TRAINING)
        latents = {name: read_latents(path) for name, path in paths.items()}
        shown = {name: str(_shown(path, folder, options.output)) for name, path in paths.items()}
        agreement = compare_latents(
            latents,
            options.settings,
            labels=labels,
            names=shown,
            seed=options.seed,
            seeds=options.seeds,
            processes=options.processes,
        )
        summary = {
            **agreement.summary(),
            "latents": shown,
            **_training(options, paths, folder / TRAINING),
            "latent_dimensions": {name: array.shape[1] for name, array in latents.items()},
            "embedding": options.embedding,
            "clusters": options.clusters,
            "seeds": options.seeds,
            "shown_seed": agreement.shown,
            "unconverged": agreement.unconverged,
            "seconds_by_seed": agreement.seconds_by_seed,
            "seconds": time.perf_counter() - start,
        }
        write_provenance(folder, COMMAND, options, options.inputs, options.seed)
        write_results(folder, summary, agreement, (str(options.original), str(options.reconstructed)))
    return summary


def _latents(options: Options, work: Path) -> dict[str, Path]:
    """Return the files of latents by name; those of particles are trained, or resumed, in ``work``."""
    paths = {ORIGINAL: options.original, RECONSTRUCTED: options.reconstructed}
    paths |= {OTHER: options.ceiling} if options.ceiling is not None else {}
    if options.train is None:
        return paths
    from cryoprior.external.cryodrgn_training import CRYODRGN_PRESETS
    from cryoprior.heterogeneity.training import TrainingJob, train_latents

    preset = CRYODRGN_PRESETS[options.train]
    box, epochs = options.train_box or preset.box, options.epochs or preset.epochs
    training = dataclasses.replace(preset, box=box, epochs=epochs, seed=options.seed)
    jobs = {
        name: TrainingJob(path, training, options.contrast, options.cryodrgn, options.threads)
        for name, path in paths.items()
        if not _is_latents(path)
    }
    if options.train_ceiling:
        again = dataclasses.replace(training, seed=options.seed + 1)
        jobs[OTHER] = dataclasses.replace(jobs[ORIGINAL], training=again)
    return paths | train_latents(jobs, work, overwrite=options.overwrite)


def _training(options: Options, paths: Mapping[str, Path], work: Path) -> dict[str, Any]:
    """Return what was trained here, and by which cryoDRGN; nothing where latents were given."""
    if options.train is None:
        return {}
    from cryoprior.external.cryodrgn_training import trained_version

    trained = {name: path for name, path in paths.items() if work in path.parents}
    versions = ", ".join(sorted({str(trained_version(path.parent)) for path in trained.values()}))
    return {"training": {"preset": options.train, "trained": sorted(trained), "cryodrgn": versions}}


@contextmanager
def _output(options: Options) -> Iterator[Path]:
    """Yield the folder to write into: a new one, or with ``train`` one that keeps its trainings from run to run."""
    from cryoprior.output.folder import claim_output, holds_run, resume_output

    if options.train is None:
        with claim_output(options.output, COMMAND, overwrite=options.overwrite, inputs=options.inputs) as folder:
            yield folder
        return
    from cryoprior.heterogeneity.files import WRITTEN

    with resume_output(
        options.output,
        COMMAND,
        TRAINS,
        makes=(*WRITTEN, TRAINING),
        overwrite=options.overwrite and not holds_run(options.output, COMMAND, TRAINS),
        inputs=options.inputs,
        reopen=True,
    ) as work:
        (work.folder / "summary.json").unlink(missing_ok=True)
        yield work.folder
        work.complete()


def _shown(path: Path, folder: Path, output: Path) -> Path:
    """Return a path by the name that it has when the output is whole."""
    return output.resolve() / path.relative_to(folder) if folder in path.parents else path


def _is_latents(path: Path) -> bool:
    from cryoprior.io.latents import is_latents

    return is_latents(path)


def _read_labels(options: Options) -> Labels | None:
    from cryoprior.heterogeneity.engine import Labels
    from cryoprior.io.latents import read_labels

    if options.labels is None:
        return None
    column, values = read_labels(options.labels, options.label_column, options.indices)
    return Labels(values, column, str(options.indices or options.labels))
