"""Messages name options as their reader spells them: keyword arguments in Python, flags on the command line."""

from __future__ import annotations

import ast
import logging
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryoprior
from cryoprior.errors import InputError

SOURCE = Path(cryoprior.__file__).parent
FLAGS_ARE_THEIR_SUBJECT = {"cli", "options.py", "errors.py", "words.py", "slurm.py"}
FIELDS = {"option", "argument", "output_option", "overwrite_option"}
FOREIGN = re.compile(r"relion_|--new_box|--invert_hand|cryoDRGN's --ind|the same --ind")
"""Sentences about the flags of other programs."""

COMMAND_LINES = ("EXAMPLE", "NEXT", "STEPS", "FOOT")
"""Names of what is shown to be copied into a shell."""


@pytest.mark.parametrize(
    ("message", "python", "command_line"),
    [
        ("pass <pixel_size>", "pass pixel_size", "pass --pixel-size"),
        ("another <output>, or <overwrite>", "another output, or overwrite", "another -o, or --overwrite"),
        ("<contrast=bright> or dark", "contrast=bright or dark", "--contrast bright or dark"),
        ("<resume=True>", "resume=True", "--resume"),
        ("<PARTICLES> a", "particles a", "PARTICLES a"),
        ("a<b, x <= 3 < 4 > 2, <a b>", "a<b, x <= 3 < 4 > 2, <a b>", "a<b, x <= 3 < 4 > 2, <a b>"),
    ],
)
def test_an_option_is_spelled_for_its_reader(message: str, python: str, command_line: str) -> None:
    error = InputError(message)
    assert str(error) == python
    assert error.for_command_line() == command_line


def test_an_error_keeps_its_message_between_processes() -> None:
    error = pickle.loads(pickle.dumps(InputError("pass <pixel_size>")))
    assert error.for_command_line() == "pass --pixel-size"


def literals(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the string literals that are neither docstrings, nor the help of an option, nor command lines to copy."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        is_field = isinstance(node, ast.Call) and getattr(node.func, "id", "") in FIELDS
        is_example = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in COMMAND_LINES
        if is_field or is_example:
            skipped |= {id(part) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node


def test_no_message_names_a_flag() -> None:
    """Foreign programs' command lines, in ``external``, and their flags are their own."""
    paths = [
        p for p in SOURCE.rglob("*.py") if not {"external", *FLAGS_ARE_THEIR_SUBJECT} & set(p.relative_to(SOURCE).parts)
    ]
    named = [
        f"{path.relative_to(SOURCE)}:{literal.lineno}: {literal.value}"
        for path in paths
        for literal in literals(ast.parse(path.read_text(encoding="utf-8")))
        if re.search(r"(?<![\w-])(--[a-z]|-o\b)", str(literal.value)) and not FOREIGN.search(str(literal.value))
    ]
    assert not named, "name options in angle brackets, as cryoprior.errors has them"


def test_a_caller_in_python_sees_logged_options_as_keyword_arguments(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("cryoprior").warning("%s: pass <contrast=bright> or <pixel_size>", "y.zarr")
    assert caplog.messages == ["y.zarr: pass contrast=bright or pixel_size"]
