from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cryoprior.errors import InputError
from cryoprior.io import ReconstructionWriter, ShardWriter, finished_shards, merge_shards, read_particles, row_batches
from kit.stacks import BOX, N, draw_images, draw_optics, draw_table


@pytest.mark.parametrize("batch", [1, 4, 7])
@pytest.mark.parametrize("shard_size", [3, 7, 100])
def test_a_reconstruction_reads_as_particles(tmp_path: Path, batch: int, shard_size: int) -> None:
    images, table, optics = draw_images(), draw_table(), draw_optics()
    with ReconstructionWriter(tmp_path / "recon", table, optics, shard_size=shard_size) as writer:
        for start in range(0, N, batch):
            writer.write(images[start : start + batch])
            assert not (tmp_path / "recon" / "particles.star").exists()
    stack = read_particles(tmp_path / "recon" / "particles.star")
    np.testing.assert_array_equal(stack.read(slice(None)), images)
    same = table.drop(columns="rlnImageName").assign(rlnImageOriginalName=table["rlnImageName"])
    pd.testing.assert_frame_equal(stack.table.drop(columns="rlnImageName"), same, check_dtype=False, check_exact=True)
    pd.testing.assert_frame_equal(stack.optics, optics, check_dtype=False, check_exact=True)
    assert list(stack.table.columns) == [*table.columns, "rlnImageOriginalName"]


def test_processes_write_shards_in_any_order(tmp_path: Path) -> None:
    images, table, optics = draw_images(), draw_table(), draw_optics()
    for rows in reversed(row_batches(N, 3)):
        with ShardWriter(tmp_path, rows, BOX, 1.5) as writer:
            writer.write(images[rows.start : rows.stop])
        if rows.start:
            with pytest.raises(InputError, match=rf"rows 0 to {rows.start - 1} are in no shard"):
                merge_shards(tmp_path, table, optics)
    assert finished_shards(tmp_path) == row_batches(N, 3)
    np.testing.assert_array_equal(read_particles(merge_shards(tmp_path, table, optics)).read([6, 3]), images[[6, 3]])


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    table, optics = draw_table(), draw_optics()

    def put(rows: range, box: int = BOX) -> None:
        with ShardWriter(tmp_path, rows, box, 1.5) as writer:
            writer.write(draw_images(len(rows), box))

    put(range(3))
    put(range(4, 7))
    with pytest.raises(InputError, match=r"rows 3 to 3 are in no shard; reconstruct them, then merge"):
        merge_shards(tmp_path, table, optics)
    put(range(2, 4))
    with pytest.raises(InputError, match=r"rows 2 to 2 are in two shards; delete the shards of the older run"):
        merge_shards(tmp_path, table, optics)
    (tmp_path / "shards" / "000000002-000000004.mrcs").unlink()
    put(range(3, 4), 8)
    with pytest.raises(InputError, match=r"1 images of box 8; expected 1 of 16; delete it"):
        merge_shards(tmp_path, table, optics)
    put(range(3, 4))
    put(range(7, 9))
    with pytest.raises(InputError, match=r"shards of 9 rows for 7 particles"):
        merge_shards(tmp_path, table, optics)
    assert not (tmp_path / "particles.star").exists()


def test_a_failure_leaves_no_half_shard(tmp_path: Path) -> None:
    stopped = pytest.raises(RuntimeError, match="stop")
    with stopped, ReconstructionWriter(tmp_path, draw_table(), draw_optics(), shard_size=3) as writer:
        writer.write(draw_images(4))
        raise RuntimeError("stop")
    assert finished_shards(tmp_path) == [range(3)]
    assert not (tmp_path / "particles.star").exists()
    assert len(list((tmp_path / "shards").iterdir())) == 1
    many = pytest.raises(ValueError, match="8 images for 7 particles")
    with many, ReconstructionWriter(tmp_path, draw_table(), draw_optics()) as writer:
        writer.write(draw_images(8))
