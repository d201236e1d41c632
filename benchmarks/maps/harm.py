"""What gate and verdict say where a map prior should do harm: does the gate close, and is any shell worse for it?

Particles of molecules of families that trained nothing are simulated with CTF and coloured noise; then something is
wrong: the prior, the particles, the voxel size, the views, or the mask. The truth judges what the gate let through.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.kit.table import command, machine, markdown, parser, progress, write
from benchmarks.maps.map_prior import (
    FULL,
    MOLECULES,
    VOXEL,
    Masks,
    mapped,
    masks_of,
    restored_fsc,
    simulated,
    true_volume,
)
from torch import Tensor

from cryoprior import make_maps, read_particles
from cryoprior.errors import InputError
from cryoprior.maps import MapSet
from cryoprior.maps.anisotropy import missing_views
from cryoprior.maps.judgement import judge_maps
from cryoprior.maps.prior_maps import ask_beside, referee_mask
from cryoprior.prior import MapPrior, load_map_prior
from cryoprior.prior.volume.asking import ask_map_prior, signal_to_noise
from cryoprior.referee.judging import judge_prior
from cryoprior.referee.result import Audit
from cryoprior.referee.words import CUTS, sentences
from cryoprior.simulation import SimulatedParticles

CHOSEN = ("1gk9", "3j5p_TRPV1", "4gxy")
SNR = 0.2
WRONG = 0.05
SHIFTED = (8, 12)
LEAST, LOWER = 0.97, 0.143
MANY = 12
"""Times as many particles are simulated, so that enough of them have the preferred views."""
MEANING = (
    "Each row is one thing gone wrong, over the molecules and seeds. Warned: data sets whose verdict begins with "
    "missing views or a mask that cuts the particle. Open: share of the known shells that the gate is open in, and of "
    "all shells with each verdict: supported, measured, prior only, unknown. Said: what the gated map is worth in "
    "particles, as the audit says. True: the same by the truth, within a generous fixed mask, every shell with the "
    "amplitude of the truth: geometric mean over the shells where the half maps' FSC that belongs to the prior-free "
    "agreement with the truth there is from .143 to .95; then within a tight mask, in the molecule. Least: of any "
    "shell above .143, of all data sets. Harmed: shells of the gated map below .97 by more than the standard error "
    "that the audit states there, of all shells above .143; within the generous and within the tight mask. Prior: what "
    "the prior's own map is worth by the truth, within the generous mask: what the gate had to keep out."
)


@dataclass(frozen=True, eq=False)
class Given:
    """Particles of one molecule, the prior, and what is made of them when nothing is wrong."""

    made: SimulatedParticles
    n: int
    seed: int
    prior: MapPrior

    @property
    def truth(self) -> Tensor:
        """Return the true map."""
        return self.made.volumes[0]

    @cached_property
    def masks(self) -> Masks:
        """Return the fixed masks of the truth."""
        return masks_of(self.truth)

    @cached_property
    def maps(self) -> MapSet:
        """Return the maps of the first particles."""
        return mapped(self.made, slice(self.n), FULL, self.seed)

    def of_views(self, wanted: np.ndarray) -> MapSet:
        """Return the maps of as many particles with these views."""
        rows = np.flatnonzero(wanted)[: self.n]
        assert len(rows) == self.n, f"{len(rows)} particles have these views"
        return mapped(self.made, rows, FULL, self.seed)


def view_aware(of: Given, rows: np.ndarray) -> Audit | None:
    """Return the audit of the maps of chosen views, told these."""
    return audited(of, of.of_views(rows), views=of.made.euler_deg[np.flatnonzero(rows)[: of.n]])


def audited(
    of: Given,
    maps: MapSet,
    prior: MapPrior | None = None,
    voxel: float = VOXEL,
    mask: Callable[[Tensor], Tensor | None] = referee_mask,
    told: Tensor | None = None,
    views: np.ndarray | None = None,
) -> Audit | None:
    """Return the audit of maps as ``map --map-prior`` makes it; None where the prior is not asked.

    mask: of that of the FSC makes that of the referee. told: asks in any case, with this ratio of signal to noise.
    """
    judgement = judge_maps(maps)
    if not judgement.determined and told is None:
        return None
    halves = (maps.half_1, maps.half_2)
    first, second = ask_map_prior(*halves, voxel, prior or of.prior, told=told)
    audit = judge_prior(halves, (first, second), voxel, mask(judgement.mask), full=maps.full)
    left_out = views is not None and missing_views(maps, judgement, views, "C1")
    return dataclasses.replace(audit, missing_views=left_out)


def wrong_voxel(of: Given, factor: float) -> Audit | None:
    """Return the audit where the particles' own voxel size is wrong, for CTF and prior alike."""
    maps = mapped(of.made, slice(of.n), FULL, of.seed, pixel_size=VOXEL * factor)
    return audited(of, maps, voxel=VOXEL * factor)


