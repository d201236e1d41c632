"""Simulation: particles from atomic models or maps."""

from __future__ import annotations
