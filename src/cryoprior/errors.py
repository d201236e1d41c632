"""The one exception that means: the input is wrong, and here is the remedy.

Messages name options in angle brackets, and are spelled for who reads them: ``<pixel_size>`` is ``pixel_size`` to a
caller in Python and ``--pixel-size`` on the command line. The same holds for warnings that are logged.

======================  ====================  =====================
in the message          in Python             on the command line
======================  ====================  =====================
``<pixel_size>``        ``pixel_size``        ``--pixel-size``
``<contrast=bright>``   ``contrast=bright``   ``--contrast bright``
``<resume=True>``       ``resume=True``       ``--resume``
``<PARTICLES>``         ``particles``         ``PARTICLES``
======================  ====================  =====================
"""

from __future__ import annotations

import errno
import logging
import re

FLAGS = {"output": "-o"}
"""Options whose flag is not their name with dashes."""

DEVICE_FAILURES = frozenset(
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "ESTALE", "ENXIO", "ENODEV", "EREMOTEIO", "ETIMEDOUT", "EHOSTDOWN")
    if hasattr(errno, name)
)
"""Numbers of errors with which a disk says that it is full or fails: no other input would help."""

OPTION = re.compile(r"<([a-zA-Z]\w*)(?:=([^<>]*))?>")


class InputError(ValueError):
    """A user's input that cannot be used; the command line prints it and exits with code 2.

    The message names the object, what was found, what was expected and the remedy:
    ``recon.star: no column rlnImagePixelSize; add it, or pass <pixel_size>``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return for_python(self.message)

    def for_command_line(self) -> str:
        """Return the message with the options' flags."""
        return for_command_line(self.message)


def for_python(message: str) -> str:
    """Return the message with options as keyword arguments: ``<box>`` is ``box``."""
    return OPTION.sub(lambda option: _keyword(*option.groups()), message)


def for_command_line(message: str) -> str:
    """Return the message with options as flags: ``<box>`` is ``--box``."""
    return OPTION.sub(lambda option: _flag(*option.groups()), message)


def _keyword(name: str, value: str | None) -> str:
    return name.lower() if value is None else f"{name.lower()}={value}"


def _flag(name: str, value: str | None) -> str:
    if name.isupper():
        return name
    flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
    return flag if value in (None, "True") else f"{flag} {value}"


class PythonSpelling(logging.Filter):
    """Spells logged messages for a caller in Python; the command line spells ``record.unspelled`` with flags."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True; the record's message names options as keyword arguments."""
        raw = record.getMessage()
        record.__dict__["unspelled"] = raw
        record.msg, record.args = for_python(raw), ()
        return True


PYTHON_SPELLING = PythonSpelling()
