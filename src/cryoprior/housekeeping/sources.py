"""What the sources say of built-in components, read without importing them: importing torch alone takes seconds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "cryoprior"
ROOT = Path(__file__).parents[1]


def built_in_components(home: str) -> dict[str, str]:
    """Return the built-in components of a registry by name, each with a line about it and the fields it takes.

    ``home`` is where the registry is: ``module:NAME``, a dictionary in the source, or a Registry of one.
    """
    module, _, name = home.partition(":")
    source, node = _source(module).find(name)
    value = getattr(node, "value", None)
    return dict(_entries(source, value.args[1] if isinstance(value, ast.Call) else value))


@dataclass(frozen=True, eq=False)
class Source:
    """A module of this package as it is written."""

    tree: ast.Module

    def find(self, name: str) -> tuple[Source, Any]:
        """Return the statement that defines a name, and its module; LookupError outside of this package."""
        for node in self.tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
                return self, node
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and target.id == name:
                    return self, node
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE:
                for alias in node.names:
                    if name == (alias.asname or alias.name):
                        return _source(str(node.module)).find(alias.name)
        raise LookupError(name)


@cache
def _source(module: str) -> Source:
    path = ROOT.joinpath(*module.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return Source(ast.parse(file.read_text(encoding="utf-8")))


def _entries(source: Source, value: Any) -> Iterator[tuple[str, str]]:
    """Yield name and description of a dictionary's keys, or of records ``(name, title, is higher better, ...)``."""
    if isinstance(value, ast.Dict):
        for key, item in zip(value.keys, value.values, strict=True):
            yield ast.literal_eval(key), _described(*source.find(item.id))  # type: ignore[arg-type, attr-defined]
        return
    for record in value.generators[0].iter.elts:
        name, title, higher_is_better = map(ast.literal_eval, record.args[:3])
        function = source.find(record.args[4].id)
        yield name, f"{title} {'↑' if higher_is_better else '↓'}: {_described(*function)}"


def _described(source: Source, node: ast.ClassDef | ast.FunctionDef) -> str:
    line = (ast.get_docstring(node) or "").split("\n")[0]
    fields = ", ".join(_fields(source, node).values()) if isinstance(node, ast.ClassDef) else ""
    return f"{line} [{fields}]" if fields else line


def _fields(source: Source, node: ast.ClassDef) -> dict[str, str]:
    """Return the fields of a dataclass by name, with their defaults, those of its bases first."""
    fields: dict[str, str] = {}
    for base in node.bases:
        try:
            fields |= _fields(*source.find(base.id))  # type: ignore[attr-defined]
        except LookupError:
            continue  # of the standard library
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or ast.unparse(part.annotation).startswith("ClassVar"):
            continue
        name, value = ast.unparse(part.target), part.value
        if isinstance(value, ast.Call):
            if value.keywords:  # field(init=False) is no field of the text
                continue
            value = None  # field() takes the default of a base away
        fields[name] = name if value is None else f"{name}={_value(source, value)}"
    return fields


def _value(source: Source, value: ast.expr) -> object:
    if isinstance(value, ast.Name):
        where, node = source.find(value.id)
        return _value(where, node.value)
    return ast.literal_eval(value)
