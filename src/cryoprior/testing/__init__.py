"""The laws that every component keeps, for the tests of any package; nothing but this package is needed to run them.

    from cryoprior.testing import check_operator

    def test_stripes() -> None:
        check_operator(Stripes(box=8, every=2, sets=3))

Each check raises an AssertionError that names the law and the numbers. A law asks the component what it is and can
do, never its name. The laws of a kind are a dictionary, so that a test may run them one by one.
"""

from __future__ import annotations

from cryoprior.testing.formats import check_format
from cryoprior.testing.metrics import METRIC_LAWS, check_metric
from cryoprior.testing.operators import OPERATOR_LAWS, check_operator
from cryoprior.testing.priors import PRIOR_LAWS, check_prior
from cryoprior.testing.solvers import SOLVER_LAWS, check_solver

__all__ = [
    "METRIC_LAWS",
    "OPERATOR_LAWS",
    "PRIOR_LAWS",
    "SOLVER_LAWS",
    "check_format",
    "check_metric",
    "check_operator",
    "check_prior",
    "check_solver",
]
