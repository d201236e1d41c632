"""The referee and the gate on real back-projections: bias, coverage, and what no shell loses.

Particles of molecules are simulated with CTF and coloured noise and mapped with known poses. Stand-ins for priors make
a map of each half; the audit judges them without the truth, which then judges the audit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from benchmarks.kit.table import command, machine, markdown, parser, write, write_csv
from scipy.ndimage import affine_transform
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

from cryoprior.image.soft_mask import soft_mask
from cryoprior.maps import make_maps
from cryoprior.metrics.fsc import fsc, volume_shells
from cryoprior.referee import audit_maps
from cryoprior.referee.result import Audit
from cryoprior.simulation import simulate
from cryoprior.simulation.states import read_states

BOX, VOXEL = 48, 4.0
MOLECULES = {
    "2por": "porin, beta",
    "1k4c": "KcsA with Fab, membrane",
    "1exb": "Kv channel T1 with beta2, membrane",
    "1kxp": "actin with DBP",
    "3v7e": "riboswitch, RNA",
    "1tub": "tubulin, fibre",
}
SNRS = (0.3, 0.1, 0.03)
PREFERRED_DEG, PREFERRED_SNRS = 40.0, (0.1,)
MEANING = (
    "Each row is one kind of map in place of a prior's, over all molecules, noise levels and seeds. Bias: mean of "
    "estimate less truth, of FSC(D1, truth), over shells where FSC(f1, f2) is above .3; beside it the worst of "
    "all shells of all data sets. Coverage: share of the known shells whose bar of one standard error holds the "
    "truth, of FSC(D1, truth), FSC(D, truth) and FSC(f, truth). Worth: times the particles, geometric mean over "
    "the shells that the audit averages over, as the audit says and by the truth. Least: of any shell where the "
    "map itself has an FSC with the truth above .2, by the truth; and how many of these shells fell below .97. "
    "Invented: share of the known shells that are called the prior's only. FSC(D1, D2): the usual measure, mean "
    "where FSC(f1, f2) is above .3. Missing views are judged by the whole truth, with the directions that were "
    "not seen: there the condition of the audit is broken, and its numbers are wrong, as the coverage shows."
)


@dataclass(frozen=True)
class Case:
    """Half maps of one molecule with its true map, and the true map of another."""

    half_1: Tensor
    half_2: Tensor
    truth: Tensor
    other: Tensor
    mask: Tensor
    seed: int

    def gain(self) -> Tensor:
        """Return the Wiener gain of a half map by shell, from the FSC of both, smoothed over three shells."""
        curve = torch.nn.functional.avg_pool1d(fsc(self.half_1, self.half_2)[None], 3, 1, 1, count_include_pad=False)[0]
        return curve.clamp(0, 1)

    def filtered(self, volume: Tensor, weights: Tensor) -> Tensor:
        """Return a map with every shell multiplied by a weight, nothing in the corners."""
        transfer = torch.cat([weights, weights.new_zeros(1)])[volume_shells(BOX).long()]
        found: Tensor = torch.fft.irfftn(torch.fft.rfftn(volume.double()) * transfer, s=(BOX,) * 3)
        return found

    def of_spectrum(self, volume: Tensor) -> Tensor:
        """Return a density with the spectrum of the true map."""
        shell = volume_shells(BOX).long()
        counts = torch.bincount(shell.flatten()).double()
        powers = [
            torch.bincount(shell.flatten(), torch.fft.rfftn(v.double()).abs().square().flatten()) / counts
            for v in (self.truth, volume)
        ]
        return self.filtered(volume, (powers[0] / powers[1].clamp_min(1e-30)).sqrt()[:-1])


def positive(case: Case) -> list[Tensor]:
    """Wiener by shell, the mask, positivity: the floor."""
    return [(case.filtered(half, case.gain()) * case.mask).clamp(min=0) for half in (case.half_1, case.half_2)]


def total_variation(case: Case) -> list[Tensor]:
    """A denoiser that is not linear, its weight by the noise."""
    noise = float((case.half_1 - case.half_2).std()) / 2**0.5
    halves = (case.half_1, case.half_2)
    return [torch.from_numpy(denoise_tv_chambolle(half.double().numpy(), 0.5 * noise)) for half in halves]


def planted(case: Case) -> list[Tensor]:
    """The floor, with one made-up density of the right spectrum in both where the FSC is below .8."""
    noise = torch.from_numpy(np.random.default_rng(case.seed).normal(size=(BOX,) * 3))
    return with_fine_shells(case, case.of_spectrum(noise * case.mask))


def other_molecule(case: Case) -> list[Tensor]:
    """The floor, with another molecule in both where the FSC is below .8."""
    return with_fine_shells(case, case.of_spectrum(case.other))


def with_fine_shells(case: Case, density: Tensor) -> list[Tensor]:
    fine = (fsc(case.half_1, case.half_2) < 0.8).double()
    return [case.filtered(volume, 1 - fine) + case.filtered(density, fine) for volume in positive(case)]


def guess(case: Case) -> list[Tensor]:
    """Half the floor, half a guess of the truth with an error of half its power, one for both."""
    noise = torch.from_numpy(np.random.default_rng(case.seed + 1).normal(size=(BOX,) * 3))
    near = case.truth.double() + 0.7 * case.of_spectrum(noise * case.mask)
    return [0.5 * volume + case.filtered(0.5 * near, case.gain()) for volume in positive(case)]


def mirrored(case: Case) -> list[Tensor]:
    """The floor in the other hand."""
    return [volume.flip(0) for volume in positive(case)]


def larger(case: Case) -> list[Tensor]:
    """The floor with a voxel size that is wrong by 5 %."""
    middle = BOX // 2
    return [
        torch.from_numpy(affine_transform(volume.numpy(), np.eye(3) / 1.05, middle - middle / 1.05, order=3))
        for volume in positive(case)
    ]


def misplaced(case: Case) -> list[Tensor]:
    """The floor with its mask an eighth of the box off."""
    return positive(replace(case, mask=case.mask.roll(BOX // 8, 0)))


PRIORS: dict[str, Callable[[Case], list[Tensor]]] = {
    "Wiener, mask, positivity": positive,
    "total variation": total_variation,
    "good guess of the truth": guess,
    "planted detail": planted,
    "another molecule": other_molecule,
    "other hand": mirrored,
    "voxel size wrong by 5 %": larger,
    "misplaced mask": misplaced,
}


def cases(
    data: Path, n: int, seeds: int, snrs: Sequence[float], *, preferred: bool = False
) -> Iterator[tuple[str, Case]]:
    """Yield half maps of every molecule, noise level and seed; ``preferred``: seen within 40 degrees of one axis."""
    folder = data / "structures" / "many"
    maps = [read_states(folder / f"{name}.pdb.gz", BOX, VOXEL, (), (), 60.0)[0].volume for name in MOLECULES]
    axis = torch.fft.fftfreq(BOX)[:, None].square() + torch.fft.rfftfreq(BOX).square()
    colour = 1 + 4 * torch.exp(-axis / (2 * 0.1**2)).double()
    for place, name in enumerate(MOLECULES):
        for snr in snrs:
            for seed in range(seeds):
                drawn = 5 * n if preferred else n
                made = simulate(maps[place], drawn, pixel_size=VOXEL, snr=snr, noise=colour, seed=seed, device="cpu")
                tilts = made.euler_deg[:, 1] if preferred else np.zeros(n)
                rows = np.flatnonzero(tilts < PREFERRED_DEG)[:n]
                found = make_maps(
                    made.images[torch.from_numpy(rows)],
                    made.euler_deg[rows],
                    pixel_size=VOXEL,
                    origin_pixel=made.origin_pixel[rows],
                    ctf={name: values[rows] for name, values in made.ctf.items()},
                    device="cpu",
                )
                truth, other = made.volumes[0], torch.from_numpy(maps[(place + 1) % len(maps)])
                mask = soft_mask(truth, VOXEL, extend_voxel=2.0, edge_voxel=4.0).double()
                yield f"{name}, SNR {snr}, seed {seed}", Case(found.half_1, found.half_2, truth, other, mask, seed)


def judged(name: str, kind: str, case: Case, *, masked: bool) -> dict[str, object]:
    """Return what the audit of one prior says of one data set, and the truth."""
    generous = soft_mask(case.truth, VOXEL, extend_voxel=4.0, edge_voxel=6.0) if masked else None
    d1, d2 = (volume.float() for volume in PRIORS[kind](case))
    audit = audit_maps(case.half_1, case.half_2, d1, d2, VOXEL, generous, case.truth, device="cpu")
    within = torch.ones(()) if generous is None else generous
    half = sum(fsc(volume * within, case.truth * within) for volume in (d1, d2)) / 2
    return {"data": name, "prior": kind, "masked": masked, **numbers(audit, half)}


def numbers(audit: Audit, half: Tensor) -> dict[str, object]:
    """Return bias, coverage and worths of one audit; ``half`` is the true FSC of the half's prior map."""
    found, truth = audit.found, audit.truth
    assert truth is not None
    known = found.known.clone()
    known[0] = False
    clear = known & (found.half_fsc > 0.3)
    pairs = ((found.prior_of_half(), half), (found.prior(), truth.prior), (found.free(), truth.free))
    covered = [int(((e.value - t).abs() < found.error(e))[known].sum()) for e, t in pairs]
    worth, alone = (particles(curve, truth.free) for curve in (truth.gated, truth.prior))
    seen = truth.free > 0.2
    seen[0] = False
    off = (found.prior_of_half().value - half)[clear]
    return {
        "known": int(known.sum()),
        "clear": int(clear.sum()),
        "off_sum": float(off.sum()),
        "off_worst": float(off.abs().max()),
        **dict(zip(("covered_half", "covered_prior", "covered_free"), covered, strict=True)),
        "worth": float(np.log(audit.worth.ratio)),
        "true_worth": float(worth[audit.judged].log().mean()) if bool(audit.judged.any()) else 0.0,
        "prior_worth": float(np.log(max(audit.prior_worth.ratio, 1e-4))),
        "true_prior_worth": float(alone[audit.judged].log().mean()) if bool(audit.judged.any()) else 0.0,
        "least": float(worth[seen].min()),
        "below_97": int((worth[seen] < 0.97).sum()),
        "seen": int(seen.sum()),
        "opened": int((audit.weights.opening > 0).sum()),
        "invented_shells": audit.verdicts.count("prior only"),
        "usual_fsc": float(found.prior_fsc[clear].mean()),
    }


