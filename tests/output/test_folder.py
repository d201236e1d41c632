"""An output is whole or absent, gone on with or refused; what this program did not make is never deleted."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.interruption import Interrupted, interruptible
from cryoprior.output import folder as folders
from cryoprior.output.files import whole_file, write_whole
from cryoprior.output.folder import Work, claim_output, resume_output
from cryoprior.output.lock import OutputLock
from cryoprior.output.manifest import MARK, Manifest

IDENTITY = {"seed": 1, "path": Path("a")}


def shown(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != MARK)


def make(path: Path, *names: str, overwrite: bool = False) -> Path:
    with claim_output(path, "make", overwrite=overwrite) as folder:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
    return path


def fill(path: Path, *names: str, seed: int = 1, complete: bool = True, **how: bool) -> Path:
    with resume_output(path, "fill", {"seed": seed}, makes=("shards", "*.txt"), **how) as work:
        for name in names:
            (work.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (work.folder / name).write_text(str(seed))
        if complete:
            work.complete()
        return work.folder


# whole or absent


def test_the_output_appears_whole_with_its_parents(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with claim_output(target) as partial:
        (partial / "a").write_text("1")
        assert not target.exists()
    assert shown(target) == ["a"]
    assert shown(target.parent) == ["out"]


def test_a_failure_leaves_nothing_and_keeps_the_old_result(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="half way"), claim_output(tmp_path / "deep" / "out") as partial:
        (partial / "a").write_text("1")
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []
    make(tmp_path / "out", "a")
    with pytest.raises(RuntimeError), claim_output(tmp_path / "out", overwrite=True):
        raise RuntimeError
    assert shown(tmp_path / "out") == ["a"]
    assert shown(tmp_path) == ["out"]


def test_a_result_is_replaced_only_when_told(tmp_path: Path) -> None:
    out = make(tmp_path / "out", "a", "deep/b")
    with pytest.raises(InputError, match=r"out: the output is in use; pass another"), claim_output(out):
        pass
    make(out, "c", overwrite=True)
    assert shown(out) == ["c"]
    assert shown(tmp_path) == ["out"]


def test_the_old_result_is_there_until_the_new_one_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, seen = make(tmp_path / "out", "a"), []
    removed = folders._removed
    monkeypatch.setattr(folders, "_removed", lambda old: (seen.append((shown(out), shown(old))), removed(old)))
    make(out, "b", overwrite=True)
    assert seen == [(["b"], ["a"])]


def test_the_old_result_has_its_name_again_where_the_new_one_cannot_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, rename = make(tmp_path / "out", "a"), Path.rename

    def refused(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError("no room")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(OSError, match="no room"):
        make(out, "b", overwrite=True)
    assert shown(out) == ["a"]
    assert shown(tmp_path) == ["out"]


def test_content_is_on_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))

    monkeypatch.setattr("cryoprior.output.files.os.fsync", note)
    rename = Path.rename
    order: list[str] = []

    def noted(self: Path, target: Path) -> Path:
        order.extend(["renamed", *synced])
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", noted)
    make(tmp_path / "out", "deep/a")
    before = order[1:]
    assert any(path.endswith("partial/deep/a") for path in before)
    assert any(path.endswith("partial/deep") for path in before)
    assert str(tmp_path) in synced[len(before) :]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make(tmp_path / "out", "a")
    assert shown(tmp_path / "out") == ["a"]


# nothing is deleted that is not ours


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    out = tmp_path / "out"
    write_whole(tmp_path / "note", "kept")
    out.mkdir()
    (out / "thesis.tex").write_text("kept")
    for target in (out, tmp_path / "note"):
        with pytest.raises(InputError), claim_output(target, overwrite=overwrite):
            pass
        with pytest.raises(InputError), resume_output(target, "fill", {}, overwrite=overwrite):
            pass
    assert (out / "thesis.tex").read_text() == "kept"
    assert (tmp_path / "note").read_text() == "kept"


@pytest.mark.parametrize("foreign", ["thesis.tex", "deep/thesis.tex", "figures/"])
def test_what_a_user_put_into_our_result_is_named_and_kept(tmp_path: Path, foreign: str) -> None:
    out = make(tmp_path / "out", "a", "deep/b")
    path = out / foreign
    if foreign.endswith("/"):
        path.mkdir()
    else:
        path.write_text("kept")
    match = f"out: holds {foreign.rstrip('/')}, which this program did not make"
    with pytest.raises(InputError, match=match), claim_output(out, overwrite=True):
        pass
    with pytest.raises(InputError, match=match), resume_output(out, "fill", {}, overwrite=True):
        pass
    assert path.exists()
    assert shown(out)[0] == "a"


def test_what_appears_while_the_old_result_is_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = make(tmp_path / "out", "a")
    check = folders.check_ours

    def late(folder: Path) -> None:
        check(folder)
        (folder / "late.txt").write_text("kept")

    monkeypatch.setattr(folders, "check_ours", late)
    make(out, "b", overwrite=True)
    assert [path.read_text() for path in tmp_path.rglob("late.txt")] == ["kept"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("given", ["sim", "sim/particles.star", "sim/deep/p.mrcs", "link.star", "sim/inner.star"])
def test_an_input_is_never_replaced(tmp_path: Path, given: str, overwrite: bool) -> None:
    sim = make(tmp_path / "sim", "particles.star", "deep/p.mrcs")
    (tmp_path / "link.star").symlink_to(sim / "particles.star")
    (tmp_path / "elsewhere.star").write_text("")
    if given == "sim/inner.star":
        (sim / "inner.star").symlink_to(tmp_path / "elsewhere.star")
    inputs = [None, tmp_path / given]
    with pytest.raises(InputError, match="which this run reads"), claim_output(sim, overwrite=overwrite, inputs=inputs):
        pass
    with (
        pytest.raises(InputError, match="which this run reads"),
        resume_output(sim, "fill", {}, overwrite=overwrite, inputs=inputs),
    ):
        pass
    assert (sim / "deep" / "p.mrcs").is_file()


def test_links_named_like_our_hidden_folders_lead_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("kept")
    (precious / MARK).write_text((make(tmp_path / "x", "a") / MARK).read_text())
    for name in (".out.partial", ".out.0123abcd.partial", ".out.0123abcd.old", ".out.next"):
        (tmp_path / name).symlink_to(precious)
    make(tmp_path / "out", "a")
    make(tmp_path / "out", "b", overwrite=True)
    assert (precious / "thesis.tex").read_text() == "kept"
    (tmp_path / ".out.lock").symlink_to(precious / "thesis.tex")
    with pytest.raises(InputError, match="cannot be written beside it"), claim_output(tmp_path / "out", overwrite=True):
        pass
    assert (precious / "thesis.tex").read_text() == "kept"


def test_a_folder_named_like_our_hidden_ones_without_a_mark_is_kept(tmp_path: Path) -> None:
    other = tmp_path / ".out.0123abcd.partial"
    other.mkdir()
    (other / "thesis.tex").write_text("kept")
    make(tmp_path / "out", "a")
    assert (other / "thesis.tex").read_text() == "kept"


def test_the_folder_that_one_works_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for path in (".", ".."):
        with pytest.raises(InputError, match="the folder that this run works in"), claim_output(path):
            pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="its folder cannot be made"), claim_output(tmp_path / "file" / "out"):
        pass


# killed runs

KILLED = """
import os, signal, sys
from pathlib import Path
from cryoprior.output import folder as folders
from cryoprior.output.folder import claim_output
when = sys.argv[2]
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if when == "between":  # the old result has lost its name, the new one has not taken it
    rename = Path.rename
    def broken(self, target):
        rename(self, target)
        kill()
    Path.rename = broken
