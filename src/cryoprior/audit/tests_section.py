"""What the standard tests of a map prior found, in words, as a table and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator

from cryoprior.audit.noise_test import NoiseTest
from cryoprior.audit.standard import StandardTests
from cryoprior.metrics.gate import SURE
from cryoprior.referee.result import Audit, Worth
from cryoprior.referee.section import SECTION_WIDTH
from cryoprior.report.page import Alert, Block, Picture, Prose, Section, Table
from cryoprior.report.volumes import slice_montage

CAPTION = (
    "The gated map of this prior and of those that should not fit, in particles, over the same shells. What a prior "
    "knows of density, that it is positive and that solvent is flat, holds in either hand and for every molecule, so a "
    "false prior need not be worth nothing; where the data do not confirm it the gate is closed, and it is worth 1."
)
NOISE = (
    "Central sections of what the prior makes of the particles, of noise in their place when it is told the signal to "
    "noise of the real maps, and when it is told what the noise itself says. One grey scale."
)
NAMES = {"other_hand": "half maps in the other hand", "wrong_prior": "the wrong prior"}


def said_of_tests(audit: Audit, tests: StandardTests) -> Iterator[str]:
    """Yield a sentence on every test that was made."""
    right = audit.worth
    for name, audited in (("other_hand", tests.other_hand), ("wrong_prior", tests.wrong_prior)):
        if audited is None:
            continue
        of = "Given the half maps in the other hand" if name == "other_hand" else "Of the wrong prior"
        if not bool(audited.weights.opening.any()):
            yield f"{of} the data confirm nothing: the gate closes."
        else:
            worth = f"{audited.worth.ratio:.2f} ± {audited.worth.error:.2f}"
            alike = _alike(name, right, audited.worth)
            yield f"{of} the gated map is worth {worth} times the particles, as it stands {right.ratio:.2f}{alike}."
    if tests.noise is not None:
        yield _noise_said(tests.noise)


def section_of_tests(audit: Audit, tests: StandardTests) -> Section | None:
    """Return the section of the page, None where no test was made."""
    said = list(said_of_tests(audit, tests))
    if not said:
        return None
    blocks: list[Block] = [Prose(" ".join(said))]
    if tests.noise is not None and tests.noise.appears:
        blocks.append(Alert("The prior finds structure in noise", "Do not interpret what only the prior's map shows."))
    compared = {NAMES[name]: getattr(tests, name) for name in NAMES if getattr(tests, name) is not None}
    if compared:
        heads = ("asked", "gated worth ×", "prior's own worth ×", "shells supported", "prior only")
        rows = [_row(name, one) for name, one in {"this prior": audit, **compared}.items()]
        blocks.append(Table(heads, rows, CAPTION, strong=(0,)))
    if tests.noise is not None:
        blocks.append(noise_picture(audit, tests.noise))
    return Section("Standard tests", blocks)


def noise_picture(audit: Audit, noise: NoiseTest) -> Picture:
    """Return sections of what the prior makes of the particles and of noise."""
    maps = {"of the particles": audit.maps.prior, "of noise, led": noise.led, "of noise": noise.unled}
    shown = {name: volume.numpy() for name, volume in maps.items() if float(volume.max()) > float(volume.min())}
    png = slice_montage(shown, audit.voxel_size_angstrom, 3)
    return Picture(png, "what the prior makes of particles and of noise", NOISE, len(shown) * SECTION_WIDTH)


def _alike(name: str, right: Worth, wrong: Worth) -> str:
    """Return what it means where the right prior is worth no more than the one that should not fit."""
    if right.ratio - wrong.ratio > SURE * math.hypot(right.error, wrong.error):
        return ""
    return ": the prior does not know one hand from the other" if name == "other_hand" else ": no less than this prior"


def _noise_said(noise: NoiseTest) -> str:
    halves, with_map = noise.mean(noise.led_halves), noise.mean(noise.led_with_map)
    found = "a molecule appears that is not there" if noise.appears else "no molecule appears"
    return (
        f"Of noise in place of the particles {found}: told the signal to noise of the real maps, the prior's two maps "
        f"have an FSC of {halves:.2f} with each other and of {with_map:.2f} with the real one; told what the noise "
        f"itself says, its map has {noise.power_share:.1%} of the power of the real one."
    )


def _row(name: str, audit: Audit) -> tuple[str, ...]:
    worth, alone = audit.worth, audit.prior_worth
    counts = (audit.verdicts.count("supported"), audit.verdicts.count("prior only"))
    return (
        name,
        f"{worth.ratio:.2f} ± {worth.error:.2f}",
        f"{alone.ratio:.2f} ± {alone.error:.2f}",
        *(str(count) for count in counts),
    )