def particles(a: Tensor, b: Tensor) -> Tensor:
    """Return the particles that an FSC with the truth is worth over another."""
    first, second = (curve.clamp(1e-4, 1 - 1e-9).square() for curve in (a, b))
    return first / (1 - first) / (second / (1 - second))


def summarised(rows: pd.DataFrame) -> list[list[str]]:
    """Return a line for every kind of prior and mask."""
    lines = []
    for (views, kind, masked), group in rows.groupby(["views", "prior", "masked"], sort=False):
        known = group["known"].sum()
        covered = (f"{group[name].sum() / known:.2f}" for name in ("covered_half", "covered_prior", "covered_free"))
        worths = (
            f"{np.exp(group[name].mean()):.2f}" for name in ("worth", "true_worth", "prior_worth", "true_prior_worth")
        )
        bias = f"{group['off_sum'].sum() / group['clear'].sum():+.4f}"
        least = f"{group['least'].min():.3f}"
        below = f"{group['below_97'].sum()} of {group['seen'].sum()}"
        mask = "generous" if masked else "none"
        invented, usual = f"{group['invented_shells'].sum() / known:.2f}", f"{group['usual_fsc'].mean():.2f}"
        worst = f"{group['off_worst'].max():.3f}"
        lines.append([str(views), str(kind), mask, bias, worst, *covered, *worths, least, below, invented, usual])
    return lines


