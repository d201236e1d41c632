"""Benchmarks of maps: images, rows, poses and their page."""

from __future__ import annotations
