"""The demonstration: the whole path on a small simulated stack."""

from __future__ import annotations
