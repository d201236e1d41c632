"""The processes that cluster under several seeds end when the run is told to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing import active_children

import numpy as np
import pytest

from cryoprior.heterogeneity import seeds
from cryoprior.heterogeneity.clusters import ClusterSettings
from cryoprior.interruption import Interrupted, interruptible
from kit.waiting import wait_long


@pytest.mark.slow
def test_processes_end_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "cluster_latents", wait_long)
    work = {("latents", number): (np.zeros((4, 2), np.float32), ClusterSettings(), number) for number in range(3)}

    def tell() -> None:
        last = time.monotonic() + 20
        while len(active_children()) < 2 and time.monotonic() < last:
            time.sleep(0.02)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=tell)
    teller.start()
    start = time.monotonic()
    with pytest.raises(Interrupted), interruptible():
        list(seeds._in_processes(work, 2))
    teller.join()
    assert time.monotonic() - start < 40
    assert not active_children()
