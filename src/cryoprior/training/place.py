"""Where a training run writes: a folder that it claims, goes on in, and completes, for all its processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cryoprior.errors import InputError
from cryoprior.output.folder import resume_output
from cryoprior.training.checkpoint import has_checkpoint
from cryoprior.training.files import MAKES
from cryoprior.training.setup import TrainingSetup


def check_free(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise InputError for an output in use, unless the run goes on with it or replaces it."""
    used = folder.is_dir() and any(not entry.name.startswith(".") for entry in folder.iterdir())
    if used and not resume and not overwrite:
        raise InputError(f"{folder}: the output is in use; pass another <output>, <resume> or <overwrite>")


@contextmanager
def open_output(folder: Path, setup: TrainingSetup, *, resume: bool, overwrite: bool) -> Iterator[Path]:
    """Yield the folder in which a run works, to all its processes; the first of them holds it, and completes it."""
    from accelerate.utils import broadcast_object_list

    def tell(place: Path | None) -> Path | None:
        told: Path | None = broadcast_object_list([place])[0]
        return told

    if not setup.accelerator.is_main_process:
        place = tell(None)
        if place is None:
            raise InputError(f"{folder}: the first process refused the run; its message says why")
        yield place
        setup.accelerator.wait_for_everyone()
        return
    with ExitStack() as stack:
        try:
            claim = resume_output(
                folder,
                "train",
                setup.identity(),
                makes=MAKES,
                overwrite=overwrite,
                inputs=setup.data.files,
                reopen=resume,
            )
            work = stack.enter_context(claim)
            if resume and not has_checkpoint(work.folder):
                raise InputError(f"{folder}: no checkpoint; nothing to resume; drop <resume>")
        except InputError:
            tell(None)
            raise
        tell(work.folder)
        yield work.folder
        setup.accelerator.wait_for_everyone()
        work.complete()
