"""The page of an audit: the verdict in words, by shell, and what the maps look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cryoprior.audit.standard import StandardTests
from cryoprior.audit.tests_section import section_of_tests
from cryoprior.referee.result import Audit
from cryoprior.referee.section import agreement_blocks, audit_alerts, audit_pictures, sections_block, worth_blocks
from cryoprior.referee.words import sentences
from cryoprior.report.page import Block, KeyValues, Lead, Prose, Section, write_page


def write_audit_page(
    folder: Path,
    audit: Audit,
    inputs: Mapping[str, str],
    tests: StandardTests | None = None,
    more: Sequence[Section] = (),
) -> None:
    """Write report.html, agreement.png and worth.png; ``inputs`` names the files, ``tests`` those of a map prior.

    more: sections that follow.
    """
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
    tested = None if tests is None else section_of_tests(audit, tests)
    if tested is not None:
        sections.insert(2, tested)
    write_page(folder / "report.html", "Audit of a prior", [*sections, *more], "by the other half")
