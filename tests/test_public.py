from __future__ import annotations

import subprocess
import sys

import pytest

import cryoprior


@pytest.mark.parametrize("name", cryoprior.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(cryoprior, name) is not None


def test_the_lists_of_names_agree() -> None:
    assert {*cryoprior._MODULES, *cryoprior._NAMES, "__version__"} == set(cryoprior.__all__) == set(dir(cryoprior))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        _ = cryoprior.nope


@pytest.mark.parametrize("module", ["cryoprior", "cryoprior.errors", "cryoprior.io"])
def test_these_are_imported_without_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
