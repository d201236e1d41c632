"""Faults that were put into the code on purpose, and the tests that must notice them."""

from __future__ import annotations
