"""A function that a process of its own can be given, and that takes longer than any test."""

from __future__ import annotations

import time


def wait_long(*_: object) -> None:
    """Sleep for a minute."""
    time.sleep(60)
