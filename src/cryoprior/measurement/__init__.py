"""Measurements y = A x + noise, and what they say by themselves."""

from __future__ import annotations
