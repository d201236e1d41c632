"""The parts that several methods share: the chain of a DDPM, the misfit, sparsity."""

from __future__ import annotations
