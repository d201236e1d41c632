"""The options that the scripts share, and what they open."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from harness import DTYPES, prior_digest, prior_name
from store import Store, code_digest
from table import progress, provenance

from cryoprior.prior import Prior, load_prior

HERE = Path(__file__).parent


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the shared options."""
    found = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    default = os.environ.get("CRYOPRIOR_SHARED_DATA") or HERE.parent.parent / "shared" / "data"
    found.add_argument("--data", type=Path, default=Path(default), help="folder with real/, structures/ and meta/")
    found.add_argument("--prior", default="default", help="the embedded prior (default), or the folder of one")
    found.add_argument("--spectrum", choices=("auto", "prior"), default="auto", help="whose power spectrum is used")
    found.add_argument("--out", type=Path, default=HERE / "results", help="folder of the tables")
    found.add_argument("--work", type=Path, default=HERE / "work", help="folder of what was computed before")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--dtype", choices=tuple(DTYPES), default="float32", help="precision of the network")
    found.add_argument("--limit", type=int, help="the first particles only")
    found.add_argument("--cells", help="only some: 'K=16 hadamard, uniform C=10' are words of their names")
    return found


@dataclass(frozen=True)
class Run:
    """Options, prior and earlier results of one script."""

    script: str
    options: argparse.Namespace
    arguments: Sequence[str]
    prior: Prior
    store: Store
    code: str

    @classmethod
    def open(cls, script: str, options: argparse.Namespace, arguments: Sequence[str] | None) -> Run:
        """Return the run; InputError for a prior that is not there."""
        torch.set_num_threads(options.threads)
        given = list(sys.argv[1:] if arguments is None else arguments)
        store = Store(options.work / f"{Path(script).stem}.jsonl")
        return cls(script, options, given, load_prior(options.prior), store, code_digest())

    def cached(self, compute: Any, **key: Any) -> Any:
        """Return the result for this key, prior, code, precision and choice of spectrum."""
        shared = {"prior": prior_digest(self.prior), "code": self.code}
        shared |= {"dtype": self.options.dtype, "spectrum": self.options.spectrum}
        before = self.store.computed
        result = self.store.cached(key | shared, compute)
        if self.store.computed > before:
            progress(" ".join(str(value) for value in key.values() if isinstance(value, (str, int))))
        return result

    def footer(self, facts: str = "") -> str:
        """Return how the result came about."""
        dtype = f"Network in {self.options.dtype}; spectrum: {self.options.spectrum}. {facts}".strip()
        return provenance(self.script, self.arguments, prior_name(self.prior, self.options.prior), self.code, dtype)
