"""Evaluation: two-dimensional scores of a reconstruction beside their floors."""

from __future__ import annotations
