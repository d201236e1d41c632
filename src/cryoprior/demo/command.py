"""``cryoprior demo``: the whole path on a small stack that it simulates itself, shown on one page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryoprior.options import INPUT, Computing, check_options, option, output_option

EXAMPLE = "cryoprior demo"


@dataclass(frozen=True)
class Options(Computing):
    output: Path = output_option("Folder to write; an earlier demo in it is replaced.", Path("demo"))
    n: int = option("Particles to simulate.", 32, minimum=2, maximum=10_000)
    prior: str = option("The embedded prior (default), or the folder of one for boxes of 64.", "default", group=INPUT)
    steps: int = option("Network evaluations of a mean or a sample of exact.", 25, minimum=2)
    nesterov_steps: int = option("Network evaluations of the paper's sampler.", 1000, minimum=1, maximum=1000)
    seed: int = option("Seed of the assembly, the particles, the masks and the samplers.", 0, minimum=0)

    def __post_init__(self) -> None:
        check_options(self)


def run(options: Options) -> dict[str, Any]:
    """Return how well every method agrees with the clean images, and where the page is."""
    from cryoprior.demo.particles import simulate_particles
    from cryoprior.demo.runs import Demo, check_prior
    from cryoprior.demo.study import write_demo_page
    from cryoprior.output.folder import resume_output
    from cryoprior.output.record import write_provenance, write_summary

    started = time.perf_counter()
    check_prior(options.prior)
    decisive: dict[str, Any] = {
        name: getattr(options, name) for name in ("n", "prior", "steps", "nesterov_steps", "seed")
    }
    computing: dict[str, Any] = {"device": options.device, "threads": options.threads}
    given = [Path(options.prior)] if Path(options.prior).is_dir() else []
    with resume_output(options.output, "demo", decisive, overwrite=True, inputs=given) as work:
        simulated = simulate_particles(work.folder, options.n, options.seed, **computing)
        demo = Demo(work.folder, simulated, **decisive, **computing)
        results = {name: demo.results(name) for name in demo.operators()}
        numbers = {name: {r.name: r.summary() for r in of_operator} for name, of_operator in results.items()}
        says = demo.map()
        seconds = time.perf_counter() - started
        write_demo_page(demo, results, says, seconds)
        write_provenance(work.folder, "demo", options, given, options.seed)
        write_summary(work.folder, {"n": options.n, "seconds": seconds, "prior": options.prior, "map": says, **numbers})
        report = work.complete() / "report.html"
    correlations = {
        name: {method: scores["clean_correlation"] for method, scores in methods.items()}
        for name, methods in numbers.items()
    }
    return {"n": options.n, "seconds": seconds, "correlation_with_clean": correlations, "report": str(report)}
