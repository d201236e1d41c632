"""Particle formats: one reader a file, and the registry of them by extension."""

from __future__ import annotations