def noise_alone(of: Given, *, led: bool) -> Audit | None:
    """Return the audit of noise in place of the particles; ``led``: told the signal to noise of the real maps."""
    noise = dataclasses.replace(of.made, images=of.made.images - of.made.clean)
    told = signal_to_noise(of.maps.half_1, of.maps.half_2) if led else None
    return audited(of, mapped(noise, slice(of.n), FULL, of.seed), told=told)


def tilts(of: Given) -> np.ndarray:
    """Return the angle of every view to the z axis, in degrees."""
    found: np.ndarray = np.abs(of.made.euler_deg[:, 1])
    return found


TRIALS: dict[str, Callable[[Given], Audit | None]] = {
    "nothing wrong": lambda of: audited(of, of.maps),
    "voxel size 5 % too large": lambda of: wrong_voxel(of, 1 + WRONG),
    "voxel size 5 % too small": lambda of: wrong_voxel(of, 1 - WRONG),
    "prior told voxels 5 % too large": lambda of: audited(of, of.maps, voxel=VOXEL * (1 + WRONG)),
    "prior told voxels 5 % too small": lambda of: audited(of, of.maps, voxel=VOXEL * (1 - WRONG)),
    "views within 35° of an axis": lambda of: view_aware(of, tilts(of) < 35),
    "side views of one axis": lambda of: view_aware(of, np.abs(tilts(of) - 90) < 6),
    **{
        f"mask shifted by {by} voxels": lambda of, by=by: audited(of, of.maps, mask=lambda mask: shifted(mask, by))
        for by in SHIFTED
    },
    "mask too tight and sharp": lambda of: audited(of, of.maps, mask=lambda mask: (mask > 0.999).float()),
    "no mask": lambda of: audited(of, of.maps, mask=lambda mask: None),
    "noise for particles": lambda of: noise_alone(of, led=False),
    "noise, asked in any case": lambda of: noise_alone(of, led=True),
}


def shifted(mask: Tensor, by: int) -> Tensor | None:
    """Return the referee's mask beside the molecule."""
    wide = referee_mask(mask)
    return None if wide is None else wide.roll(by, 2)


def random_prior(like: MapPrior, seed: int = 1) -> MapPrior:
    """Return a prior whose weights are random, of the size of trained ones."""
    from cryoprior.prior.volume.network import MapNetwork

    network, generator = MapNetwork(like.config.network), torch.Generator().manual_seed(seed)
    for new, old in zip(network.parameters(), like.network.parameters(), strict=True):
        new.data = torch.randn(new.shape, generator=generator) * float(old.detach().float().std(unbiased=False))
    return MapPrior(network, like.config)


