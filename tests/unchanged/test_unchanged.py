"""The commands compute on fixed seeds what known.json holds, bit for bit on the machine that wrote it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
ROUNDING = 2e-3
"""What other processors make of the last bit grows along twenty steps of training and a chain of evaluations."""

NOTHING = 1e-6
"""A residual of 1e-7 is rounding alone."""


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("digests", HERE / "digests.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_result_is_the_one_that_is_known(script: Any) -> None:
    ran = subprocess.run([sys.executable, script.__file__], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    known, found = json.loads(script.KNOWN.read_text()), json.loads(ran.stdout)
    assert known["results"].keys() <= found["results"].keys()
    same_machine = known["machine"] == found["machine"]
    changed = [
        f"{name}: {before} became {found['results'][name]}"
        for name, before in known["results"].items()
        if not _equal(before, found["results"][name], exactly=same_machine)
    ]
    assert not changed, "\n".join(changed)


def test_the_digest_sees_one_bit(script: Any) -> None:
    value = np.linspace(0, 1, 100, dtype=np.float32)
    other = value.copy()
    other[50] = np.nextafter(other[50], np.float32(2))
    before, after = script.described(value), script.described(other)
    assert not _equal(before, after, exactly=True)
    assert _equal(before, after, exactly=False)
    assert not _equal(before, script.described(value + 0.01), exactly=False)
    assert not _equal(script.described(3.0), script.described(3.1), exactly=False)


def _equal(before: dict[str, Any], after: dict[str, Any], *, exactly: bool) -> bool:
    """Return whether two results are one; what came in on another machine than the rest has no digest to compare."""
    if exactly and "digest" in before:
        return bool(before["digest"] == after["digest"])
    pair = [np.array(part["numbers"]) for part in (before, after)]
    if pair[0].shape != pair[1].shape:
        return False
    scale = max((float(np.abs(part).max(initial=0)) for part in pair), default=0.0)
    return bool(np.allclose(*pair, rtol=ROUNDING, atol=ROUNDING * scale + NOTHING))
