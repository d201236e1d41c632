"""Housekeeping: convert, validate, describe, list, doctor."""

from __future__ import annotations
