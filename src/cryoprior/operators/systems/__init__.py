"""The machinery of operators: singular systems, blocks, frequencies, Hadamard rows, a cache."""

from __future__ import annotations