def main() -> None:
    asked = parser(__doc__, "referee")
    asked.add_argument("--n", type=int, default=1000)
    asked.add_argument("--seeds", type=int, default=3)
    arguments = asked.parse_args()
    torch.set_num_threads(arguments.threads)
    n, seeds = arguments.n, arguments.seeds
    sets = {"even": cases(arguments.data, n, seeds, SNRS)}
    sets["missing"] = cases(arguments.data, n, 1, PREFERRED_SNRS, preferred=True)
    rows = [
        {"views": views, **judged(name, kind, case, masked=masked)}
        for views, found in sets.items()
        for name, case in found
        for kind in PRIORS
        for masked in (False, True)
    ]
    rounded = [{k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    write_csv(arguments.out / "referee" / "rows.csv", rounded)
    columns = ["views", "prior", "mask", "bias", "worst", "coverage half", "D", "f"]
    columns += [
        "gated worth, said",
        "true",
        "prior worth, said",
        "true",
        "least",
        "below .97",
        "invented",
        "FSC(D1, D2)",
    ]
    table = markdown(columns, summarised(pd.DataFrame(rows)))
    facts = (
        f"{machine(arguments.threads)}. {arguments.n} particles of {', '.join(MOLECULES)}, {BOX} pixels of {VOXEL} Å, "
        f"SNR {', '.join(map(str, SNRS))}, {arguments.seeds} seeds, CTF, coloured noise, known poses. "
        f"Missing views: all within {PREFERRED_DEG:.0f} degrees of one axis, SNR .1, one seed."
    )
    made_by = command("maps.referee", sys.argv[1:])
    text = f"# The referee and the gate on back-projections\n\n{MEANING}\n\n{table}\n{facts}\n\n    {made_by}\n"
    write(arguments.out / "referee.md", text)
    print(text)


if __name__ == "__main__":
    main()
