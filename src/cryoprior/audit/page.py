"""The page of an audit: the verdict in words, by shell, and what the maps look like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryoprior.referee.result import Audit
from cryoprior.referee.section import agreement_blocks, audit_alerts, audit_pictures, sections_block, worth_blocks
from cryoprior.referee.words import sentences
from cryoprior.report.page import Block, KeyValues, Lead, Prose, Section, write_page


def write_audit_page(folder: Path, audit: Audit, inputs: Mapping[str, str]) -> None:
    """Write report.html, agreement.png and worth.png; ``inputs`` names the files."""
    pictures = audit_pictures(audit)
    for name, png in pictures.items():
        (folder / f"{name}.png").write_bytes(png)
    first, *others = sentences(audit)
    head: list[Block] = [Lead(first), *(Prose(text) for text in others), *audit_alerts(audit)]
    head.append(KeyValues([*inputs.items(), ("Box", f"{audit.box} voxels of {audit.voxel_size_angstrom:.3f} Å")]))
    sections = [
        Section("", head),
        Section("Agreement with the truth", agreement_blocks(audit, pictures["agreement"])),
        Section("Worth", worth_blocks(audit, pictures["worth"])),
        Section("Sections", [sections_block(audit)]),
    ]
    write_page(folder / "report.html", "Audit of a prior", sections, "by the other half")
