"""Keys of stored JSON that are missing, or of another type than the reader uses, are told by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cryoprior.errors import InputError
from cryoprior.output.record import SUMMARY_KEYS, read_recorded
from cryoprior.output.stored_json import read_json

KEYS = {"seconds": int | float, "prior": str | None, "options": dict}
GOOD = {"seconds": 1.5, "options": {}}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seconds": "1"}, "seconds is '1'"),
        ({"seconds": True}, "seconds is True"),
        ({"prior": ["a"]}, r"prior is \['a'\]"),
        ({"options": None}, "options is None"),
    ],
)
def test_another_type_is_told(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(InputError, match=f"a.json: {said}; expected a record, as this program writes it; run again"):
        read_json(path, "a record", "run again", KEYS)


def test_a_missing_key_is_told_unless_it_may_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD))
    assert read_json(path, "a record", "run again", KEYS) == GOOD
    path.write_text("{}")
    with pytest.raises(InputError, match="no seconds"):
        read_json(path, "a record", "run again", KEYS)


@pytest.mark.parametrize("key", SUMMARY_KEYS)
def test_the_summary_of_a_reconstruction_holds_what_is_taken_from_it(tmp_path: Path, key: str) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({key: [{"a": 1}]}))
    with pytest.raises(InputError, match=f"{key} is"):
        read_recorded(tmp_path)
