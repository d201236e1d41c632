"""What two half maps say of the maps that a prior made of them: agreement with the truth, verdict, worth, gated map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.referee.auditing import audit_maps
    from cryoprior.referee.result import Audit, AuditedMaps

__all__ = ["Audit", "AuditedMaps", "audit_maps"]

__getattr__ = lazy_names(__name__, {"auditing": ("audit_maps",), "result": ("Audit", "AuditedMaps")})
