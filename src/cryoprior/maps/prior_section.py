"""What ``map`` writes of a map prior: maps and numbers beside the prior-free ones, and a section of the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.prior.volume.map_prior import MapPrior
from cryoprior.referee.deviation import Drawing, PriorDeviation
from cryoprior.referee.deviation_section import deviation_section, write_deviation
from cryoprior.referee.result import Audit
from cryoprior.referee.section import agreement_blocks, audit_alerts, audit_pictures, sections_block, worth_blocks
from cryoprior.referee.volumes import write_prior_volumes
from cryoprior.referee.words import CUTS, sentences
from cryoprior.report.page import Alert, Block, Prose, Section

NOT_ASKED = "The half maps agree at no resolution, so the map prior was not asked."
FILES = (
    "map.mrc and its half maps are prior-free: deposit them. map_prior.mrc is the mean of what the prior made of both "
    "half maps, map_gated.mrc the map with what the other half confirms; map_gated_filtered.mrc is that map with every "
    "shell weighted by its agreement with the truth, to look at."
)
COUNTED = (
    "Worth is counted within the mask of the referee, which is wider than that of the FSC. The solvent in it is part "
    "of the gain: a prior makes it flat. Inside the molecule alone the gain is smaller, and coarse shells may lose a "
    "little there."
)
LEARNED = (
    "This map prior was trained on half maps. If they came from these particles, it has seen both halves, and the "
    "verdict does not hold: train one for each half."
)
INSIDE = (
    "The half maps are of reconstructed images, in which a prior had a hand. What it adds to both halves passes here "
    "for signal; the map of the measurements alone has no such error."
)


@dataclass(eq=False)
class PriorSide:
    """A map prior beside a map: its name, and the audit of what it made; None where it was not asked.

    inside: whether another prior had a hand in the images. drawing: draws to be made when it is written. drawn: what
    they said.
    """

    name: str
    prior: MapPrior
    audit: Audit | None
    inside: bool = False
    drawing: Drawing | None = None
    drawn: PriorDeviation | None = None

    def said(self) -> str:
        """Return in a few words what the prior adds, to go with the sentence on the map."""
        if self.audit is None:
            return "the map prior was not asked"
        if self.audit.cut_share > CUTS:
            return "the mask cuts the particle, so that the gate is closed for the map prior"
        if not self.audit.weights.opening.any():
            return "the data confirm nothing that the map prior adds"
        worth = self.audit.worth
        said = f"with the map prior, beside it, worth {worth.ratio:.2f} ± {worth.error:.2f} times the particles"
        return f"{said}, overstated since views are missing" if self.audit.missing_views else said

    def write(self, folder: Path) -> None:
        """Write the maps, and pictures of agreement and worth; make the draws and write them."""
        if self.audit is None:
            return
        write_prior_volumes(folder, self.audit)
        for name, png in audit_pictures(self.audit).items():
            (folder / f"prior_{name}.png").write_bytes(png)
        if self.drawing is not None:
            self.drawn = write_deviation(folder, self.drawing, self.audit)

    def summary(self) -> dict[str, Any]:
        """Return the numbers under the names that summary.json promises."""
        if self.audit is None:
            return {"map_prior": {"prior": self.name, "asked": False, "says": NOT_ASKED}}
        found = self.audit.summary()
        kept = {name: value for name, value in found.items() if name not in ("says", "box", "voxel_size_angstrom")}
        drawn = {} if self.drawn is None else {"prior_deviation": self.drawn.summary()}
        return {"map_prior": {"prior": self.name, "asked": True, "says": found["says"]}, **kept, **drawn}

    def sections(self, folder: Path) -> list[Section]:
        """Return the sections of the page: on the prior, and on its deviation where it was drawn into the folder."""
        return [self.section(), *([] if self.drawn is None else [deviation_section(folder, self.drawn)])]

    def section(self) -> Section:
        """Return the section of the page."""
        if self.audit is None:
            return Section("With a map prior", [Prose(NOT_ASKED)])
        pictures = audit_pictures(self.audit)
        blocks: list[Block] = [Prose(" ".join(sentences(self.audit))), *audit_alerts(self.audit), *self._notes()]
        blocks += [
            Prose(FILES),
            *([Prose(COUNTED)] if self.audit.masked else []),
            *worth_blocks(self.audit, pictures["worth"], "fsc.csv"),
        ]
        blocks += [*agreement_blocks(self.audit, pictures["agreement"]), sections_block(self.audit)]
        return Section("With a map prior", blocks)

    def _notes(self) -> list[Block]:
        notes: list[Block] = []
        if self.inside:
            notes.append(Alert("The half maps have a prior in them already", INSIDE))
        if self.prior.config.from_half_maps:
            notes.append(Alert("What the map prior has seen", LEARNED, "note"))
        return notes
