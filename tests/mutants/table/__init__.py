"""All faults, room by room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mutants.mutant import Mutant
from mutants.table.maps import MAPS
from mutants.table.metrics import METRICS
from mutants.table.operators import OPERATORS
from mutants.table.prior import PRIOR
from mutants.table.review import REVIEW
from mutants.table.solvers import SOLVERS
from mutants.table.training import TRAINING

ROOMS: Mapping[str, Sequence[Mutant]] = {
    "review": REVIEW,
    "training": TRAINING,
    "solvers": SOLVERS,
    "operators": OPERATORS,
    "metrics": METRICS,
    "maps": MAPS,
    "prior": PRIOR,
}
