"""``python -m fuzz``: run all cases, print the table and every fault, and leave with 1 where there is one."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from fuzz.campaign import Campaign, all_cases, counted, drawn_cases
from fuzz.good import make_good
from fuzz.judging import VERDICTS
from fuzz.server import Server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--extra", type=int, default=16, help="drawn changes, such as bit flips, for each kind")
    parser.add_argument("--count", type=int, default=0, help="cases, drawn from all; 0 runs all")
    parser.add_argument("--commands", type=int, default=1, help="commands for each input")
    parser.add_argument("--only", default="", help="kinds, comma-separated")
    parser.add_argument("--timeout", type=float, default=20.0)
    parser.add_argument("--part", default="1/1", help="I/N: every Nth case from the Ith on")
    parser.add_argument("--record", type=Path, help="a file of JSON lines, one per run")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        (folder / "good").mkdir()
        cases = all_cases(folder, options.seed, options.extra)
        if options.only:
            cases = [case for case in cases if case.kind in options.only.split(",")]
        if options.count:
            cases = drawn_cases(cases, options.count, options.seed)
        part, parts = map(int, options.part.split("/"))
        cases = cases[part - 1 :: parts]
        with Server(folder) as server:
            make_good(folder / "good", server)
            campaign = Campaign(folder, server, options.seed, commands=options.commands, timeout=options.timeout)
            results = []
            for result in campaign.run(cases):
                results.append(result)
                if result.is_fault:
                    print(result, file=sys.stderr, flush=True)
    if options.record:
        lines = [{"case": r.case.title, "command": r.command, "verdict": r.verdict, **vars(r.outcome)} for r in results]
        options.record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(f"{len(cases)} changed inputs, {len(results)} runs, seed {options.seed}, {time.monotonic() - start:.0f} s\n")
    print("| input | " + " | ".join(VERDICTS) + " |\n|---|" + "--:|" * len(VERDICTS))
    counts = counted(results)
    for kind, row in counts.items():
        print(f"| {kind} | " + " | ".join(str(row.get(said, 0)) for said in VERDICTS) + " |")
    print("| all | " + " | ".join(str(sum(row.get(said, 0) for row in counts.values())) for said in VERDICTS) + " |")
    return int(any(result.is_fault for result in results))


if __name__ == "__main__":
    sys.exit(main())
