"""The scores of a benchmark of images as tables: the shapes of the paper's Tables 1 and 2, and the signal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from cryoprior.benchmark.images.published import Published
from cryoprior.benchmark.images.scorer import HALF, POOLED
from cryoprior.benchmark.images.sheet import Sheet, Spread, general, winners
from cryoprior.metrics import METRICS

PAPER = "paper"
FULL = "full image"
BOLD = (
    "Bold: the best of those that give one best guess (means, least squares, sparse), of the samples, and of the "
    "estimates of the signal, which leave out the noise that the others have. "
    "n: particles of a method that has only some; its scores are of other images and are never bold. The comparisons "
    "use the particles that both methods have."
)
AGAINST_RECORDED = f"Against the recorded image. {BOLD} The paper has other particles and another prior."
SHORT_OF_PAPER = "To two decimals; of other particles than the paper's. Hermitian masks, which see less, are left out."
AGAINST = {
    "correlation": "Correlation with the clean image",
    "frc": "FRC with the clean image, pooled over particles",
    HALF: "Resolution to which the FRC with the clean image is at least .5 (Å; – where it never is)",
    "psnr": "PSNR against the recorded image (dB)",
}
"""The scores that stand in no sheet of LPIPS and SSIM; others that a plan asks for follow."""


def method_names(rows: pd.DataFrame) -> list[str]:
    """Return the methods in the order of the rows, then controls, then floors; without the full image."""
    kinds = ("method", "control", "floor")
    named = rows[rows["cell"] != ""]
    return [name for kind in kinds for name in dict.fromkeys(named[named["kind"] == kind]["method"])]


def contests(cell: pd.DataFrame) -> list[list[str]]:
    """Return the methods of a cell that may be compared: those of one best guess, of samples, and of the signal.

    Methods that have only some of the particles stand apart: their scores are of other images. A signal leaves out the
    noise that a best guess of the image has, and so wins against it what it did not earn.
    """
    methods = cell[(cell["kind"] == "method") & (cell["n"] == cell["n"].max())]
    apart = ("sample", "signal")
    guesses = methods[~methods["estimate"].isin(apart)]
    groups = [guesses, *(methods[methods["estimate"] == kind] for kind in apart)]
    return [list(dict.fromkeys(group["method"])) for group in groups]


def score_sheets(rows: pd.DataFrame, published: pd.DataFrame | None) -> Iterator[Sheet]:
    """Yield LPIPS / SSIM, one sheet for each variant of masks: mask and compression down, methods across."""
    paper = Published(published)
    for heading, family in families(rows):
        methods, beside = method_names(family), paper.has(list(family["mask"].unique()))
        lines = []
        for (mask, compression), cell in ordered_cells(family):
            scores = _lpips_ssim(cell, contests(cell))
            line = [mask, general(compression), general(float(cell["effective_compression"].mean())), bytes_of(cell)]
            line += [scores.get(name, "") for name in methods]
            lines.append([*line, paper.text(mask, compression)] if beside else line)
        columns = ["mask", "C", "effective C", "bytes", *methods, *[PAPER] * beside]
        yield Sheet(f"LPIPS / SSIM, {heading}", columns, lines, AGAINST_RECORDED, names=4)


def paper_sheets(rows: pd.DataFrame, published: pd.DataFrame | None, headline: Sequence[str]) -> Iterator[Sheet]:
    """Yield LPIPS / SSIM as the paper arranges it, one sheet per method, the paper's figures in a row below each."""
    paper = Published(published)
    for heading, family in families(rows):
        for method in headline:
            own = family[family["method"] == method]
            if len(own):
                arrange = _by_block if family["series"].iloc[0] == "pixel" else _by_pattern
                columns, lines = arrange(own, paper)
                yield Sheet(f"{method}, LPIPS / SSIM, {heading}, as the paper arranges it", columns, lines)


def against_paper(rows: pd.DataFrame, published: pd.DataFrame | None) -> Iterator[Sheet]:
    """Yield a sheet that names, by method, the cells that fall short of the paper; Hermitian masks see less than its.

    Both scores count to two decimals, as the paper prints them.
    """
    paper = Published(published)
    ours = rows[(rows["cell"] != "") & (rows["kind"] == "method") & (rows["variant"] != "hermitian")]
    lines = []
    for method, of_method in ours.groupby("method", sort=False):
        means = of_method.groupby(["cell", "mask", "compression"], sort=False)[["ssim", "lpips"]].mean().reset_index()
        beside = [(cell, paper.nearest(cell["mask"], cell["compression"])) for cell in means.to_dict("records")]
        known = [(cell, printed) for cell, printed in beside if printed is not None]
        low = [cell["cell"] for cell, printed in known if round(cell["ssim"], 2) < printed["ssim"]]
        far = [cell["cell"] for cell, printed in known if round(cell["lpips"], 2) > printed["lpips"]]
        if known:
            lines.append([str(method), f"{len(known)}", *(f"{len(names)}: {', '.join(names)}" for names in (low, far))])
    if lines:
        columns = ["method", "cells", "SSIM below the paper's", "LPIPS above the paper's"]
        yield Sheet("Cells that fall short of the paper's figures", columns, lines, SHORT_OF_PAPER)


