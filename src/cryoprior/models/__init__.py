"""Atomic models: built into a map, and compared."""

from __future__ import annotations
