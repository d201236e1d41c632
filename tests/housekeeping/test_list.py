from __future__ import annotations

from cryoprior.commands import COMMANDS
from cryoprior.housekeeping import list as stage
from cryoprior.operators import OPERATORS
from cryoprior.solvers import SOLVERS


def test_every_registered_component_is_listed_with_a_description() -> None:
    found = stage.run(stage.Options())
    assert set(found["operators"]) == set(OPERATORS)
    assert set(found["solvers"]) == set(SOLVERS)
    assert set(found["commands"]) == set(COMMANDS)
    assert all(text for kind in found.values() for text in kind.values())


def test_fields_and_defaults_are_shown() -> None:
    assert "rows=hadamard" in stage.run(stage.Options())["operators"]["pixel"]
