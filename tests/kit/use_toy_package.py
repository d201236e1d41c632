"""Run in a process of its own, where the toy package is installed: every command that meets a component of it."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

from cryoprior import cli

BENCH_IMAGES = """
table = "images"
title = "toy"
lpips = "off"
scores = ["psnr", "ssim", "lpips", "mae"]
star = "sim/particles.star"
clean = "sim/clean.star"
[[cells]]
name = "half of the rows"
operator = "stripes:every=2,sets=2"
[[methods]]
name = "shrunken"
solver = "shrink:factor=0.8"
"""
BENCH_MAPS = """
table = "maps"
title = "toy"
star = "sim/particles.star"
[[cells]]
name = "half of the rows"
operator = "stripes:every=2,sets=2"
series = "pixel"
[[methods]]
name = "shrunken"
solver = "shrink:factor=0.8"
"""


def run(*words: str) -> dict[str, Any]:
    """Return the summary that a command prints; SystemExit where it fails."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            cli.main([*words, "--json"])
        except SystemExit as end:
            if end.code:
                raise
    summary: dict[str, Any] = json.loads(out.getvalue())
    return summary


def check_laws(star: str, listing: str) -> None:
    """Raise AssertionError where a component of the package breaks a law of its kind."""
    from toy_components.mae import MAE
    from toy_components.shrink import Shrink
    from toy_components.stripes import Stripes

    from cryoprior.testing import check_format, check_metric, check_operator, check_solver

    check_operator(Stripes(box=8, every=2, sets=2))
    check_solver(Shrink())
    check_metric(MAE)
    check_format(listing, star)


def use(map_file: str) -> dict[str, Any]:
    """Return the summaries of all commands by name, run in the current folder; the laws are checked first."""
    run("simulate", map_file, "-o", "sim", "--n", "12", "--box", "16", "--pixel-size", "5", "--snr", "1")
    Path("sim/particles.toy").write_text("".join(f"{i} particles.mrcs 5.0\n" for i in range(1, 13)))
    check_laws("sim/particles.star", "sim/particles.toy")
    Path("images.toml").write_text(BENCH_IMAGES)
    Path("maps.toml").write_text(BENCH_MAPS)
    return {
        "list": run("list"),
        "count": run("toy-count", "sim/particles.toy"),
        "measure": run("measure", "sim/particles.toy", "-o", "y.zarr", "--operator", "stripes:every=2,sets=2"),
        "describe": run("describe", "y.zarr"),
        "text": run("describe", "stripes:every=4", "--box", "16"),
        "validate": run("validate", "y.zarr"),
        "reconstruct": run("reconstruct", "y.zarr", "-o", "recon", "--solver", "shrink:factor=0.8"),
        "evaluate": run("evaluate", "recon", "--reference", "sim/particles.toy", "-o", "report", "--lpips", "off"),
        "measure star": run(
            "measure", "sim/particles.star", "-o", "s.zarr", "--operator", "stripes", "--dtype", "float16"
        ),
        "map": run("map", "s.zarr", "-o", "map"),
        "images": run("bench", "images.toml", "-o", "bench-images"),
        "maps": run("bench", "maps.toml", "-o", "bench-maps"),
    }


if __name__ == "__main__":
    print(json.dumps(use(sys.argv[1])))
