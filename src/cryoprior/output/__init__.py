"""Outputs: whole or absent, and a record of how each was made."""

from __future__ import annotations
