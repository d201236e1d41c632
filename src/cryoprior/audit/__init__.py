"""What a prior added to maps, judged by the half that it did not see; maps of any program."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.audit.auditing import audit_maps
    from cryoprior.audit.result import Audit, AuditedMaps

__all__ = ["Audit", "AuditedMaps", "audit_maps"]

__getattr__ = lazy_names(__name__, {"auditing": ("audit_maps",), "result": ("Audit", "AuditedMaps")})
