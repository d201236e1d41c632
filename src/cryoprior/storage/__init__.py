"""How whole images are stored in fewer bytes, beside masks and bits. A new way is one file and one line here.

These are done to particles. Before all of them come a detector's EER files, which hold electrons one by one.
"""

from __future__ import annotations

from cryoprior.registry import Registry
from cryoprior.spec import format_spec, parse_spec
from cryoprior.storage.encoding import Encoding, Stored, fault_of_encoding, stored_images
from cryoprior.storage.floats import Float16, Float32, RelionFloat16
from cryoprior.storage.integers import Integer
from cryoprior.storage.jpeg2000 import Jpeg2000

ENCODINGS: Registry[type[Encoding]] = Registry(
    "encoding",
    {
        "float32": Float32,
        "float16": Float16,
        "relion-float16": RelionFloat16,
        "integer": Integer,
        "jpeg2000": Jpeg2000,
    },
    fault_of_encoding,
)


def parse_encoding(text: str) -> Encoding:
    """Return the encoding that a text names, for example ``integer:bits=5,zstd=3``.

    Raises
    ------
    InputError: a text that names no encoding, or has a field that it does not know or take.
    """
    return parse_spec(text, ENCODINGS)


def format_encoding(encoding: Encoding) -> str:
    """Return the text that :func:`parse_encoding` reads back as this encoding."""
    return format_spec(encoding, ENCODINGS)


__all__ = [
    "ENCODINGS",
    "Encoding",
    "Float16",
    "Float32",
    "Integer",
    "Jpeg2000",
    "RelionFloat16",
    "Stored",
    "format_encoding",
    "parse_encoding",
    "stored_images",
]
