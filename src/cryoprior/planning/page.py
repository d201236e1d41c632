"""The page of a plan."""

from __future__ import annotations

from pathlib import Path

from cryoprior.planning.figure import front_figure
from cryoprior.planning.plan import Plan, Planned
from cryoprior.planning.words import hours_text, recommendation, resolution_text
from cryoprior.report import KeyValues, Lead, Picture, Prose, Section, Table, write_page

ABOUT = (
    "Every candidate was tried on example images: what it leaves of their signal and what errors it adds, by shell, "
    "and the bytes on disk. The resolution follows from that and from the signal over noise that one particle adds to "
    "a map. Ranges are one standard deviation. It is that of a map with poses as good as those of whole images."
)
PRIOR_NOTE = (
    "With the map prior: the particles count as many times more as the embedded prior was measured to be worth on "
    "molecules of families that trained nothing."
)
FRONT_NOTE = "Bold rows: the Pareto front, beaten by no other in both bytes and resolution."
WORDS = "Resolution that can be expected against the bytes that a particle takes; the dashed line is the Pareto front."
WIDTH = 980


def write_plan_page(folder: Path, plan: Plan, source: str, prior_left_out: str = "") -> None:
    """Write report.html and front.png.

    source: where signal and noise come from, in words. prior_left_out: why the map prior cannot be asked, if so.
    """
    png = front_figure(plan)
    (folder / "front.png").write_bytes(png)
    sections = [
        Section("", [Lead(recommendation(plan)), KeyValues(_facts(plan, source, prior_left_out))]),
        Section("Resolution against bytes", [Picture(png, WORDS, WORDS, WIDTH), Prose(ABOUT)]),
        Section("Candidates", [_resolution_table(plan), _time_table(plan)]),
    ]
    write_page(folder / "report.html", "What to keep of a particle", sections)


def _facts(plan: Plan, source: str, prior_left_out: str) -> list[tuple[str, str]]:
    spectrum = plan.spectrum
    known = spectrum.box * spectrum.pixel_size / spectrum.last
    facts = [
        ("Particles", f"{plan.n:,}"),
        ("Box", f"{spectrum.box} pixels of {spectrum.pixel_size:.3f} Å"),
        ("Signal and noise", source),
        ("Known to", f"{known:.1f} Å; beyond, B-factor of {spectrum.b_factor:.0f} Å²"),
        ("Line", f"{plan.rates.gigabit_per_second:g} Gbit/s"),
        ("Device", plan.rates.device),
    ]
    return facts + [("Map prior", prior_left_out)] * bool(prior_left_out)


def _resolution_table(plan: Plan) -> Table:
    front = {row.candidate.name for row in plan.front}
    prior = plan.rows[0].with_prior is not None
    columns = ["candidate", "bytes", "smaller", "resolution", *["with map prior"] * prior, "effective particles"]
    rows = [
        [
            row.candidate.name,
            f"{row.bytes_per_particle:,.0f}",
            f"{plan.rows[0].bytes_per_particle / row.bytes_per_particle:.3g}×",
            resolution_text(row.expected),
            *[resolution_text(row.with_prior)] * prior,
            f"{row.effective_particles:,.0f} ({row.effective_particles / plan.n:.2f})",
        ]
        for row in _ordered(plan)
    ]
    strong = [i for i, row in enumerate(_ordered(plan)) if row.candidate.name in front]
    return Table(columns, rows, f"{FRONT_NOTE} {PRIOR_NOTE if prior else ''}".strip(), strong)


def _time_table(plan: Plan) -> Table:
    rows = [
        [
            row.candidate.name,
            f"{plan.n * row.bytes_per_particle / 1e9:.3g} GB",
            hours_text(row.hours_to_move),
            hours_text(row.hours_to_map),
            hours_text(row.hours_to_reconstruct),
        ]
        for row in _ordered(plan)
    ]
    caption = f"Size and time of all {plan.n:,} particles; map and images: {plan.rates.device}."
    return Table(["candidate", "in all", "to move", "prior-free map", "all images"], rows, caption)


def _ordered(plan: Plan) -> list[Planned]:
    return sorted(plan.rows, key=lambda row: -row.bytes_per_particle)
