from __future__ import annotations

from importlib import import_module

import pytest

from cryoprior.commands import COMMANDS
from cryoprior.housekeeping import list as command
from cryoprior.housekeeping.outside import described
from cryoprior.housekeeping.sources import built_in_components
from cryoprior.operators import OPERATORS
from cryoprior.registry import HOMES
from cryoprior.solvers import SOLVERS


def test_every_registered_component_is_listed_with_a_description() -> None:
    listed = command.run(command.Options())
    assert set(listed["operators"]) == set(OPERATORS)
    assert set(listed["solvers"]) == set(SOLVERS)
    assert set(listed["commands"]) == set(COMMANDS)
    assert set(listed) == {f"{kind}s" for kind in HOMES} | {"presets"}
    assert all(text for kind in listed.values() for text in kind.values())


def test_fields_and_defaults_are_shown() -> None:
    listed = command.run(command.Options())
    assert "rows=hadamard" in listed["operators"]["pixel"]
    assert "batch=16" in listed["presets"]["small"]


@pytest.mark.parametrize("kind", sorted(set(HOMES) - {"command"}))
def test_the_sources_say_what_the_components_say_when_they_are_imported(kind: str) -> None:
    module, _, name = HOMES[kind].partition(":")
    registry = getattr(import_module(module), name)
    assert built_in_components(HOMES[kind]) == {key: described(item) for key, item in registry.built_in.items()}
