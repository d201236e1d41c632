"""Inside a refinement: what another program refines against, made from its own sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.refinement.reconstructing import Reference, reconstruct_reference

__all__ = ["Reference", "reconstruct_reference"]

__getattr__ = lazy_names(__name__, {"reconstructing": ("Reference", "reconstruct_reference")})