if when == "removing":
    folders._removed = kill
with claim_output(sys.argv[1], "make", overwrite=True) as folder:
    (folder / "new").write_text("new")
    if when == "writing":
        kill()
"""


@pytest.mark.parametrize(("when", "left"), [("writing", ["old"]), ("between", ["old"]), ("removing", ["new"])])
def test_a_killed_run_loses_nothing_and_the_next_one_cleans_up(tmp_path: Path, when: str, left: list[str]) -> None:
    out = make(tmp_path / "out", "old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(out), when], check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="in use"), claim_output(out):
        pass
    assert shown(out) == left
    assert shown(tmp_path) == ["out"]


# one run at a time


@pytest.mark.parametrize("content", [(), (".0123abcd.partial..cryoprior.json",)])
@pytest.mark.parametrize("kind", ["partial", "old"])
def test_a_hidden_folder_that_a_kill_left_without_its_mark_goes(
    tmp_path: Path, content: tuple[str, ...], kind: str
) -> None:
    """Killed before the mark was written, or after it was removed."""
    hidden = tmp_path / f".out.0123abcd.{kind}"
    hidden.mkdir()
    for name in content:
        (hidden / name).write_text("")
    make(tmp_path / "out", "a")
    assert shown(tmp_path) == ["out"]


def test_an_old_result_that_the_disk_does_not_let_go_is_removed_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = make(tmp_path / "out", "sub/old")
    rmdir = Path.rmdir

    def failing(self: Path) -> None:
        if self.name == "sub":
            raise OSError(errno.EIO, "Input/output error", str(self))
        rmdir(self)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="Input/output error"):
        patched.setattr(Path, "rmdir", failing)
        make(out, "new", overwrite=True)
    assert shown(out) == ["new"]
    make(out, "newer", overwrite=True)
    assert shown(tmp_path) == ["out"]


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_cannot_keep_a_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: int) -> None:
    def failing(_: int) -> None:
        raise OSError(failure, os.strerror(failure))

    make(tmp_path / "out", "old")
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match=os.strerror(failure)) as raised:
        make(tmp_path / "out", "new", overwrite=True)
    assert raised.value.filename is not None
    monkeypatch.undo()
    assert shown(tmp_path / "out") == ["old"]
    assert shown(tmp_path) == ["out"]


def test_a_file_system_that_cannot_flush_is_used_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", cannot)
    assert shown(make(tmp_path / "out", "a")) == ["a"]


@pytest.mark.parametrize("kind", ["writing", "finishing"])
def test_a_run_that_is_told_to_stop_says_what_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

    if kind != "writing":
        finish = folders._finish
        monkeypatch.setattr(folders, "_finish", lambda *given: (stop(), finish(*given)))
    with pytest.raises(Interrupted) as stopped, interruptible(), claim_output(tmp_path / "out") as folder:
        (folder / "a").write_text("")
        if kind == "writing":
            stop()
    left = "nothing" if kind == "writing" else "finished"
    assert (stopped.value.left, stopped.value.output) == (left, tmp_path / "out")
    assert shown(tmp_path) == ([] if kind == "writing" else ["out"])


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with claim_output(out) as partial:
        (partial / "a").write_text("1")
        for overwrite in (False, True):
            with (
                pytest.raises(InputError, match=r"another run is writing it \(process \d+ on "),
                claim_output(out, overwrite=overwrite),
            ):
                pass
            with pytest.raises(InputError, match="another run"), resume_output(out, "fill", {}, overwrite=overwrite):
                pass
    assert shown(out) == ["a"]


def test_the_lock_outlives_the_replacement(tmp_path: Path) -> None:
    """While the first run removes the old result, its lock still keeps others out."""
    out = make(tmp_path / "out", "a")
    refused: list[str] = []

    @contextmanager
    def replacing() -> Iterator[None]:
        removed = folders._removed

        def tried(old: Path) -> None:
            with pytest.raises(InputError) as error, claim_output(out, overwrite=True):
                pass
            refused.append(str(error.value))
            removed(old)

        folders._removed = tried
        yield
        folders._removed = removed

    with replacing():
        make(out, "b", overwrite=True)
    assert len(refused) == 1
    assert "another run is writing it" in refused[0]


def test_a_lock_that_was_removed_while_it_was_waited_for_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = OutputLock(tmp_path / "out"), OutputLock(tmp_path / "out")
    assert first.hold()
    opened = OutputLock._open
    calls = 0

    def late(self: OutputLock) -> int:
        nonlocal calls
        handle = opened(self)
        calls += 1
        if calls == 1:
            first.release()  # the file that was just opened has lost its name
        return handle

    monkeypatch.setattr(OutputLock, "_open", late)
    assert second.hold()
    third = OutputLock(tmp_path / "out")
    assert not third.hold()
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_the_file_itself_keeps_others_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: int) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("cryoprior.output.lock.fcntl.flock", none)
    with claim_output(tmp_path / "out"), pytest.raises(InputError, match="another run"), claim_output(tmp_path / "out"):
        pass
    assert shown(tmp_path) == ["out"]


# going on


def test_an_interrupted_run_goes_on_and_a_finished_one_is_refused(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", "shards/a", complete=False)
    with resume_output(out, "fill", {"seed": 1}, makes=("shards",)) as work:
        assert not work.is_new
        assert (work.folder / "shards" / "a").is_file()
        work.complete()
    with (
        pytest.raises(InputError, match="in use by this run, which is finished"),
        resume_output(out, "fill", {"seed": 1}),
    ):
        pass
    with resume_output(out, "fill", {"seed": 1}, reopen=True) as work:
        assert work.folder == out


def test_another_identity_is_refused_by_name(tmp_path: Path) -> None:
    for complete in (False, True):
        out = fill(tmp_path / f"out{complete}", "a.txt", complete=complete)
        with pytest.raises(InputError, match="a run with other seed; "), resume_output(out, "fill", {"seed": 2}):
            pass
        with pytest.raises(InputError, match="in use by a result of fill"), resume_output(out, "train", {"seed": 1}):
            pass


def test_a_failure_before_anything_was_done_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), resume_output(tmp_path / "out", "fill", {}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_new_run_grows_beside_the_old_result_and_goes_on_there(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", "old.txt")
    beside = fill(out, "shards/a", seed=2, complete=False, overwrite=True)
    assert beside != out
    assert shown(out) == ["old.txt"]
    with resume_output(out, "fill", {"seed": 2}, makes=("shards",)) as work:
        assert shown(work.folder) == ["shards"]
        assert work.complete() == out
        assert work.folder == out
    assert shown(out) == ["shards"]
    assert shown(tmp_path) == ["out"]


def test_an_unfinished_run_is_replaced_by_another_when_told(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", "shards/a", complete=False)
    (out / "thesis.tex").write_text("kept")
    with pytest.raises(InputError, match=r"holds thesis\.tex"), resume_output(out, "fill", {"seed": 2}, overwrite=True):
        pass
    (out / "thesis.tex").unlink()
    assert shown(fill(out, "b.txt", seed=2, overwrite=True)) == ["b.txt"]


def test_processes_share_a_run_of_the_same_identity_alone(tmp_path: Path) -> None:
    def open_as(seed: int, **how: bool) -> None:
        with resume_output(tmp_path / "out", "fill", {"seed": seed}, **how) as work:
            (work.folder / f"{threading.get_ident()}.txt").write_text("")

    with resume_output(tmp_path / "out", "fill", {"seed": 1}, shared=True) as first:
        open_as(1, shared=True)
        for seed, how in ((2, {"shared": True}), (1, {}), (1, {"overwrite": True})):
            with pytest.raises(InputError):
                open_as(seed, **how)
        first.complete()
    manifest = Manifest.read(tmp_path / "out")
    assert manifest is not None
    assert manifest.finished
    assert shown(tmp_path) == ["out"]


def test_files_in_the_making_of_a_killed_run_are_swept(tmp_path: Path) -> None:
    out = fill(tmp_path / "out", "shards/a", complete=False)
    (out / "shards" / ".0123abcd.partial.b.mrcs").write_text("")
    with resume_output(out, "fill", {"seed": 1}) as work:
        assert shown(work.folder / "shards") == ["a"]


# files


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a.json", "old")
    with pytest.raises(RuntimeError), whole_file(path) as partial:
        partial.write_text("new")
        assert partial.suffix == ".json"
        raise RuntimeError
    assert path.read_text() == "old"
    assert shown(tmp_path) == ["a.json"]
    assert write_whole(path, b"new").read_bytes() == b"new"


def test_work_knows_where_it_is(tmp_path: Path) -> None:
    with resume_output(tmp_path / "out", "fill", IDENTITY) as work:
        assert isinstance(work, Work)
        assert work.is_new
        assert work.is_empty


def test_what_a_user_put_into_an_unfinished_run_is_not_ours_when_it_is_whole(tmp_path: Path) -> None:
    path, makes = tmp_path / "out", ("curve.csv", "model.txt")
    for name in ("curve.csv", "model.txt"):
        with resume_output(path, "train", {"seed": 1}, makes=makes) as work:
            write_whole(work.folder / name, "ours")
            if name == "model.txt":
                work.complete()
        (path / "notes.txt").write_text("mine")
    with (
        pytest.raises(InputError, match=r"holds notes\.txt, which this program did not make"),
        resume_output(path, "train", {"seed": 2}, makes=makes, overwrite=True),
    ):
        pass
    assert (path / "notes.txt").read_text() == "mine"


def test_an_input_that_is_a_link_to_itself_is_left_to_who_reads_it(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with claim_output(tmp_path / "out", "x", inputs=[tmp_path / "loop"]) as folder:
        assert folder.is_dir()
