"""Damaged plans of benchmarks."""

from __future__ import annotations

import random
from pathlib import Path

from fuzz.cases import Change, Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, edit, edit_text, strangers, turned_bits

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN

WRONG: dict[str, tuple[str, ...]] = {
    'table = "images"': ('table = "other"', "table = 5", "", 'table = ["images"]'),
    'title = "small"': ("title = 5", 'title = "${NO_SUCH_VARIABLE}"', 'title = "${HOME}"'),
    "particles = 4": tuple(f"particles = {v}" for v in ("0", "-3", "1e3", '"4"', "true", "[4]", "nan")),
    "seeds = [0]": tuple(f"seeds = {v}" for v in ("[]", '["a"]', "0", "[0, 0]", "[0.5]", "[[0]]")),
    "sigma = 0.0": tuple(f"sigma = {v}" for v in ("-1.0", "nan", "inf", '"0"', "[0.0]")),
    "block = 8": tuple(f"block = {v}" for v in ("0", "-8", "7", "100000", "8.0", '"8"')),
    "compressions = [2.5]": tuple(
        f"compressions = {v}" for v in ("[]", "[0.0]", "[-1.0]", "[nan]", "[inf]", "[1e-9]", "[1e9]", '["a"]', "2.5")
    ),
    'rows = ["hadamard"]': (
        *('rows = ["x"]', "rows = []", 'rows = "hadamard"', 'rows = ["hadamard"]\nsets = 1000000000'),
        *('rows = ["hadamard"]\nsets = 0', 'rows = ["hadamard"]\n[[cells]]\nname = "x"\noperator = "nonsense"'),
    ),
    'solver = "least-squares"': ('solver = "nonsense"', "solver = 5", "", 'solver = "least-squares:x=1"'),
    'solver = "dct:iterations=3"': (
        *('solver = "dct:iterations=-3"', 'solver = "dct:iterations=x"', 'solver = "exact:steps=0"'),
        *('solver = "dct:iterations=3"\nsamples = 0', 'solver = "exact:steps=2"\nprior = "/nowhere"'),
        *('solver = "dct:iterations=3"\ncells = ["nothing"]', 'solver = "dct:iterations=1e9"'),
    ),
    'name = "dct"': ('name = "least squares"', "name = 5", "name = []"),
    "star = ": ("star2 = ", "star = 5 #"),
    "particles.star": ("nothing.star", "clean.mrcs.star"),
    "clean.star": ("nothing.star",),
    'lpips = "off"': (
        *('lpips = "perhaps"', 'lpips = "off"\nspectrum = "x"', 'lpips = "off"\nbox = 0', 'lpips = "off"\nbox = -4'),
        *('lpips = "off"\nbox = 1', 'lpips = "off"\ndtype = "x"', 'lpips = "off"\npublished = "nothing.csv"'),
        *('lpips = "off"\nnamed = ["nothing"]', 'lpips = "off"\nheadline = ["nothing"]', 'lpips = "off"\nunknown = 1'),
        *('lpips = "off"\nlpips = "off"', 'lpips = "off"\nbox = 1000000'),
    ),
    "[[methods]]": (
        "[methods]",
        '[[downstream]]\nmethod = "dct"\nheterogeneity = "/nowhere"\n[[methods]]',
    ),
    "[[pixel]]": ("[[pixels]]", "[pixel]"),
}
OPEN_ENDED: dict[str, tuple[str, ...]] = {
    'title = "small"': (
        'title = "$HOME"',
        'title = "<script>alert(1)</script>"',
        'title = ""',
        f'title = "{"x" * 1_000_000}"',
    ),
    'name = "dct"': ('name = ""', 'name = "<img src=x onerror=alert(1)>"', 'name = "../../escape"', 'name = "a/b"'),
    "seeds = [0]": ("seeds = [99999999999999999999999999]", "seeds = [-1]"),
    'rows = ["hadamard"]': ('rows = ["hadamard"]\n[[cells]]\nname = "../../../escape"\noperator = "identity"',),
}


def plan(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a plan."""
    yield from cuts(OPEN)
    yield from strangers(rng)
    yield from turned_bits(rng, extra)
    yield from doubled_blocks(rng, extra // 2)
    for right, values in ((REFUSE, WRONG), (OPEN, OPEN_ENDED)):
        for old, news in values.items():
            for new in news:
                yield f"{old} -> {new[:50]}", right, replaced(old, new)
    yield "nested 100,000 deep", REFUSE, edit_text(lambda text: text + "\nx = " + "[" * 100_000)
    yield "not UTF-8", REFUSE, edit(lambda data: data.replace(b"small", b"sm\xffll"))
    yield "a folder as star", REFUSE, replaced("sim/particles.star", "sim")
    yield "200,000 methods", REFUSE, edit_text(_many_methods)


def replaced(old: str, new: str) -> Change:
    """Return the change of the first occurrence of a text."""
    return edit_text(lambda text: text.replace(old, new, 1))


def _many_methods(text: str) -> str:
    return text + "".join(f'\n[[methods]]\nname = "m{i}"\nsolver = "least-squares"\n' for i in range(200_000))
