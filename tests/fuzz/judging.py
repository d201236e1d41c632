"""What became of a changed input, and the digest of a command's results."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fuzz.cases import Right
from fuzz.server import MEMORY_MIB, Outcome

FAULTS = ("wrong", "traceback", "signal", "hang", "memory", "code ran")
VERDICTS = ("refused", "same", "not told", *FAULTS)

BAD_INPUT = 2
TABLES = {"frc.csv", "fsc.csv", "fsc_by_direction.csv", "pairs.csv", "clusters.csv", "rows.csv"}


def verdict(outcome: Outcome, right: Right, results: str, good: str | None) -> str:
    """Return one of VERDICTS for a command that ended so.

    Parameters
    ----------
    results, good: digests of what the command gave for this input and for the good one.
    """
    if outcome.peak_mib > MEMORY_MIB:
        return "memory"
    if outcome.code is None:
        return "hang"
    if outcome.code < 0:
        return "signal"
    if outcome.code == 0:
        if right is Right.REFUSE:
            return "wrong"
        if results == good:
            return "same"
        return "wrong" if right is Right.SAME else "not told"
    refused = outcome.code == BAD_INPUT and "Traceback" not in outcome.text and "rror: " in outcome.text
    return "refused" if refused else "traceback"


def digest(output: Path, text: str) -> str:
    """Return the digest of the numbers that a command gave; names, times and paths are left out.

    Where it wrote no folder its text counts.
    """
    total = hashlib.sha256()
    if not output.exists():
        return hashlib.sha256(re.sub(r"\S*/\S*", "", text).encode()).hexdigest()
    for path in sorted(p for p in output.rglob("*") if p.is_file()):
        name = path.relative_to(output).as_posix()
        if path.suffix in (".mrcs", ".mrc") or "/c/" in name or path.name in TABLES:
            total.update(name.encode() + path.read_bytes())
        elif path.name == "particles.star":
            total.update(re.sub(rb"\S*@\S*", b"", path.read_bytes()))
    return total.hexdigest()


def last_line(text: str) -> str:
    """Return the line that says what happened."""
    said = [line for line in text.splitlines() if line.strip() and not line.startswith((" ", "\t", "INFO", "WARNING"))]
    return said[-1][:200] if said else ""


def place(text: str) -> str:
    """Return the last line of the program in a traceback, empty without one."""
    places = re.findall(r'File "[^"]*?/(cryoprior/[^"]+)", line (\d+)', text)
    return ":".join(places[-1]) if places else ""
