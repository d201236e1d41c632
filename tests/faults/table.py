"""The reports of sweeps as one table: injections by command and by fault, and how many left something wrong.

python tests/faults/table.py REPORT...
"""

from __future__ import annotations

import collections
import json
import sys
from pathlib import Path

KINDS = {
    "full disk": ("ENOSPC", "ENOSPC from there on", "EDQUOT"),
    "failing disk": ("EIO", "EIO from there on"),
    "no permission": ("EACCES", "EROFS"),
    "short write": ("short write",),
    "kill": ("SIGKILL",),
    "signal": ("SIGTERM", "SIGINT"),
    "two at once": ("two at once",),
}


def table(reports: list[Path]) -> str:
    """Return the table as Markdown."""
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    calls: dict[str, int] = {}
    kind_of = {fault: kind for kind, faults in KINDS.items() for fault in faults}
    for report in map(json.loads, (path.read_text() for path in reports)):
        calls |= report["calls"]
        for one in report["injections"]:
            counts[one["case"]][kind_of[one["fault"]]] += 1
            counts[one["case"]]["wrong"] += bool(one["wrong"])
    columns = [*KINDS, "wrong"]
    lines = ["| command | calls that write | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    for name, count in counts.items():
        lines.append(f"| {name} | {calls[name]} | " + " | ".join(str(count[column]) for column in columns) + " |")
    total = sum(counts.values(), collections.Counter())
    lines.append(f"| all | {sum(calls.values())} | " + " | ".join(str(total[column]) for column in columns) + " |")
    injections = sum(total[column] for column in KINDS)
    return "\n".join([*lines, "", f"{injections} injections and races, {total['wrong']} with something wrong."])


if __name__ == "__main__":
    print(table([Path(name) for name in sys.argv[1:]]))
