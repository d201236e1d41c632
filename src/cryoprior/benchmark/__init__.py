"""Benchmarks: a plan in a TOML file becomes tables, curves and pictures. An interrupted run resumes."""

from __future__ import annotations
