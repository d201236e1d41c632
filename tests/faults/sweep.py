"""Faults at the writes of every command: a full disk, a failing one, a short write, a kill, a signal.

    LD_PRELOAD=shim.so CRYOPRIOR_FAULTS=WORK/case python sweep.py --shim shim.so --work WORK [--injections 1000]
        [--seed 0] [--only NAME]... [--report FILE]

A command is run once to count its calls that write below WORK/case. Each injection runs it again with one of them hit,
and looks at what is left; then the command is run once more, as a user would. Every fault found is one line on stdout;
the exit code is 1 if there are any. test_faults.py builds the library and starts this.
"""

from __future__ import annotations

import argparse
import errno
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from commands import Case, Inputs, cases, start_from
from forking import FAIL, FAIL_FROM, KILL, SHORT, SIGNAL, Fault, Ran, Server, errors_told, warm_up
from results import GROWING, MARK, digests, is_marked_whole, listed

KINDS = (
    (FAIL, errno.ENOSPC),
    (KILL, 0),
    (FAIL, errno.EIO),
    (FAIL_FROM, errno.ENOSPC),
    (SIGNAL, signal.SIGTERM),
    (SHORT, 0),
    (FAIL, errno.EACCES),
    (KILL, 0),
    (FAIL_FROM, errno.EIO),
    (SIGNAL, signal.SIGINT),
    (FAIL, errno.EDQUOT),
    (FAIL, errno.EROFS),
)
EXIT_CODES = {errno.ENOSPC: 74, errno.EIO: 74, errno.EDQUOT: 74, errno.EACCES: 2, errno.EROFS: 2}
BYSTANDER = "thesis.tex"
"""A file of the user beside the output."""


@dataclass(frozen=True)
class Expected:
    """What an undisturbed run leaves: its calls, the digests that do not change from run to run, and all names."""

    calls: int
    digests: dict[str, str]
    names: set[str]
    before: dict[str, str]
    """Digests of what lay there before."""
    seconds: float


