"""Compares two atomic models by chains of like sequence and residues in one place: the engine of ``model score``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.errors import InputError
from cryoprior.io.atomic_models import AtomicModel, read_atomic_model
from cryoprior.metrics.atomic_model import ChainPair, PairRules, Residues, chain_pairs, summarise_pairs
from cryoprior.metrics.model_recovery import Recovery, common_frame, moved, recovery
from cryoprior.metrics.sequence_alignment import AlignmentScores
from cryoprior.metrics.superposition import Superposition
from cryoprior.models.tables import protein_residues

FEW = 0.1
"""Below this share of matched C-alphas two models are taken to lie in different frames."""

log = logging.getLogger("cryoprior")


@dataclass(frozen=True, repr=False)
class ModelScore:
    """Two models with their pairs of chains and the residues that match, the first model in the frame it is judged in.

    rules: how chains are paired. distance: the farthest that matching C-alphas are apart, in angstrom.
    chains_a, chains_b: the protein chains. motion: what brought a into the frame of b, None if nothing did.
    deposited: whether b's B-factors are no confidence.
    """

    a: AtomicModel
    b: AtomicModel
    rules: PairRules
    distance: float
    deposited: bool
    chains_a: Sequence[Residues]
    chains_b: Sequence[Residues]
    pairs: Sequence[ChainPair]
    matched: Recovery
    motion: Superposition | None

    def __repr__(self) -> str:
        rmsd = summarise_pairs(self.pairs)["mean_rmsd_angstrom"]
        means = f"mean RMSD {'unknown' if rmsd is None else f'{rmsd:.2f} A'}"
        recall = "unknown" if self.recall is None else f"{self.recall:.3f}"
        return f"ModelScore({len(self.pairs)} pairs of chains, {means}, recall {recall})"

    @property
    def recall(self) -> float | None:
        """Return the share of the second model's C-alphas that are matched, None where it has none."""
        share: float | None = self.matched.summary()["recall"]
        return share

    @property
    def warnings(self) -> list[str]:
        """Return what the numbers do not say by themselves."""
        warnings = []
        if not self.pairs:
            warnings.append(
                f"no pair of chains of {self.rules.minimum_residues} residues and "
                f"{100 * self.rules.minimum_identity:.0f} % identity; their means are not given"
            )
        if not self.chains_a or not self.chains_b:
            warnings.append("a model without protein: nothing to match; nucleic acids are counted, not compared")
        elif self.motion is None and (self.recall or 0) < FEW:
            warnings.append(
                f"{100 * (self.recall or 0):.1f} % of the second model's C-alphas have a partner within "
                f"{self.distance:g} A; the maps may have frames of their own; superpose them"
            )
        return warnings

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names of summary.json."""
        sides = {"a": self.a, "b": self.b}
        confidence = {"a": self.a.mean_b_factor, "b": None if self.deposited else self.b.mean_b_factor}
        long = self.rules.minimum_residues
        summary: dict[str, Any] = {
            **{f"confidence_{side}": confidence[side] for side in sides},
            **{f"chains_{side}": sum(len(c) >= long for c in model.protein) for side, model in sides.items()},
            **summarise_pairs(self.pairs),
            "pairs_without_rmsd": sum(pair.rmsd is None for pair in self.pairs),
            "tie_break": self.rules.tie_break,
            "recovery": {"distance_angstrom": self.distance, **self.matched.summary()},
            **{f"protein_chains_{side}": len(model.protein) for side, model in sides.items()},
            **{f"nucleic_chains_{side}": len(model.nucleic) for side, model in sides.items()},
            **{f"residues_{side}": sum(map(len, model.chains)) for side, model in sides.items()},
            **{f"unknown_residues_{side}": _unknown(model) for side, model in sides.items()},
            "deposited": self.deposited,
            "superposed": self.motion is not None,
            "warnings": self.warnings,
        }
        if self.motion is not None:
            summary["motion"] = {"rotation": self.motion.rotation, "shift_angstrom": self.motion.shift}
        return summary


def score_models(
    a: AtomicModel | Path | str,
    b: AtomicModel | Path | str,
    *,
    deposited: bool = False,
    minimum_residues: int = 20,
    minimum_identity: float = 0.4,
    match: float = 2.0,
    mismatch: float = -1.0,
    gap_open: float = -2.0,
    gap_extend: float = -0.5,
    tie_break: str = "first",
    distance: float = 2.0,
    superpose: bool = False,
) -> ModelScore:
    """Return how two atomic models agree: chains of like sequence, and residues in the same place.

    Parameters
    ----------
    a, b: models that were read, or their files (.cif, .pdb, .gz), with ModelAngelo's confidence in the B-factor.
    deposited: b is a deposited structure, whose B-factors are no confidence.
    minimum_residues, minimum_identity: shorter chains, and pairs of chains of less identity (0 to 1), are left out.
    match, mismatch, gap_open, gap_extend: what an alignment earns and pays.
    tie_break: which of equally good alignments gives the RMSD: ``first``, ``published`` or ``best``.
    distance: the farthest that matching C-alphas are apart, in angstrom.
    superpose: bring a into the frame of b first, for maps in frames of their own.

    Raises
    ------
    InputError: files that are no models or lack a confidence, values out of range, no pair of chains to superpose.
    """
    if not distance > 0:
        raise InputError(f"<distance> {distance:g}: expected angstrom above 0")
    rules = PairRules(
        minimum_residues, minimum_identity, AlignmentScores(match, mismatch, gap_open, gap_extend), tie_break
    )
    first = a if isinstance(a, AtomicModel) else read_atomic_model(a)
    second = b if isinstance(b, AtomicModel) else read_atomic_model(b, confidence=not deposited)
    chains_a, chains_b = protein_residues(first.chains), protein_residues(second.chains)
    pairs, motion = chain_pairs(chains_a, chains_b, rules), None
    if superpose:
        motion = common_frame(chains_a, chains_b, pairs, distance)
        chains_a = moved(chains_a, motion)
    matched = recovery(chains_a, chains_b, distance)
    score = ModelScore(first, second, rules, distance, deposited, chains_a, chains_b, pairs, matched, motion)
    for warning in score.warnings:
        log.warning("%s", warning)
    return score


def _unknown(model: AtomicModel) -> int:
    return sum(chain.sequence.count("X") for chain in model.chains)
