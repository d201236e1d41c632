"""The one exception that means: the input is wrong, and here is the remedy."""

from __future__ import annotations


class InputError(ValueError):
    """A user's input that cannot be used; the command line prints it and exits with code 2.

    The message names the object, what was found, what was expected and the remedy:
    ``recon.star: no column rlnImagePixelSize; add it, or pass --pixel-size``.
    """