class Sweep:
    """Injections into one command after another, in a folder that is emptied between them."""

    def __init__(self, server: Server, work: Path) -> None:
        self.server, self.folder, self.good = server, work / "case", work / "good"
        self.out = self.folder / "out"

    def expected(self, case: Case) -> Expected:
        """Return what two undisturbed runs have in common."""
        found = []
        for _ in range(2):
            self._set_up(case)
            before = digests(self.out)
            ran = self.must(case.line(self.out))
            if case.then:
                self.must(case.then_line(self.out))
            found.append(digests(self.out))
        same = {name: digest for name, digest in found[0].items() if found[1].get(name) == digest}
        if not same or found[0].keys() != found[1].keys():
            raise AssertionError(f"{case.name}: two undisturbed runs have nothing in common, or other files")
        return Expected(ran.calls, same, listed(self.out), before, ran.seconds)

    def inject(self, case: Case, fault: Fault, expected: Expected) -> tuple[Ran, list[str]]:
        """Return the disturbed run, and what was wrong with it, with what it left, and with the run after it."""
        self._set_up(case)
        ran = self.server.run(case.line(self.out), fault)
        wrong = [*_told_wrongly(fault, ran, str(self.folder)), *self._left_wrongly(case, fault, ran, expected)]
        if not wrong:
            wrong = [f"afterwards: {line}" for line in self._goes_on_wrongly(case, expected)]
        return ran, wrong

    def race(self, case: Case, expected: Expected) -> list[str]:
        """Return what was wrong with two processes that write one output at once: one wins, the other says so."""
        self._set_up(case)
        first, second = self.server.run_at_once([case.line(self.out)] * 2)
        wrong = []
        codes = sorted((first.code, second.code))
        if codes not in ([0, 2], [0, 0]):
            wrong.append(f"exit codes {first.code} and {second.code}: {first.text[-200:]} {second.text[-200:]}")
        for ran in (first, second):
            told = errors_told(ran.text)
            if ran.code == 2 and not (len(told) == 1 and ("another run is writing" in told[0] or "in use" in told[0])):
                wrong.append(f"the other process says {ran.text[-300:]}")
        return wrong + [f"afterwards: {line}" for line in self._goes_on_wrongly(case, expected)]

    def race_of_shards(self, case: Case, expected: Expected) -> list[str]:
        """Return what was wrong with three processes that share the shards of a reconstruction."""
        self._set_up(case)
        shards = self.server.run_at_once([case.line(self.out, "--shard", f"{i}/3") for i in range(3)])
        wrong = [f"exit code {ran.code}: {ran.text[-300:]}" for ran in shards if ran.code]
        return wrong + [f"afterwards: {line}" for line in self._goes_on_wrongly(case, expected)]

    def _set_up(self, case: Case) -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.folder / BYSTANDER).write_text("kept")
        start_from(case.begin, self.out)

    def must(self, words: Sequence[str]) -> Ran:
        """Return an undisturbed run, which succeeds."""
        ran = self.server.run(words)
        if ran.code:
            raise AssertionError(f"{' '.join(words)} leaves with {ran.code} undisturbed:\n{ran.text[-2000:]}")
        self.server.learn()
        return ran

    def _left_wrongly(self, case: Case, fault: Fault, ran: Ran, expected: Expected) -> Iterator[str]:
        if (self.folder / BYSTANDER).read_text() != "kept":
            yield "a file of the user was changed"
        found = digests(self.out)
        is_old = bool(expected.before) and found == expected.before
        if not is_old:
            for name, digest in expected.digests.items():
                grows = name in GROWING and not is_marked_whole(self.out)
                if found.get(name, digest) != digest and not grows:
                    yield f"{name} has other content"
        if is_marked_whole(self.out) and not is_old:
            missing = [] if case.then else sorted(expected.digests.keys() - found.keys())
            if missing:
                yield f"marked as whole without {', '.join(missing)}"
        is_gone = "--overwrite" in case.words and not is_old and not is_marked_whole(self.out)
        if is_gone and fault.mode != KILL:
            yield "the earlier result is gone, the new one is not there"
        removes = ran.hit.startswith(("unlink", "rmdir"))
        if fault.mode != KILL and not removes and (fault.mode, fault.number) != (FAIL_FROM, errno.EIO):
            hidden = sorted(p.name for p in self.folder.iterdir() if p.name.startswith(".") and not _goes_on(p))
            hidden += sorted(name for name in listed(self.out) if ".partial." in name)
            if hidden:
                yield f"left behind: {', '.join(hidden)}"

    def _goes_on_wrongly(self, case: Case, expected: Expected) -> Iterator[str]:
        ran = self.server.run(case.line(self.out))
        if ran.code == 2 and "--resume" in ran.text:
            ran = self.server.run(case.line(self.out, "--resume"))
        if ran.code == 2 and "in use" in ran.text and is_marked_whole(self.out):
            ran = Ran(0, "", 0, "")  # it had been finished
        if ran.code:
            yield f"the same command leaves with {ran.code}: {ran.text[-300:]}"
            return
        if case.then:
            ran = self.server.run(case.then_line(self.out))
            if ran.code:
                yield f"the command after it leaves with {ran.code}: {ran.text[-300:]}"
                return
        found = digests(self.out)
        for name, digest in expected.digests.items():
            if found.get(name) != digest:
                yield f"{name} {'has other content' if name in found else 'is not there'}"
        if listed(self.out) != expected.names:
            yield f"other files: {', '.join(sorted(listed(self.out) ^ expected.names))}"
        beside = {p.name for p in self.folder.iterdir()} - {BYSTANDER, "out"}
        if beside:
            yield f"beside the output lie {', '.join(sorted(beside))}"


def _goes_on(path: Path) -> bool:
    """Return whether a hidden folder is a new run beside an old result, which goes on there."""
    return path.name == ".out.next" and (path / MARK).is_file()


