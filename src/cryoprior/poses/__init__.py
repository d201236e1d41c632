"""Poses: found again by RELION, and compared with known ones."""

from __future__ import annotations
