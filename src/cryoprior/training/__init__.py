"""Training: a prior from particles, or from measurements of them."""

from __future__ import annotations