def _told_wrongly(fault: Fault, ran: Ran, folder: str) -> Iterator[str]:
    """Yield what is wrong with the exit code and with what was said."""
    if fault.mode == KILL:
        if ran.code != -signal.SIGKILL:
            yield f"exit code {ran.code}: the kill did not happen"
        return
    if "Traceback" in ran.text:
        yield f"a traceback, which ends with {ran.text.strip().splitlines()[-1][:200]}"
    if ran.hit.startswith("mmap"):
        yield "a file is mapped into memory to be written: SIGBUS on a full disk"
    if fault.mode == SHORT or ran.code == 0:
        if ran.code:
            yield f"exit code {ran.code} for a short write"
        return
    if fault.mode == SIGNAL:
        lines = [line for line in ran.text.splitlines() if line.startswith("stopped by ")]
        if ran.code != 128 + fault.number or len(lines) != 1:
            yield f"exit code {ran.code}, {len(lines)} lines that tell a stop"
        return
    told = errors_told(ran.text)
    if ran.code != EXIT_CODES[fault.number]:
        yield f"exit code {ran.code}, expected {EXIT_CODES[fault.number]}"
    if len(told) != 1 or folder not in told[0]:
        yield f"{len(told)} lines that tell an error, {told[:1]}"


def injections(
    total: int, chosen: Sequence[Case], seed: int, expected: Mapping[str, Expected]
) -> Iterator[tuple[Case, Fault]]:
    """Yield the injections: for each case evenly spaced calls, the kinds of faults in turn from a drawn one on.

    A case with many calls has more of them, one that takes long has fewer.
    """
    weights = [expected[case.name].calls / (0.2 + expected[case.name].seconds) ** 0.5 for case in chosen]
    ends = [round(total * sum(weights[: place + 1]) / sum(weights)) for place in range(len(chosen))]
    for case, begin, end in zip(chosen, [0, *ends], ends, strict=False):
        draw = random.Random(f"{seed} {case.name}")
        first, offset = draw.randrange(len(KINDS)), draw.random()
        for i in range(end - begin):
            mode, number = KINDS[(first + i) % len(KINDS)]
            at = 1 + int((i + offset) / (end - begin) * expected[case.name].calls)
            yield case, Fault(at, mode, int(number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shim", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--injections", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], help="a case; may be repeated")
    parser.add_argument("--races", type=int, default=0, help="how often two processes write one output at once")
    parser.add_argument("--report", type=Path, help="a JSON file of all injections")
    given = parser.parse_args()
    warm_up()
    server = Server(given.shim, given.work)
    sweep = Sweep(server, given.work.resolve())
    chosen = [case for case in cases(sweep.good) if not given.only or case.name in given.only]
    inputs = Inputs(sweep.good, sweep.must)
    for case in chosen:
        inputs.make_for(case)
    expected = {case.name: sweep.expected(case) for case in chosen}
    calls = {name: one.calls for name, one in expected.items()}
    for name, one in expected.items():
        print(f"{name}: {one.calls} calls that write, {one.seconds:.2f} s", file=sys.stderr, flush=True)
    record, start = [], time.monotonic()
    for case, fault in injections(given.injections, chosen, given.seed, expected):
        began = time.monotonic()
        ran, wrong = sweep.inject(case, fault, expected[case.name])
        seconds, what = round(time.monotonic() - began, 2), str(fault).split(" at call ")[0]
        one = {"case": case.name, "fault": what, "call": fault.at, "hit": ran.hit, "code": ran.code, "wrong": wrong}
        record.append({**one, "seconds": seconds})
        if len(record) % 20 == 0:
            print(f"{len(record)} injections", file=sys.stderr, flush=True)
        for line in wrong:
            print(f"{case.name}: {fault} ({ran.hit}): {line}", flush=True)
    for case in chosen * given.races:
        wrong = sweep.race(case, expected[case.name])
        if case.name == "reconstruct":
            wrong += sweep.race_of_shards(case, expected[case.name])
        record.append({"case": case.name, "fault": "two at once", "wrong": wrong})
        for line in wrong:
            print(f"{case.name}: two at once: {line}", flush=True)
    seconds = time.monotonic() - start
    faults = sum(bool(one["wrong"]) for one in record)
    print(f"{len(record)} injections in {seconds:.0f} s, {faults} with a fault", file=sys.stderr, flush=True)
    if given.report:
        given.report.write_text(json.dumps({"calls": calls, "seconds": seconds, "injections": record}, indent=1) + "\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