def signal_sheets(rows: pd.DataFrame) -> Iterator[Sheet]:
    """Yield one sheet per known score: cells down, methods across, the full noisy image beside them."""
    methods = method_names(rows)
    full = rows[(rows["cell"] == "") & (rows["kind"] != "storage")]
    more = [name for name in rows if name in METRICS and name not in (*AGAINST, "ssim", "lpips", "residual")]
    for score in [name for name in (*AGAINST, *more) if name in rows and rows[name].notna().any()]:
        heading = AGAINST[score] if score in AGAINST else f"{METRICS[score].title} against the recorded image"
        digits = METRICS[score].digits if score in METRICS else 1
        higher = score != HALF and METRICS[score].higher_is_better
        beside = Spread.of(full[score], digits).text() if len(full) and score in POOLED else None
        lines = []
        for name, cell in rows[rows["cell"] != ""].groupby("cell", sort=False):
            scores = {m: Spread.of(of[score], digits) for m, of in cell.groupby("method", sort=False)}
            best, few = winners(scores, contests(cell), higher), few_particles(cell)
            shown = {m: scores[m].text(m in best) + few.get(m, "") for m in scores}
            line = [str(name), bytes_of(cell), *(shown.get(m, "") for m in methods)]
            lines.append(line if beside is None else [*line, beside])
        yield Sheet(heading, ["cell", "bytes", *methods, *([] if beside is None else [FULL])], lines, BOLD, names=2)


def bytes_of(cell: pd.DataFrame) -> str:
    """Return the bytes that what was measured in a cell takes by particle; controls of its size may take less."""
    return f"{cell['bytes_per_particle'].max():,.0f}"


def families(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each variant of a series of masks, with its name."""
    for (series, variant), family in rows[rows["cell"] != ""].groupby(["series", "variant"], sort=False):
        kind = "Fourier masks" if series == "fourier" else f"{series} masks"
        yield ", ".join(text for text in (kind, variant) if text), family


def ordered_cells(rows: pd.DataFrame) -> Iterator[tuple[tuple[str, float], pd.DataFrame]]:
    """Yield mask and nominal compression with their rows: masks in their order, compression from high to low."""
    for mask, of_mask in rows.groupby("mask", sort=False):
        for compression, cell in sorted(of_mask.groupby("compression"), key=lambda item: -float(item[0])):
            yield (str(mask), float(compression)), cell


def _lpips_ssim(cell: pd.DataFrame, groups: Sequence[Sequence[str]] = ()) -> dict[str, str]:
    """Return ``LPIPS / SSIM`` by method; each score is bold where it is the best of its group."""
    texts: dict[str, list[str]] = {}
    for score in ("lpips", "ssim"):
        scores = {name: Spread.of(of_method[score]) for name, of_method in cell.groupby("method", sort=False)}
        best = winners(scores, groups, METRICS[score].higher_is_better)
        for name, spread in scores.items():
            texts.setdefault(name, []).append(spread.text(name in best))
    few = few_particles(cell)
    return {name: " / ".join(pair) + few.get(name, "") for name, pair in texts.items()}


def few_particles(cell: pd.DataFrame) -> dict[str, str]:
    """Return `` (n = 8)`` by method, for methods without all particles of the cell."""
    counts = cell.groupby("method", sort=False)["n"].max()
    return {str(name): f" (n = {n})" for name, n in counts.items() if n < counts.max()}


def _by_block(rows: pd.DataFrame, paper: Published) -> tuple[list[str], list[list[str]]]:
    """Return the shape of Table 1: blocks down, and across them compression from high to low beside its scores."""
    cells: dict[str, list[tuple[float, str]]] = {}
    for (mask, compression), cell in ordered_cells(rows):
        cells.setdefault(mask, []).extend((compression, text) for text in _lpips_ssim(cell).values())
    lines = []
    width = max(map(len, cells.values()))
    for mask, of_mask in cells.items():
        blank = [""] * 2 * (width - len(of_mask))
        lines.append([mask, *(text for c, scores in of_mask for text in (general(c), scores)), *blank])
        if paper.has([mask]):
            lines.append([PAPER, *(text for c, _ in of_mask for text in ("", paper.text(mask, c))), *blank])
    return ["K", *["C", "LPIPS / SSIM"] * width], lines


def _by_pattern(rows: pd.DataFrame, paper: Published) -> tuple[list[str], list[list[str]]]:
    """Return the shape of Table 2: compression down from high to low, patterns across."""
    scores = {key: text for key, cell in ordered_cells(rows) for text in _lpips_ssim(cell).values()}
    patterns = list(dict.fromkeys(mask for mask, _ in scores))
    lines = []
    for compression in sorted({c for _, c in scores}, reverse=True):
        size = bytes_of(rows[rows["compression"] == compression])
        lines.append([general(compression), size, *(scores.get((mask, compression), "") for mask in patterns)])
        published = [paper.text(mask, compression) for mask in patterns]
        if any(published):
            lines.append([PAPER, "", *published])
    return ["C", "bytes", *patterns], lines
