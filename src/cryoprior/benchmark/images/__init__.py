"""Benchmarks of images: cells, units, rows, verdicts and their page."""

from __future__ import annotations
