"""What texts may name: built in, registered in this process, installed beside; one broken package breaks no other."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cryoprior
from cryoprior.errors import InputError
from cryoprior.operators import OPERATORS, Bin, format_operator
from cryoprior.registry import Registry


def letters(name: str, item: Any) -> str:
    return "" if isinstance(item, str) else f"found {type(item).__name__}; expected a text"


def install(folder: Path, package: str, points: str, code: str) -> None:
    """Write a package and its metadata, as an installer would leave them, and put the folder on the path."""
    info = folder / f"{package}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[cryoprior.tests]\n{points}\n")
    (folder / f"{package}.py").write_text(code)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on the path in which packages are found."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_what_is_built_in_comes_first_and_asks_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryoprior.registry.entry_points", lambda **_: pytest.fail("installed packages were read"))
    registry = Registry("test", {"a": "A"}, letters)
    assert registry["a"] == registry.get("a") == "A"
    assert "a" in registry


def test_an_installed_component_is_imported_when_it_is_asked_for(beside: Path) -> None:
    install(beside, "good_one", "b = good_one:B\nc = good_one:C", "B, C = 'B', 'C'\n")
    registry = Registry("test", {"a": "A"}, letters)
    assert "b" in registry
    assert "good_one" not in sys.modules
    assert registry["b"] == "B"
    assert list(registry.items()) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert (len(registry), registry.name_of(registry["c"])) == (3, "c")
    assert repr(registry) == "<1 tests built in, 2 from outside>"
    with pytest.raises(KeyError):
        registry["d"]


def test_broken_packages_are_named_in_one_line_and_break_no_other(
    beside: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(beside, "broken_one", "broken = broken_one:B\nnumber = broken_one:N", "raise OSError('no\\nlibrary')\n")
    install(beside, "wrong_one", "wrong = wrong_one:W\ngone = wrong_one:GONE", "W = 3\n")
    install(beside, "thief_one", "a = thief_one:A\nright = thief_one:R\nwrong = thief_one:R", "A, R = 'X', 'R'\n")
    registry = Registry("test", {"a": "A"}, letters)
    with caplog.at_level(logging.WARNING, "cryoprior"):
        for _ in range(2):
            assert dict(registry) == {"a": "A", "right": "R", "wrong": "R"}
    lines = [record.getMessage() for record in caplog.records]
    assert not any("\n" in line for line in lines)
    assert len(lines) == len(set(lines)) == 5
    for expected in (
        "test 'broken' of broken_one 1.5 cannot be loaded: OSError: no library; expected broken_one:B",
        "test 'gone' of wrong_one 1.5 cannot be loaded: AttributeError",
        "test 'a' of thief_one 1.5 is left out: the name is built in",
        "test 'wrong' of wrong_one 1.5 is left out: thief_one 1.5 has the name",
    ):
        assert any(line.startswith(expected) for line in lines), (expected, lines)
    with pytest.raises(InputError, match=r"^test 'broken' of broken_one 1.5 cannot be loaded"):
        registry["broken"]


def test_a_component_of_another_kind_is_refused(beside: Path) -> None:
    install(beside, "odd_one", "odd = odd_one:W", "W = 3\n")
    with pytest.raises(InputError, match=r"test 'odd' of odd_one 1.5: found int; expected a text"):
        Registry("test", {}, letters)["odd"]


def test_registered_components_may_be_replaced_but_take_no_name(beside: Path) -> None:
    install(beside, "good_two", "b = good_two:B", "B = 'B'\n")
    registry = Registry("test", {"a": "A"}, letters)
    for value in ("first", "second"):
        registry.register("mine", value)
        assert registry["mine"] == value
    assert list(registry) == ["a", "mine", "b"]
    with pytest.raises(InputError, match=r"test 'a': the name is that of a built-in test; choose another"):
        registry.register("a", "mine")
    with pytest.raises(InputError, match=r"test 'b': the name is that of an installed one, good_two 1.5"):
        registry.register("b", "mine")
    with pytest.raises(InputError, match=r"test 'c': found int; expected a text"):
        registry.register("c", 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'x': no registered test; expected one of a, mine, b; register it: cryo"):
        registry.name_of("x")


@pytest.mark.parametrize("kind", ["operator", "solver", "metric", "format", "command"])
def test_every_kind_takes_components_and_refuses_what_is_none(kind: str) -> None:
    with pytest.raises(InputError, match=f"{kind} '.?mine': found int; expected"):
        cryoprior.register(kind, ".mine" if kind == "format" else "mine", 3)


def test_a_kind_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"register: no kind 'prior'; expected one of operator, solver, metric"):
        cryoprior.register("prior", "mine", 3)


def test_what_is_registered_in_a_notebook_is_named_like_any_other() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Twice(Bin):
        factor: int = 2

    cryoprior.register("operator", "twice", Twice)
    try:
        operator = cryoprior.parse_operator("twice:sets=3", box=8)
        assert format_operator(operator) == "twice:box=8,seed=0,sets=3,factor=2"
        assert (type(operator), operator.compression) == (Twice, 4)
    finally:
        del OPERATORS._registered["twice"]
    with pytest.raises(InputError, match=r"no operator is called 'twice'; choose one of bin, .*, or install"):
        cryoprior.parse_operator("twice", box=8)
