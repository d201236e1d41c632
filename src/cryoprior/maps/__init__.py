"""Maps of particles, reconstructions or measurements with known poses, and what they are worth."""

from __future__ import annotations