def judged(of: Given, audit: Audit | None) -> dict[str, Any]:
    """Return what was said and what is true of one trial."""
    if audit is None:
        return {"asked": False}
    counts = {name: audit.verdicts[1:].count(name) for name in ("supported", "measured", "prior only", "unknown")}
    known = audit.found.known.clone()
    known[0] = False
    row: dict[str, Any] = {
        "asked": True,
        "known": int(known.sum()),
        "open": int((audit.weights.opening > 0).sum()),
        "said": audit.worth.ratio,
        "said_error": audit.worth.error,
        "cut": audit.cut_share,
        "views": audit.missing_views,
        **counts,
    }
    bars = audit.weights.worth_error.nan_to_num(0.0)
    for name, mask in (("generous", of.masks.generous), ("tight", of.masks.tight)):
        free, gated, prior = (
            restored_fsc(volume, of.truth, mask).clamp(1e-4, 1 - 1e-9).square()
            for volume in (audit.maps.free, audit.maps.gated, audit.maps.prior)
        )
        worth, alone = (own / (1 - own) * (1 - free) / free for own in (gated, prior))
        half = free / (2 - free)
        above = half > LOWER
        above[0] = False
        counted = above & (half < 0.95)
        row |= {
            f"{name}_worth": float(worth[counted].log().mean().exp()) if bool(counted.any()) else None,
            f"{name}_prior": float(alone[counted].log().mean().exp()) if bool(counted.any()) else None,
            f"{name}_least": float(worth[above].min()) if bool(above.any()) else None,
            f"{name}_harmed": int((worth + bars < LEAST)[above].sum()),
            f"{name}_shells": int(above.sum()),
        }
    return row


def run(data: Path, table: Path, n: int, seeds: int, others: dict[str, MapPrior]) -> list[dict[str, Any]]:
    """Return a row a trial, molecule and seed; those that the table holds already are not made again."""
    rows: list[dict[str, Any]] = pd.read_json(table).to_dict("records") if table.is_file() else []
    done = {(row["trial"], row["molecule"], row["seed"]) for row in rows}
    prior = load_map_prior()
    trials = dict(TRIALS)
    for name, other in {"weights at random": random_prior(prior), **others}.items():
        trials[f"prior: {name}"] = partial(other_prior, other)
    table.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for molecule in CHOSEN:
            left = {name: trial for name, trial in trials.items() if (name, molecule, seed) not in done}
            if not left:
                continue
            of = Given(simulated(true_volume(data, molecule), MANY * n, SNR, seed), n, seed, prior)
            for name, trial in left.items():
                about = {"trial": name, "molecule": molecule, "kind": MOLECULES[molecule], "seed": seed}
                rows.append({**about, **judged(of, trial(of))})
                pd.DataFrame(rows).to_json(table, orient="records")
                progress(f"{molecule}, seed {seed}, {name}")
    return rows


def other_prior(prior: MapPrior, of: Given) -> Audit | None:
    """Return the audit of another prior on the same maps."""
    return audited(of, of.maps, prior)


def ribosomes(data: Path, prior: MapPrior) -> list[str]:
    """Return in sentences what is said of real ribosomes in cells, whose voxels are coarser than the prior ever saw."""
    maps = make_maps(read_particles(data / "real" / "ribosome_tilts" / "particles.star"), device="cpu")
    try:
        ask_beside(maps, judge_maps(maps), prior)
        said = "it was asked"
    except InputError as error:
        said = f"it is refused: `{error}`"
    box = 2 * maps.box
    halves = {name: finer(getattr(maps, name), box) for name in ("half_1", "half_2", "full")}
    fine = dataclasses.replace(maps, **halves, voxel_size_angstrom=maps.voxel_size_angstrom / 2, unregularised=None)
    judgement = judge_maps(fine)
    audit = ask_beside(fine, judgement, prior)
    assert audit is not None
    alone, opened = audit.prior_worth, int((audit.weights.opening > 0).sum())
    resampled = (
        f"Half maps and map resampled to {box} voxels of {fine.voxel_size_angstrom:g} Å, which it takes: "
        f'{judgement.resolution.angstrom:.1f} Å by half maps; the gate is open in {opened} shells. "'
        f"{' '.join(sentences(audit))}\" The prior's own map is worth {alone.ratio:.2f} ± {alone.error:.2f} times the "
        "particles."
    )
    return [f"As it is, {maps.box} voxels of {maps.voxel_size_angstrom:g} Å, {said}.", resampled]


