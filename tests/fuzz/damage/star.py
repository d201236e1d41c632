"""Damaged star files: their grammar, their names, their numbers."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

from fuzz.cases import Change, Changes, Right
from fuzz.damage.bytes import cuts, doubled_blocks, edit, edit_text, strangers, turned_bits
from fuzz.good import N

REFUSE, SAME, OPEN = Right.REFUSE, Right.SAME, Right.OPEN
ROW = r"(?m)^(.*\d@\S+.*)$"


def star(rng: random.Random, extra: int, folder: Path) -> Changes:
    """Yield damage of a particle file."""
    yield from cuts(last=SAME)
    yield from strangers(rng)
    yield from turned_bits(rng, extra)
    yield from doubled_blocks(rng, extra // 2)
    yield from _grammar()
    yield from _encodings()
    yield from _names()
    yield from _numbers(rng, extra)
    for number in range(extra // 2):
        share = rng.random()
        yield f"line {number} left out", OPEN, edit_text(lambda text, share=share: _without_line(text, share))


def _grammar() -> Changes:
    for label in ("rlnImageName", "rlnOpticsGroup", "rlnAngleRot", "rlnDefocusU", "rlnImagePixelSize"):
        yield f"no label {label}", REFUSE, sub(rf"(?m)^_{label} .*\n", "")
        yield f"label {label} twice", REFUSE, sub(rf"(?m)^(_{label}) .*\n", r"\g<0>\1 #99\n")
    yield "a label renamed to the next", REFUSE, sub("_rlnDefocusV", "_rlnDefocusU")
    yield "a label without a name", REFUSE, sub(r"(?m)^_rlnAngleRot .*$", "_")
    yield "two angles exchanged", OPEN, sub(r"(_rlnAngleRot) (.*)\n(_rlnAngleTilt) ", r"\3 \2\n\1 ")
    yield "a value too few", REFUSE, sub(r"(?m)^(.*@.*) \S+\s*$", r"\1")
    yield "a value too many", REFUSE, sub(ROW, r"\1 7")
    yield "a quote that is not closed", REFUSE, sub(r"(\d+@\S+)", r'"\1')
    yield "an apostrophe in a name", REFUSE, sub(r"(\d+@)(\S+)", r"\1o'\2")
    yield "a quoted name", SAME, sub(r"(\d+@\S+)", r'"\1"')
    yield "only the head", REFUSE, sub(r"(?s)(data_particles.*?)\n\s*\d.*", r"\1\n")
    yield "no loop_", REFUSE, sub(r"(?m)^loop_\n", "", 2)
    yield "a block begins among the rows", REFUSE, sub(ROW, "data_optics\n\\1")
    yield "the last line does not end", SAME, edit_text(str.rstrip)
    yield "comments between the rows", SAME, sub(ROW, "# picked\n\\1")
    yield "a comment behind a row", SAME, sub(ROW, "\\1 # picked")
    yield "tabs", SAME, edit_text(lambda text: text.replace(" ", "\t"))
    yield "a text of several lines", REFUSE, sub(ROW, ";\n\\1\n;")
    yield "a line of 5 MB", REFUSE, edit_text(lambda text: text + "x " * 2_500_000)
    yield (
        "20,000 labels more",
        REFUSE,
        sub(r"(data_particles\s+loop_\n)", lambda head: head[1] + "".join(f"_x{i}\n" for i in range(20000))),
    )
    yield "100,000 empty blocks", OPEN, edit_text(lambda text: text + "".join(f"\ndata_{i}\n" for i in range(100_000)))


def _encodings() -> Changes:
    yield "lines of DOS", SAME, edit(lambda data: data.replace(b"\n", b"\r\n"))
    yield "lines of the old Mac", OPEN, edit(lambda data: data.replace(b"\n", b"\r"))
    yield "a byte order mark", SAME, edit(lambda data: b"\xef\xbb\xbf" + data)
    yield "UTF-16", REFUSE, edit(lambda data: data.decode().encode("utf-16"))
    yield "a Latin-1 byte in a name", REFUSE, edit(lambda data: data.replace(b"particles.mrcs", b"parti\xe9les.mrcs"))
    yield "a NUL in a name", REFUSE, edit(lambda data: data.replace(b"particles.mrcs", b"parti\0les.mrcs", 1))
    yield "a line separator of Unicode in a name", OPEN, sub(r"(\d+@\S+)", "\\1\u2028")
    yield "form feed", OPEN, sub(ROW, "\\1 \x0b\x0c")


def _names() -> Changes:
    numbers = ("000000", "-1", "9" * 23, str(2**63), "1e1", "²", "٣", "", "1.5", "0x1", "+1", "000013")
    for number in numbers:
        yield f"image number {number}", REFUSE, cell("rlnImageName", f"{number}@particles.mrcs")
    stacks = ("", "/etc/passwd", "../../../../../etc/passwd", "/proc/self/mem", ".", "/", "a" * 300, "a/" * 3000)
    for stack in (*stacks, "a@b", "/dev/zero", "~/particles.mrcs", "$HOME/x.mrcs"):
        yield f"stack {stack[:40]}", REFUSE, cell("rlnImageName", f"000001@{stack}")
    for name in ("x", "particles.mrcs", "<script>@x", "None", "nan"):
        yield f"name {name}", REFUSE, cell("rlnImageName", name)
    yield "the same image in all rows", OPEN, cell("rlnImageName", "000001@particles.mrcs", N)


NEVER = ("nan", "inf", "-inf", "abc", "1e400", "1_0", "0x10", "None", "True", "1,5", "--5", "9" * 400)
"""No value of a column of numbers."""
SIZES = ("0", "-8", "1e308", "1e-300")
ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")
CTF = ("rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast")


def _numbers(rng: random.Random, extra: int) -> Changes:
    for value in (*NEVER, *SIZES):
        yield f"pixel size {value[:12]}", REFUSE, cell("rlnImagePixelSize", value)
    for value in ("2", "1.5", "abc", "nan", "-1", "1e400"):
        yield f"optics group {value}", REFUSE, cell("rlnOpticsGroup", value, 2)
    for value in ("16", "0", "-1", "abc", "nan", "1e18", "32.5"):
        yield f"image size {value}", REFUSE, cell("rlnImageSize", value)
    for label in (*ANGLES, *CTF):
        for value in NEVER:
            yield f"{label} {value[:12]}", REFUSE, cell(label, value)
    for label, value in (("rlnVoltage", "0"), ("rlnVoltage", "-300"), ("rlnAmplitudeContrast", "7")):
        yield f"{label} {value}", REFUSE, cell(label, value)
    for label, value in (("rlnSphericalAberration", "-2"), ("rlnDefocusU", "-1e12"), ("rlnOriginXAngst", "1e12")):
        yield f"{label} {value}", REFUSE, cell(label, value)
    for number in range(extra):
        label, value = rng.choice((*ANGLES, *CTF)), rng.choice(NEVER)
        yield f"{number}: {label} {value[:12]} in any row", REFUSE, cell(label, value, skip=rng.randrange(N))


def sub(old: str, new: str | Callable[[re.Match[str]], str], count: int = 1) -> Change:
    """Return the change by a regular expression."""
    return edit_text(lambda text: re.sub(old, new, text, count=count))


def cell(label: str, value: str, rows: int = 1, skip: int = 0) -> Change:
    """Return the change that sets a column, in whichever table it stands, of the first rows after some."""

    def change(text: str) -> str:
        lines, labels, passed, left = [], [], skip, rows
        for line in text.splitlines():
            bare = line.strip()
            if bare.startswith("data_"):
                labels = []
            elif bare.startswith("_"):
                labels.append(bare.split()[0][1:])
            elif bare and not bare.startswith(("#", "loop_")) and label in labels and left:
                if passed and bare.count("@"):
                    passed -= 1
                else:
                    values = bare.split()
                    values[labels.index(label)] = value
                    line, left = " ".join(values), left - 1
            lines.append(line)
        return "\n".join(lines) + "\n"

    return edit_text(change)


def _without_line(text: str, share: float) -> str:
    lines = text.splitlines()
    del lines[int(share * len(lines))]
    return "\n".join(lines) + "\n"
