"""The clusterings of latents under several seeds, two at a time where UMAP makes each of them slow."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context

import numpy as np

from cryoprior.errors import InputError
from cryoprior.heterogeneity.clusters import Clustering, ClusterSettings, cluster_latents
from cryoprior.heterogeneity.embedding import ORIGINAL, OTHER
from cryoprior.progress import track
from cryoprior.random import stream_key

Task = tuple[str, int]
"""Which latents, and which of the seeds."""


def random_state(seed: int, number: int) -> int:
    """Return the random state of UMAP and mixture under the numbered seed; it is the same for all latents."""
    return stream_key(seed, "heterogeneity/clusters", number) & 0x7FFFFFFF


def cluster_all(
    latents: Mapping[str, np.ndarray], settings: ClusterSettings, seed: int, seeds: int, processes: int | None
) -> dict[str, list[Clustering]]:
    """Return the clusterings of each set of latents under every seed.

    Without latents named ``other``, the originals under the next seed stand in for them as a ceiling; that takes one
    more seed of the originals.

    Raises
    ------
    InputError: what :func:`cryoprior.heterogeneity.clusters.cluster_latents` refuses, or a process that was ended.
    """
    tasks: list[Task] = [(name, number) for number in range(seeds) for name in latents]
    if OTHER not in latents:
        tasks.append((ORIGINAL, seeds))
    work = {task: (latents[task[0]], settings, random_state(seed, task[1])) for task in tasks}
    parallel = min(processes or min(2, os.cpu_count() or 1), len(tasks)) if settings.embedding.method == "umap" else 1
    results = _in_processes(work, parallel) if parallel > 1 else ((t, cluster_latents(*w)) for t, w in work.items())
    done = dict(track(results, "clusters", len(tasks)))
    clusterings = {name: [done[name, number] for number in range(seeds)] for name in latents}
    if OTHER not in latents:
        clusterings[OTHER] = [done[ORIGINAL, number + 1] for number in range(seeds)]
    return clusterings


def _in_processes(
    work: Mapping[Task, tuple[np.ndarray, ClusterSettings, int]], processes: int
) -> Iterator[tuple[Task, Clustering]]:
    """Yield every task with its clustering as it is done; each process compiles UMAP once and keeps it."""
    others = set(active_children())
    ignored = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; this process alone answers
    with ProcessPoolExecutor(processes, get_context("spawn"), signal.signal, ignored) as pool:
        futures = {pool.submit(cluster_latents, *given): task for task, given in work.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise InputError(
                f"heterogeneity: one of {processes} processes was ended, for want of memory, or because a script "
                "calls run() outside `if __name__ == '__main__'`; pass <processes=1>"
            ) from error
        except BaseException:
            for process in set(active_children()) - others:  # a task takes minutes, and nobody waits for it
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
