"""Faults of images and maps."""

from __future__ import annotations

from mutants.mutant import Mutant

MAPS = (
    Mutant(
        "underfocus is overfocus",
        "image/ctf.py",
        "return math.pi * (spherical - wavelength * defocused) - constant",
        "return math.pi * (spherical + wavelength * defocused) - constant",
        "tests/image/test_ctf.py tests/image/test_transfer.py",
    ),
    Mutant(
        "a B-factor of twice the strength",
        "image/ctf.py",
        '-parameters["bfactor_angstrom2"][:, None, None] / 4',
        '-parameters["bfactor_angstrom2"][:, None, None] / 2',
        "tests/image/test_ctf.py tests/image/test_transfer.py",
    ),
    Mutant(
        "shifts are done, not undone",
        "image/backprojection.py",
        "moved = box // 2 - origin_pixel.to(like)",
        "moved = box // 2 + origin_pixel.to(like)",
        "tests/image/test_backprojection.py",
    ),
    Mutant(
        "icosahedra in another frame",
        "image/symmetry.py",
        'return Rotation.from_euler("z", 90, degrees=True).as_matrix()',
        "return np.eye(3)",
        "tests/image/test_symmetry.py",
    ),
    Mutant(
        "half of lambda",
        "image/regularised.py",
        "ratio = level / (signal * unit).clamp_min(TINY)",
        "ratio = 0.5 * level / (signal * unit).clamp_min(TINY)",
        "tests/image/test_regularised.py",
    ),
    Mutant(
        "lambda keeps its share of the grey scale",
        "image/regularised.py",
        "back = shells.spread(1 / gain.clamp_min(1 / (1 + MOST_NOISE)))",
        "back = shells.spread(torch.ones_like(gain))",
        "tests/image/test_regularised.py",
    ),
    Mutant(
        "both halves are one",
        "maps/sums.py",
        "np.flatnonzero(geometry.half[rows] == half)",
        "np.arange(len(rows))",
        "tests/maps/test_map.py",
    ),
    Mutant(
        "weights without the CTF",
        "maps/sums.py",
        "back, weights = transfer.back, transfer.weight",
        "back, weights = transfer.back, torch.ones_like(transfer.weight)",
        "tests/maps/test_optics.py tests/maps/test_map.py",
    ),
)
