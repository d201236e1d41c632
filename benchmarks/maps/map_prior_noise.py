"""Whether the noise of real half maps costs the map prior what ideal noise, which it was trained on, does not.

The noise of half maps, what is left of them without the truth, is replaced: by white noise of the same power in every
shell, and by its own amplitudes with random phases, which keeps the unevenness of the views. The prior is asked for
each, and judged by the truth against the half map that it was asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from benchmarks.kit.maps import amplitude_ratio
from benchmarks.kit.table import command, machine, markdown, parser, progress, write
from benchmarks.maps.map_prior import VOXEL, curve, mapped, masks_of, simulated, true_volume
from benchmarks.maps.map_prior_page import FULL, LOWER, UPPER
from torch import Tensor

from cryoprior.image.shells import Shells
from cryoprior.metrics.fsc import volume_shells
from cryoprior.prior import load_map_prior
from cryoprior.prior.volume.asking import signal_to_noise

MOLECULES, SNRS = ("1gk9", "4gxy", "3j5p_TRPV1"), (0.6, 0.06)
REAL, WHITE, PHASES = "of the half maps", "white by shell", "its amplitudes, random phases"


def with_other_noise(half_1: Tensor, half_2: Tensor, truth: Tensor, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Return half maps beside those whose noise was replaced, by its kind; the signal keeps its amplitude by shell."""
    shells = Shells(len(truth))
    slope = amplitude_ratio(half_1, truth)
    transfer = torch.cat([slope, slope.new_zeros(1)])[volume_shells(len(truth)).long()]
    signal = torch.fft.irfftn(torch.fft.rfftn(truth.double()) * transfer, s=tuple(truth.shape))
    generator = torch.Generator().manual_seed(seed)
    made: dict[str, list[Tensor]] = {WHITE: [], PHASES: []}
    for half in (half_1, half_2):
        noise = torch.fft.rfftn(half.double() - signal, norm="ortho")
        white = torch.fft.rfftn(torch.randn(truth.shape, generator=generator, dtype=torch.float64), norm="ortho")
        power = shells.mean(noise.abs().square())
        kinds = {WHITE: white * shells.spread(power.sqrt()), PHASES: torch.polar(noise.abs(), white.angle())}
        for name, other in kinds.items():
            back = torch.fft.irfftn(other * shells.inside, s=tuple(truth.shape), norm="ortho")
            made[name].append((signal + back).float())
    return {REAL: (half_1.float(), half_2.float()), **{name: (a, b) for name, (a, b) in made.items()}}


def worth(asked: str, free: str) -> float:
    """Return the worth of a map over the counted shells, from curves as text."""
    found, known = (np.clip(np.array(text.split(), float), 1e-3, 1 - 1e-9) ** 2 for text in (asked, free))
    half = known / (2 - known)
    counted = (half < UPPER) & (half > LOWER)
    counted[:2] = False
    ratio = found / (1 - found) * (1 - known) / known
    return float(np.exp(np.log(ratio[counted]).mean()))


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, "map_prior_noise")
    given.add_argument("--n", type=int, default=500)
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    prior, rows = load_map_prior(), []
    for molecule in MOLECULES:
        for snr in SNRS:
            made = simulated(true_volume(options.data, molecule), options.n, snr, 0)
            truth, masks = made.volumes[0], masks_of(made.volumes[0])
            maps = mapped(made, slice(None), FULL, 0)
            assert maps.unregularised is not None
            halves = {"regularised": (maps.half_1, maps.half_2), "division alone": maps.unregularised}
            for kind, pair in halves.items():
                row = [molecule, f"{snr:g}", kind]
                for first, second in with_other_noise(*pair, truth, 1).values():
                    asked = prior.mean(first, VOXEL, signal_to_noise(first, second))
                    row.append(f"{worth(curve(asked, truth, masks.tight), curve(first, truth, masks.tight)):.2f}")
                rows.append(row)
            progress(f"{molecule}, SNR {snr}")
    heads = ("molecule", "SNR", "half maps", REAL, WHITE, PHASES)
    text = ["# The map prior and the noise of real half maps", "", " ".join((__doc__ or "").split()), ""]
    text += ["Worth in particles against the half map asked for; mask and shells are those of map_prior.md.", ""]
    words = command("maps.map_prior_noise", list(sys.argv[1:] if arguments is None else arguments))
    made_by = [f"{machine(options.threads)}. {options.n} particles, CTF, coloured noise.", "", f"    {words}", ""]
    write(options.out / "map_prior_noise.md", "\n".join([*text, markdown(heads, rows), *made_by]))


if __name__ == "__main__":
    main()
