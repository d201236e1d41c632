"""A Dask cluster of two workers, one of which is killed in the middle of a run."""

from __future__ import annotations

import os
import signal
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.executors import parse_executor
from cryoprior.io import finished_shards
from cryoprior.reconstruction.command import Options, run
from kit.folders import same_images
from kit.stacks import many_measurements

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(find_spec("distributed") is None, reason="needs the extra cluster"),
]

PARTICLES = 400
CHOSEN = {"solver": "total-variation:iterations=30", "shard_size": 10, "threads": 1, "batch": 5}


def test_a_worker_that_is_killed_is_made_up_for(tmp_path: Path) -> None:
    import distributed

    measured, output = many_measurements(tmp_path, PARTICLES), tmp_path / "spread"
    run(Options(measured, tmp_path / "alone", **CHOSEN))
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    killed: list[int] = []

    def kill_one() -> None:
        while len(finished_shards(output)) < 4:
            time.sleep(0.05)
        worker = next(iter(cluster.workers.values()))
        killed.append(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill_one)
    try:
        thread.start()
        run(Options(measured, output, executor=f"dask:{cluster.scheduler_address}", **CHOSEN))
    finally:
        thread.join(60)
        cluster.close()
    assert killed
    same_images(tmp_path / "alone", output)


def test_an_address_where_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryoprior.executors.dask.PATIENCE_SECONDS", 1.0)
    executor = parse_executor("dask:tcp://127.0.0.1:9")
    assert executor is not None
    with pytest.raises(InputError, match=r"dask: no scheduler answers at tcp://127\.0\.0\.1:9"):
        executor.width(3)
