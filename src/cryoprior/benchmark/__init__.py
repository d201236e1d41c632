"""Benchmarks: a plan in a TOML file becomes tables, curves and pictures, and goes on where it was interrupted."""

from __future__ import annotations