def finer(volume: Tensor, box: int) -> Tensor:
    """Return a map on a finer grid of the same extent, both even, without any new frequencies."""
    d, old = len(volume), torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(volume.double())))
    new = torch.zeros(box, box, box, dtype=old.dtype)
    kept = slice(box // 2 - d // 2, box // 2 - d // 2 + d)
    new[kept, kept, kept] = old
    back = torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(new))).real
    return (back * (box / d) ** 3).float()


def page(rows: Sequence[dict[str, Any]], n: int, words: Sequence[str], note: str = "", real: Sequence[str] = ()) -> str:
    """Return the page."""
    table = pd.DataFrame(rows)
    head = ["what is wrong", "asked", "warned", "open", "verdicts", "said", "true", "in the molecule"]
    head += ["least", "least in it", "harmed", "harmed in it", "prior"]
    lines = [[name, *line(group)] for name, group in table.groupby("trial", sort=False)]
    by_kind = [
        [str(name), str(kind), *line(group)]
        for (name, kind), group in table[table["trial"].str.startswith(("prior:", "nothing"))].groupby(
            ["trial", "kind"], sort=False
        )
    ]
    facts = (
        f"{machine(1)}. {n} particles of 48 pixels of 3.5 Å a data set, SNR {SNR:g}, CTF, coloured noise, known poses; "
        f"{', '.join(f'{name} ({MOLECULES[name]})' for name in CHOSEN)}; {table['seed'].nunique()} seed(s). {note}"
    )
    by = markdown([head[0], "molecule", *head[1:]], by_kind)
    return (
        f"# Where a map prior should do harm\n\n{MEANING}\n\n{markdown(head, lines)}\n## Priors by kind of molecule\n\n"
        f"{by}\n## Real ribosomes in cells\n\n{' '.join(real)}\n\n{facts}\n\n    {command('maps.harm', list(words))}\n"
    )


def line(group: pd.DataFrame) -> list[str]:
    """Return the places of a row of the table, of the data sets of one kind."""
    asked = group[group["asked"]]
    places = [f"{len(asked)} of {len(group)}"]
    if asked.empty:
        return [*places, *["-"] * 11]
    warned = (asked["cut"] > CUTS) | asked["views"].astype(bool)
    places.append(f"{warned.sum()} of {len(asked)}")
    verdicts = asked[["supported", "measured", "prior only", "unknown"]].sum()
    shares = " / ".join(f"{share:.0%}" for share in verdicts / verdicts.sum())
    opened, known = asked["open"].sum(), max(1, asked["known"].sum())
    places += [f"{opened / known:.0%}", shares, _mean(asked["said"])]
    places += [_mean(asked["generous_worth"]), _mean(asked["tight_worth"])]
    least = [asked[f"{name}_least"].astype(float).min() for name in ("generous", "tight")]
    places += ["-" if np.isnan(value) else f"{value:.2f}" for value in least]
    for name in ("generous", "tight"):
        places.append(f"{asked[f'{name}_harmed'].sum():.0f} of {asked[f'{name}_shells'].sum():.0f}")
    return [*places, _mean(asked["generous_prior"])]


def _mean(values: pd.Series) -> str:
    known = values.dropna().astype(float)
    return f"{np.exp(np.log(known).mean()):.2f}" if len(known) else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    given = parser(__doc__, "harm")
    given.add_argument("--n", type=int, default=500)
    given.add_argument("--seeds", type=int, default=2)
    given.add_argument("--proteins", type=Path, help="a map prior that was trained on proteins alone")
    given.add_argument("--note", default="", help="a sentence on that prior, for the page")
    options = given.parse_args(arguments)
    torch.set_num_threads(options.threads)
    others = {} if options.proteins is None else {"of proteins alone": load_map_prior(options.proteins)}
    rows = run(options.data, options.work / f"n{options.n}.json", options.n, options.seeds, others)
    folder = options.out / "map_prior_harm"
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False, float_format="%.5g")
    real = ribosomes(options.data, load_map_prior())
    words = list(sys.argv[1:] if arguments is None else arguments)
    write(options.out / "map_prior_harm.md", page(rows, options.n, words, options.note, real))


if __name__ == "__main__":
    main()
