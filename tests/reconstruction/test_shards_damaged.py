"""The record of a shard that cannot be read: the shard is made again, and the run ends as one that was not damaged."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from cryoprior.reconstruction.shards import Shards


@pytest.fixture
def begun(tmp_path: Path) -> Shards:
    """Return two finished shards of 2 particles."""
    shards = Shards(tmp_path, 4, 2, ("seconds",))
    for rows in shards.all():
        with shards.writers(rows, 8, 1.0, deviation=False) as (writer,):
            writer.write(np.ones((2, 8, 8), np.float32))
            shards.write_record(rows, {"seconds": 1.0, "intensity": None, "contrast": None})
    return shards


@pytest.mark.parametrize("text", ["", "[]", '{"seconds": "x"}', "[" * 100_000, '{"seconds": 1.0}', "\xff"])
def test_a_damaged_record_makes_its_shard_pending(begun: Shards, text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert begun.pending(0, 1) == []
    (begun.folder / "records/000000002-000000004.json").write_bytes(text.encode("latin-1"))
    with caplog.at_level(logging.WARNING):
        assert begun.pending(0, 1) == [range(2, 4)]
    assert "000000002-000000004.json" in caplog.text
    assert "made again" in caplog.text


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_record_that_is_no_file_makes_its_shard_pending(begun: Shards, make) -> None:
    path = begun.folder / "records/000000002-000000004.json"
    path.unlink()
    make(path)
    assert begun.pending(0, 1) == [range(2, 4)]
