"""What the machine refuses is one line and a code, on the real command line; nothing half-made is left."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from cryoprior import cli
from cryoprior.cli.failures import failure_of
from cryoprior.output import record
from cryoprior.output.files import naming, shown_path, whole_file
from kit.stacks import draw_images

OUT = "/data/run/out"


@pytest.mark.parametrize(
    ("number", "code", "text"),
    [
        (errno.ENOSPC, 74, "the disk is full; make room, or pass another <output>; then run the command again"),
        (errno.EDQUOT, 74, "the quota on this disk is used up"),
        (errno.EIO, 74, "the disk failed (input/output error)"),
        (errno.EMFILE, 74, "too many open files; raise the limit with `ulimit -n 4096`"),
        (errno.ENOMEM, 74, "out of memory"),
        (errno.EXDEV, 74, os.strerror(errno.EXDEV)),
        (errno.EROFS, 2, "the file system is read-only; pass another <output>"),
        (errno.EACCES, 2, "no permission"),
        (errno.EPERM, 2, "the system does not permit this"),
        (errno.ENOTDIR, 2, "a part of this path is a file"),
        (errno.ENAMETOOLONG, 2, "the name is too long"),
        (errno.ENOENT, 2, "no such file or folder; is it still there"),
        (errno.ELOOP, 2, "links that lead to one another"),
        (errno.EFBIG, 2, "see `ulimit -f`"),
    ],
)
def test_an_error_of_the_system_says_what_to_do(number: int, code: int, text: str) -> None:
    failure = failure_of(OSError(number, os.strerror(number), f"{OUT}/a.mrcs"))
    assert failure is not None
    assert failure.exit_code == code
    assert failure.message.startswith(f"{OUT}/a.mrcs: ")
    assert text in failure.message
    assert "\n" not in failure.message


def test_memory_that_is_used_up_is_told_whoever_says_so() -> None:
    class OutOfMemoryError(RuntimeError):  # as torch calls it
        pass

    for error in (
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
        np._core._exceptions._ArrayMemoryError((10**9,), np.dtype("f4")),  # type: ignore[attr-defined]
    ):
        failure = failure_of(error, batched=True)
        assert failure is not None
        assert failure.exit_code == 74
        assert failure.message.startswith("out of memory (")
        assert "pass a smaller <batch>" in failure.message
        assert "\n" not in failure.message
    assert failure_of(RuntimeError("shapes cannot be multiplied")) is None
    assert failure_of(ZeroDivisionError("x")) is None


def test_a_command_that_resumes_says_so() -> None:
    failure = failure_of(OSError(errno.ENOSPC, "full", OUT), resumes=True)
    assert failure is not None
    assert failure.message.endswith("then run the command again with <resume>")


def test_an_error_without_a_name_gets_that_of_what_was_written(tmp_path: Path) -> None:
    inside = tmp_path / ".out.0123abcd.partial" / "shards"
    inside.mkdir(parents=True)
    for error in (OSError(errno.ENOSPC, "full"), SafetensorError("I/O error: No space left on device (os error 28)")):
        with pytest.raises(OSError, match="No space left") as raised, whole_file(inside / "a.mrcs") as partial:
            partial.write_bytes(b"half")
            raise error
        failure = failure_of(raised.value)
        assert failure is not None
        assert failure.message.startswith(f"{tmp_path}/out/shards/a.mrcs: the disk is full")
        assert list(inside.iterdir()) == []
    with pytest.raises(FileNotFoundError) as kept, naming(tmp_path):
        (tmp_path / "input.star").read_text()
    assert kept.value.filename == str(tmp_path / "input.star")


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        (".out.0123abcd.partial/a.star", "out/a.star"),
        (".out.0123abcd.old", "out"),
        (".out.next/shards/.0123abcd.partial.b.mrcs", "out/shards/b.mrcs"),
        (".out.lock", "out"),
        ("out/.hidden/x.partial", "out/.hidden/x.partial"),
    ],
)
def test_names_in_the_making_are_shown_as_they_will_be(hidden: str, shown: str) -> None:
    assert shown_path(f"/data/{hidden}") == Path("/data") / shown


# the command line


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    from cryoprior.io import write_stack

    write_stack(tmp_path / "p.mrcs", draw_images(), 1.5)
    return tmp_path / "p.mrcs"


def convert(stack: Path | str, out: Path | str, capsys: pytest.CaptureFixture[str], code: int) -> str:
    with pytest.raises(SystemExit) as left:
        cli.main(["convert", str(stack), "-o", str(out), "--quiet"])
    shown = capsys.readouterr().err
    assert left.value.code == code, shown
    assert "Traceback" not in shown
    lines = [line for line in shown.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, shown
    return lines[0]


def test_an_output_that_cannot_be_made(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stack.parent
    (folder / "file").write_text("")
    (folder / "loop").symlink_to("loop")
    before = {path.name for path in folder.iterdir()}
    for out, text in (
        (folder / "file" / "out", "/file is a file); expected"),
        (folder / "file", "a file; expected a folder"),
        (folder / ("n" * 300), "the name is too long for this file system"),
        (folder / "loop", "links that lead to one another"),
        (folder / "loop" / "out", "links that lead to one another"),
    ):
        line = convert(stack, out, capsys, 2)
        assert text in line
        assert str(folder) in line
        assert {path.name for path in folder.iterdir()} == before


def test_an_output_where_nothing_may_be_written(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    sealed = stack.parent / "sealed"
    sealed.mkdir(mode=0o500)
    assert "Permission denied" in convert(stack, sealed / "out", capsys, 2)
    stack.chmod(0)
    assert "no permission" in convert(stack, stack.parent / "out", capsys, 2)


@contextmanager
def limited(kind: int, value: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def test_a_limit_of_the_system_is_told(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name for path in stack.parent.iterdir()}
    with limited(resource.RLIMIT_FSIZE, 4000):
        line = convert(stack, stack.parent / "out", capsys, 2)
    assert f"{stack.parent}/out/particles.mrcs: the file would be larger than this system allows" in line
    assert {path.name for path in stack.parent.iterdir()} == before


def test_a_folder_that_vanishes_meanwhile(
    stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = record.write_provenance

    def vanishing(folder: Path, *given: object, **more: object) -> Path:
        shutil.rmtree(stack.parent / "results")
        return write(folder, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(record, "write_provenance", vanishing)
    line = convert(stack, stack.parent / "results" / "out", capsys, 2)
    assert f"{stack.parent}/results/out/provenance.json: no such file or folder; is it still there" in line
    assert sorted(path.name for path in stack.parent.iterdir()) == ["p.mrcs"]


def test_what_cannot_be_read_twice_is_refused_at_once(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(stack.parent / "pipe.star")
    assert "pipe.star: a pipe; expected a file or a folder" in convert(
        stack.parent / "pipe.star", stack.parent / "out", capsys, 2
    )
    assert "/dev/zero: a device; expected a file" in convert("/dev/zero", stack.parent / "out", capsys, 2)
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{short}/s.star")
        assert "s.star: a socket; expected a file" in convert(f"{short}/s.star", stack.parent / "out", capsys, 2)
    assert not (stack.parent / "out").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, a disk that is always full")
def test_what_is_printed_finds_no_room_or_no_reader() -> None:
    line = [sys.executable, "-m", "cryoprior", "list"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (74, 1)
    assert done.stderr.startswith("error: stdout: ")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(line, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")
