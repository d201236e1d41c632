"""Nobody but ``output`` decides what happens to an output: no other file claims, locks, replaces or removes one."""

from __future__ import annotations

import ast
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src" / "cryoprior"
FORBIDDEN = {"rmtree", "flock", "rename", "replace", "rmdir", "move"}
"""Calls that give a name to a file or take one away."""
TABLES = {"heterogeneity/scores.py": "rename"}
"""Where a call is one of pandas."""


def deciding_calls(text: str) -> list[str]:
    """Return the calls in a program that replace or remove files, and the texts that name files in the making."""
    calls = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in FORBIDDEN:
            calls += [] if _is_of_text_or_table(node) else [f"line {node.lineno}: {ast.unparse(node.func)}"]
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and ".partial" in node.value:
            calls.append(f"line {node.lineno}: {node.value!r}")
    return calls


def _is_of_text_or_table(call: ast.Call) -> bool:
    """Return whether a call replaces in a text or renames columns: a path's takes one argument, another path."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("replace", "rename"):
        return False
    return len(call.args) != 1 or bool(call.keywords) or isinstance(call.args[0], (ast.Constant, ast.Dict))


def test_only_output_decides_about_files() -> None:
    others = sorted(path for path in SRC.rglob("*.py") if path.parent.name != "output")
    offences = {path.relative_to(SRC).as_posix(): deciding_calls(path.read_text()) for path in others}
    for name, call in TABLES.items():
        offences[name] = [line for line in offences[name] if not line.endswith(call)]
    assert {name: calls for name, calls in offences.items() if calls} == {}


def test_the_rule_sees_what_it_forbids() -> None:
    for line in ("partial.replace(path)", "shutil.rmtree(folder)", 'name = ".x.partial"', "a.rename(b)"):
        assert deciding_calls(line)
    for line in (
        'text.replace("a", "b")',
        'column.rename("b")',
        "table.rename(columns=names)",
        "dataclasses.replace(options, box=3)",
        'print("partial")',
    ):
        assert not deciding_calls(line)
