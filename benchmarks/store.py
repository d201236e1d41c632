"""What was computed before: JSON lines by key, so that a run that was cut off goes on and a rerun does nothing."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cryoprior

COMPUTES = ("solvers", "operators", "prior", "image", "metrics", "random.py")
TRAINS = ("training.py", "objectives.py", "data.py", "presets.py")


class Store:
    """Results of one script in one file; a line that was cut off is forgotten."""

    def __init__(self, path: Path) -> None:
        self.path, self.computed = path, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._found: dict[str, Any] = {}
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            self._found[_text(record["key"])] = record["result"]

    def cached(self, key: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """Return the result of this key, computed and kept if it is new."""
        text = _text(key)
        if text not in self._found:
            result = compute()
            with self.path.open("a") as file:
                file.write("\n" * self._cut_off() + json.dumps({"key": key, "result": result}) + "\n")
            self._found[text] = json.loads(json.dumps(result))
            self.computed += 1
        return self._found[text]

    def _cut_off(self) -> bool:
        return self.path.is_file() and self.path.read_bytes()[-1:] not in (b"", b"\n")


def code_digest() -> str:
    """Return a digest of the code that results depend on; comments, docstrings and training are left out."""
    total = hashlib.sha256()
    root = Path(cryoprior.__file__).parent
    for room in COMPUTES:
        paths = [root / room] if room.endswith(".py") else sorted((root / room).rglob("*.py"))
        for path in [path for path in paths if path.name not in TRAINS]:
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list):
                    node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]
            total.update(ast.dump(tree).encode())
    return total.hexdigest()[:16]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _text(key: dict[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
