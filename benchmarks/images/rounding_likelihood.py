"""What the linear model of rounding loses against the exact likelihood: error of the signal, images of known law.

Images are Gaussian: a signal whose power falls as 1 / (1 + (k / 4)^2)^2, and white noise. Both estimates of the signal
know these powers. Error: mean square over the variance of the signal.

    python -m benchmarks.images.rounding_likelihood
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from benchmarks.kit.table import command, machine, markdown, parser, progress, signed, versions, write, write_csv
from torch import Tensor

from cryoprior.image.spectrum import apply_filter, pixel_variance, shell_index
from cryoprior.operators import parse_operator, rounded, with_levels
from cryoprior.operators.rounding import rounding_sigma
from cryoprior.prior.gaussian import GaussianPrior
from cryoprior.random import ParticleNoise
from cryoprior.solvers.gaussian import Gaussian

SCRIPT, NAME = "images.rounding_likelihood", "rounding_likelihood"
PACKAGES = ("cryoprior", "torch", "numpy")
BOX, N, SWEEPS = 32, 64, 400
SNRS = (0.03, 0.3, 3.0)
OPERATORS = ("quantize:", "fourier:compression=2,sets=8,")
WIDTH = 4


def images(snr: float) -> tuple[Tensor, Tensor, GaussianPrior]:
    """Return images of pixel variance 1, their signals, and the law of both."""
    signal = 1 / (1 + (shell_index(BOX).double() / WIDTH) ** 2) ** 2
    signal *= snr / (1 + snr) / pixel_variance(signal)
    noise = torch.full_like(signal, 1 / (1 + snr))
    drawn, white = (
        ParticleNoise(7, f"images/{part}", range(N)).normal_like(torch.empty(N, BOX, BOX).double())
        for part in ("signal", "noise")
    )
    s = apply_filter(drawn, signal.sqrt())
    return s + apply_filter(white, noise.sqrt()), s, GaussianPrior(signal + noise, noise)


def rows() -> Iterator[dict[str, Any]]:
    """Yield a row by operator, bits and SNR."""
    for snr in SNRS:
        x, s, prior = images(snr)
        particles = list(range(N))
        for name in OPERATORS:
            for bits in (1, 2, 3):
                operator = parse_operator(f"{name}bits={bits}", box=BOX)
                y = operator.forward(x, particles)
                operator = with_levels(operator, y, particles)
                sigma, packed = rounding_sigma(operator), rounded(operator, y, particles)
                found = {
                    "linear": Gaussian("signal", centred=False),
                    "exact": Gaussian("signal", centred=False, rounding="exact", sweeps=SWEEPS),
                }
                errors = {
                    way: _errors(solver.solve(packed, operator, prior, sigma, ParticleNoise(3, "g", particles)).x, s)
                    for way, solver in found.items()
                }
                text = "identity" if name == "quantize:" else name.removesuffix(",")
                whole = parse_operator(text, box=BOX)
                plain = (
                    Gaussian("signal", centred=False).solve(y, whole, prior, 0.0, ParticleNoise(3, "g", particles)).x
                )
                errors["not rounded"] = _errors(plain, s)
                yield _row(name, bits, snr, errors)
                progress(f"{name}bits={bits}, SNR {snr:g}")


def _errors(found: Tensor, s: Tensor) -> Tensor:
    return (found - s).square().mean((1, 2)) / s.square().mean()


def _row(name: str, bits: int, snr: float, errors: dict[str, Tensor]) -> dict[str, Any]:
    loss = errors["linear"] - errors["exact"]
    means = {way: float(error.mean()) for way, error in errors.items()}
    return {
        "operator": name.rstrip(":,"),
        "bits": bits,
        "snr": snr,
        **means,
        "loss": float(loss.mean()),
        "loss_error": float(loss.std() / len(loss) ** 0.5),
    }


def page(table: Sequence[dict[str, Any]], made: str) -> str:
    """Return the page."""
    lines = [
        [
            row["operator"],
            str(row["bits"]),
            f"{row['snr']:g}",
            *(f"{row[way]:.4f}" for way in ("not rounded", "exact", "linear")),
            signed((row["loss"], row["loss_error"]), 4),
        ]
        for row in table
    ]
    worst = max(table, key=lambda row: row["loss"] / row["exact"])
    most = worst["loss"] / worst["exact"]
    head = ["operator", "bits", "SNR", "not rounded", "exact likelihood", "linear model", "linear less exact"]
    return (
        "# What the linear model of rounding loses\n\n"
        f"Error of the signal by image, over its variance; {N} images of {BOX} pixels of known law. Exact likelihood: "
        f"in closed form for Fourier masks, by {SWEEPS} sweeps of Gibbs' sampler for pixels, which add a little to the "
        "error. "
        f"The linear model loses most, {most:.1%} of the error, with {worst['bits']} bit(s) of {worst['operator']} at "
        f"an SNR of {worst['snr']:g}.\n\n{markdown(head, lines)}\n{made}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser(__doc__, NAME).parse_args(arguments)
    torch.set_num_threads(options.threads)
    words = list(sys.argv[1:] if arguments is None else arguments)
    table = list(rows())
    write_csv(options.out / NAME / "rows.csv", table)
    made = f"{machine(options.threads)}. {versions(PACKAGES)}.\n\n    {command(SCRIPT, words)}\n"
    write(options.out / f"{NAME}.md", page(table, made))


if __name__ == "__main__":
    main()
