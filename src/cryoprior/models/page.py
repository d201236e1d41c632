"""The pages of ``model build`` and ``model score``: numbers, pictures, and what they may be trusted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryoprior.report.page import Alert, Block, KeyValues, Picture, Prose, Section, Table

CONFIDENCE = (
    "The confidence is ModelAngelo's own estimate, 0 to 100, of how near its backbone is to the truth. It is no "
    "measurement: it says how sure the program is, of a wrong place too."
)
INVENTED = (
    "A generative prior can put plausible density where the measurements hold none, and a model that is built there "
    "looks as good as any. Check a model from reconstructed images against one from the originals, or against a "
    "deposited structure, before it is interpreted."
)
PAIRS = (
    "Every protein chain of enough residues of one model is aligned with every one of the other by sequence alone. "
    "Pairs of enough identity are superposed, and the RMSD is taken over N, CA, C and O of the aligned residues. A "
    "chain may be in several pairs, and a pair need not lie in one place of the map: short fragments and copies of "
    "one protein raise the RMSD without any atom being misplaced."
)
PLACES = (
    "C-alphas of both models are matched one to one where they lie, as many as can be and then as near as can be. "
    "Recall is the share of the second model's C-alphas that are matched, precision that of the first one's; sequence "
    "match is the share of the matched with the same residue type, completeness the share of the second model's "
    "residues that are matched with the right type. RMSDs are of matched residues, without a superposition of chains."
)
COLUMNS = ("chain a", "chain b", "score", "identity", "aligned", "RMSD (Å)")


def text(value: Any) -> str:
    """Return a number as a page shows it, a dash for what is not known."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class BuildPage:
    """What the page of ``model build`` shows: the summary and two pictures."""

    summary: Mapping[str, Any]
    traces: bytes
    histogram: bytes

    @property
    def pictures(self) -> dict[str, bytes]:
        """The pictures by the names of their files."""
        return {"traces.png": self.traces, "confidence.png": self.histogram}

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        facts = [(key.replace("_", " "), text(value)) for key, value in self.summary.items()]
        return [
            Section("", [KeyValues(facts), Alert("A model needs checking", INVENTED, "note")]),
            Section("Confidence", [Prose(CONFIDENCE), Picture(self.histogram, "histogram of the confidence")]),
            Section("Model", [Picture(self.traces, "the model's trace along z, y and x, coloured by confidence")]),
        ]


@dataclass(frozen=True)
class ScorePage:
    """What the page of ``model score`` shows; ``distributions`` is None where there is no pair of chains."""

    names: tuple[str, str]
    summary: Mapping[str, Any]
    pairs: Sequence[Sequence[str]]
    traces: bytes
    histogram: bytes
    distributions: bytes | None
    warnings: Sequence[Alert] = field(default_factory=list)

    @property
    def pictures(self) -> dict[str, bytes]:
        """The pictures by the names of their files."""
        made = {"traces.png": self.traces, "confidence.png": self.histogram}
        return made if self.distributions is None else {**made, "pairs.png": self.distributions}

    def sections(self) -> list[Section]:
        """Return the sections of the page."""
        head: list[Block] = [*self.warnings, self._models(), Prose(CONFIDENCE)]
        head.append(Alert("A model from reconstructed images needs checking", INVENTED, "note"))
        places: list[Block] = [Prose(PLACES), self._numbers("recovery")]
        return [
            Section("Models", head),
            Section("Traces", [Picture(self.traces, "traces of both models along z, y and x, and both together")]),
            Section("Confidence", [Picture(self.histogram, "histograms of the confidence over atoms")]),
            Section("Pairs of chains", self._pairs()),
            Section("C-alphas in the same place", places),
        ]

    def _models(self) -> Table:
        rows = [
            [what, *(text(self.summary[f"{key}_{model}"]) for model in ("a", "b"))]
            for what, key in (
                ("mean confidence per atom", "confidence"),
                ("protein chains counted", "chains"),
                ("all protein chains", "protein_chains"),
                ("nucleic acid chains", "nucleic_chains"),
                ("residues", "residues"),
            )
        ]
        return Table(("", *self.names), rows)

    def _pairs(self) -> list[Block]:
        blocks: list[Block] = [Prose(PAIRS), self._numbers()]
        if self.distributions is not None:
            blocks.append(Picture(self.distributions, "RMSD and score of the pairs, and RMSD over identity"))
            blocks.append(Table(COLUMNS, self.pairs, "Pairs of chains, best score first."))
        return blocks

    def _numbers(self, part: str | None = None) -> KeyValues:
        shown = self.summary[part] if part else {key: self.summary[key] for key in PAIR_KEYS}
        return KeyValues([(key.replace("_", " "), text(value)) for key, value in shown.items()])


PAIR_KEYS = ("pairs", "mean_score", "mean_identity", "mean_rmsd_angstrom", "median_rmsd_angstrom", "tie_break")
