"""Heterogeneity: whether the conformational states of the originals are found in the reconstruction."""

from __future__ import annotations
