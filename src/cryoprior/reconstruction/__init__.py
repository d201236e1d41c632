"""Reconstruction: images from their measurements."""

from __future__ import annotations
