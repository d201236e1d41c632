"""A run over cases: each copied, changed, given to commands, and judged."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz.cases import Case, Right, stream
from fuzz.damage import CHANGES
from fuzz.judging import FAULTS, digest, last_line, place, verdict
from fuzz.readers import COSTLY, HEADER_ONLY, KINDS
from fuzz.server import Outcome, Server

MARK = "ran"
"""What a payload makes in the folder of the run when it is run."""


@dataclass(frozen=True)
class Result:
    """What a command did with a case."""

    case: Case
    command: str
    verdict: str
    outcome: Outcome

    @property
    def is_fault(self) -> bool:
        """Return whether this may not happen."""
        return self.verdict in FAULTS

    def __str__(self) -> str:
        at = place(self.outcome.text) or f"{self.outcome.seconds:.1f} s, {self.outcome.peak_mib:.0f} MiB"
        said = last_line(self.outcome.text)
        return f"{self.verdict} | {self.case.title} | {self.command} | {at} | exit {self.outcome.code} | {said}"


def all_cases(folder: Path, seed: int, extra: int) -> list[Case]:
    """Return all cases.

    Parameters
    ----------
    folder: of the run; payloads leave their mark in it, and the good inputs lie in ``good``.
    seed: of what is drawn.
    extra: drawn changes, such as bit flips, for each kind.
    """
    cases = []
    for kind, changes in CHANGES.items():
        drawn = changes(stream(seed, kind), extra, folder)
        cases += [Case(kind, name, right, change) for name, right, change in drawn]
    return cases


def drawn_cases(cases: list[Case], count: int, seed: int) -> list[Case]:
    """Return ``count`` of the cases, of each kind its share and one at least, in their order."""
    chosen: set[int] = set()
    for kind in KINDS:
        places = [i for i, case in enumerate(cases) if case.kind == kind]
        share = max(1, round(count * len(places) / len(cases)))
        chosen.update(stream(seed, "draw", kind).sample(places, min(share, len(places))))
    rest = [i for i in range(len(cases)) if i not in chosen]
    if len(chosen) < count:
        chosen.update(stream(seed, "draw the rest").sample(rest, count - len(chosen)))
    return [cases[i] for i in sorted(chosen)][:count]


class Campaign:
    """Runs cases in a folder that holds the good inputs in ``good``.

    Parameters
    ----------
    commands: how many commands read each input; drawn by the seed.
    rarity: how rarely the costly ones are drawn; 1 draws them as often as the others.
    """

    def __init__(
        self, folder: Path, server: Server, seed: int = 0, *, commands: int = 1, timeout: float = 20.0, rarity: int = 4
    ) -> None:
        self.folder, self.server, self.seed, self.commands, self.timeout = folder, server, seed, commands, timeout
        self.rarity = rarity
        self._good: dict[tuple[str, str], str] = {}

    def run(self, cases: Iterable[Case]) -> Iterator[Result]:
        """Yield what the commands did with each case.

        Raises
        ------
        AssertionError: a good input is refused.
        """
        for case in cases:
            yield from self._of_case(case)

    def _of_case(self, case: Case) -> Iterator[Result]:
        good, alone = self.folder / "good", case.kind in ("run", "words")  # nothing good stands beside those
        known = ["resume"] if alone else sorted(KINDS[case.kind].commands(good, "", ""))
        names = self._drawn(known, stream(self.seed, case.kind, case.name))
        rights = {name: None if alone else self._of_good(case.kind, name) for name in names}
        for name, right in rights.items():
            given, changed = self._copied(case.kind)
            case.change(changed)
            output = self.folder / "case" / "output"
            words = KINDS[case.kind].commands(good, str(given), str(output))[name]
            outcome, results = self._ran(words, given if alone else output)
            wanted = Right.SAME if name in HEADER_ONLY and case.right is Right.REFUSE else case.right
            said = "code ran" if self._marked() else verdict(outcome, wanted, results, right)
            yield Result(case, name, said, outcome)

    def _drawn(self, names: list[str], draw: random.Random) -> list[str]:
        """Return ``commands`` of the names, the costly ones more rarely."""
        keys = {name: draw.random() ** (self.rarity if name in COSTLY else 1) for name in names}
        return sorted(names, key=lambda name: -keys[name])[: self.commands]

    def _of_good(self, kind: str, name: str) -> str:
        if (kind, name) not in self._good:
            given, _ = self._copied(kind)
            output = self.folder / "case" / "output"
            commands = KINDS[kind].commands(self.folder / "good", str(given), str(output))
            outcome, results = self._ran(commands[name], output, learn=True)
            assert outcome.code == 0, f"the good {kind} fails in {name}: {last_line(outcome.text)}"
            self._good[kind, name] = results
        return self._good[kind, name]

    def _copied(self, kind: str) -> tuple[Path, Path]:
        case = self.folder / "case"
        shutil.rmtree(case, ignore_errors=True)
        case.mkdir()
        return KINDS[kind].copy(self.folder / "good", case)

    def _ran(self, words: list[str], output: Path, *, learn: bool = False) -> tuple[Outcome, str]:
        if output.name == "output":
            shutil.rmtree(output, ignore_errors=True)
        outcome = self.server.run(words, self.timeout, learn=learn)
        return outcome, digest(output, outcome.text)

    def _marked(self) -> bool:
        mark = self.folder / MARK
        if not mark.exists():
            return False
        with contextlib.suppress(OSError):
            mark.rmdir() if mark.is_dir() else mark.unlink()
        return True


def counted(results: Iterable[Result]) -> dict[str, dict[str, int]]:
    """Return how often each verdict was given, by kind."""
    counts: dict[str, dict[str, int]] = {}
    for result in results:
        row = counts.setdefault(result.case.kind, {})
        row[result.verdict] = row.get(result.verdict, 0) + 1
    return counts
