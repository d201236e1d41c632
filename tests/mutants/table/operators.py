"""Faults of operators, levels and packed codes."""

from __future__ import annotations

from mutants.mutant import Mutant

OPERATORS = (
    Mutant(
        "a full plane counts one half of a pair",
        "operators/fourier.py",
        "(mask + mask[partners(self.box)]) / 2",
        "(mask + mask) / 2",
        "tests/operators/test_counts.py",
    ),
    Mutant(
        "rings as wide as printed",
        "operators/fourier.py",
        'self.box / (4 if weight == "code" else 8)',
        "self.box / 8",
        "tests/operators/test_counts.py -k rings",
    ),
    Mutant(
        "rings prefer high frequencies",
        "operators/masks.py",
        "arrival = np.log(-np.log(rng.random(GROUPS))) - np.log(weight(middle))",
        "arrival = np.log(-np.log(rng.random(GROUPS))) + np.log(weight(middle))",
        "tests/operators/test_counts.py -k rings",
    ),
    Mutant(
        "dependent rows of a block count",
        "operators/systems/blocks.py",
        "kept = s > RANK_TOLERANCE * s.max()",
        "kept = s >= 0 * s.max()",
        "tests/operators/test_laws.py tests/operators/test_counts.py",
    ),
    Mutant(
        "what is not seen is not divided by the weight",
        "operators/base.py",
        "seen + (rhs - system.synthesise(z)) / weight",
        "seen + (rhs - system.synthesise(z))",
        "tests/operators/test_laws.py",
    ),
    Mutant(
        "every particle has the first masks",
        "operators/base.py",
        "return [int(particle) % self.sets for particle in particles]",
        "return [0 for particle in particles]",
        "tests/operators/test_laws.py tests/operators/test_counts.py",
    ),
    Mutant(
        "levels of centroids, not of unit gain",
        "operators/levels.py",
        "self.centroids / self.gain",
        "self.centroids / 1.0",
        "tests/operators/test_levels.py tests/operators/test_rounding.py",
    ),
    Mutant(
        "rounding makes no noise",
        "operators/levels.py",
        "return float(np.sqrt((1 - self.gain) / self.gain))",
        "return float(np.sqrt((1 - self.gain) * self.gain))",
        "tests/operators/test_levels.py tests/operators/test_rounding.py",
    ),
    Mutant(
        "levels that do not follow the grey scale",
        "operators/rounding.py",
        "mean=(operator.mean - offset) / scale",
        "mean=operator.mean / scale",
        "tests/operators/test_rounding.py",
    ),
    Mutant(
        "codes from the low end of a byte",
        "io/packing.py",
        "shifts = np.arange(BYTE - bits, -1, -bits)",
        "shifts = np.arange(0, BYTE, bits)",
        "tests/io/test_packing.py",
    ),
)
