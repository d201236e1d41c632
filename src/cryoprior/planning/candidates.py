"""What could be kept of a particle, each way as one text: an operator (masks, bits) or an encoding (a format)."""

from __future__ import annotations

from dataclasses import dataclass

from cryoprior.errors import InputError
from cryoprior.operators import OPERATORS, Operator, parse_operator
from cryoprior.storage import ENCODINGS, Encoding, parse_encoding

SETS = 64
WHOLE = "float32"
"""What all others are compared with."""
DEFAULTS = (
    WHOLE,
    "float16",
    "float16:zstd=3",
    "integer:bits=8",
    "integer:bits=5",
    "integer:bits=5,zstd=3",
    "integer:bits=4",
    "jpeg2000:quality=40",
    "jpeg2000:quality=30",
    "quantize:bits=3",
    "quantize:bits=2",
    "quantize:bits=1",
    f"fourier:pattern=uniform,compression=2,sets={SETS}",
    f"fourier:pattern=uniform,compression=5,sets={SETS}",
    f"fourier:pattern=uniform,compression=10,sets={SETS}",
    f"fourier:pattern=ring,compression=5,sets={SETS}",
    f"fourier:pattern=uniform,compression=2,bits=1,sets={SETS}",
    f"fourier:pattern=uniform,compression=5,bits=2,sets={SETS}",
    f"pixel:block=16,masks=102,sets={SETS}",
    f"pixel:block=16,masks=26,sets={SETS}",
    f"pixel:block=16,masks=102,bits=2,sets={SETS}",
)
"""Formats, bits, masks, and masks with bits. Those that a box cannot have are left out."""


@dataclass(frozen=True)
class Candidate:
    """One way to keep particles."""

    name: str
    way: Operator | Encoding

    @property
    def kind(self) -> str:
        """Return ``format``, ``bits``, ``masks`` or ``masks and bits``."""
        if isinstance(self.way, Encoding):
            return "format"
        masked = self.way.rank < self.way.n
        return ("masks and bits" if masked else "bits") if self.way.bits else "masks" if masked else "format"

    @property
    def compression(self) -> float:
        """Return pixels over the independent numbers that are kept: 1 for formats and bits alone."""
        return 1.0 if isinstance(self.way, Encoding) else self.way.effective_compression


def parse_candidate(text: str, box: int, seed: int = 0) -> Candidate:
    """Return the candidate that a text names.

    Raises
    ------
    InputError: neither an operator nor an encoding, or one with a field out of its range.
    """
    name = text.strip().partition(":")[0]
    if name in ENCODINGS.built_in or (name not in OPERATORS and name in ENCODINGS):
        return Candidate(text.strip(), parse_encoding(text))
    if name not in OPERATORS:
        known = ", ".join(sorted((*ENCODINGS, *OPERATORS)))
        raise InputError(f"<candidate> {text!r}: no encoding or operator is called {name!r}; expected one of {known}")
    return Candidate(text.strip(), parse_operator(text, box=box, seed=seed))


def candidates(texts: tuple[str, ...], box: int, seed: int = 0) -> list[Candidate]:
    """Return the candidates that texts name, whole images first; where there is no text the usual ones that fit.

    Raises
    ------
    InputError: a text that names no candidate, or the same one twice.
    """
    if texts:
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise InputError(f"<candidate> {twice!r} is given twice; give it once")
        return [parse_candidate(text, box, seed) for text in (WHOLE, *(text for text in texts if text != WHOLE))]
    found = []
    for text in DEFAULTS:
        try:
            found.append(parse_candidate(text, box, seed))
        except InputError:  # blocks that do not divide the box
            continue
    return found
