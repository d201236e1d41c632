"""The lines of a STAR file, one by one where they must be understood, many at once where they are plain rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

from cryoprior.errors import InputError

BLOCK_BYTES = 1 << 22
LONGEST_LINE = 1 << 20
_CONTROL = bytes(sorted({*range(32), 127} - set(b"\t\n\v\f\r")))
_WHITE = r"[ \t\r\v\f]"
_VALUE = re.compile(
    rf"""(?P<comment>\#.*)|"(?P<double>.*?)"(?={_WHITE}|$)|'(?P<single>.*?)'(?={_WHITE}|$)"""
    rf"""|(?P<open>["'].*)|(?P<plain>[^ \t\r\v\f]+)""",
    re.VERBOSE,
)
_SYNTAX = re.compile(rb"""(?:^|[ \t\r\v\f])["'#]|^;|[\v\f]""", re.MULTILINE)


class Lines:
    """The lines of an open file, UTF-8, numbered from 1; lines can be given back and looked at before they are taken.

    A byte order mark is dropped, and each of the three kinds of line ends is one.

    Raises
    ------
    InputError: bytes that are not UTF-8 text, a control character, a line of more than a million bytes.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.number = path, 0
        self._file = file
        self._buffer, self._place = b"", 0  # from the place on, nothing is taken yet
        self._fill()
        if self._buffer.startswith(b"\xef\xbb\xbf"):
            self._place = 3

    def take(self) -> str | None:
        """Return the next line without its end, None after the last."""
        self._drop()
        end = self._line_end(self._place)
        if end is None:
            return None
        line = self._buffer[self._place : end]
        self._place = end + 1
        self.number += 1
        if len(line) > LONGEST_LINE:
            raise self.fault(f"more than {LONGEST_LINE} bytes; expected a STAR file; is it one?")
        if len(line) != len(line.translate(None, _CONTROL)):
            raise self.fault("a control character; the file is damaged; is it a STAR file?")
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise self.fault(
                f"byte 0x{byte:02x} is not UTF-8 text; save the file as UTF-8; is it a STAR file?"
            ) from error

    def give_back(self, line: str) -> None:
        """Have the line that was taken last be the next one again."""
        self._place -= len(line.encode()) + 1
        self.number -= 1

    def next_word(self) -> str:
        """Return how the next line that is neither empty nor a comment begins, empty at the end; none is taken."""
        place = self._place
        while (end := self._line_end(place)) is not None:
            words = self._buffer[place:end].split(maxsplit=1)
            if words and not words[0].startswith(b"#"):
                return words[0].decode(errors="replace")
            place = end + 1
        return ""

    def plain_rows(self) -> bytes:
        """Return the next lines, up to an empty one, if all of them are values between spaces; empty if they are not.

        They are many, a few megabytes, or none: it does not pay for less. ``skip`` takes them.
        """
        self._drop()
        if self._place + BLOCK_BYTES > len(self._buffer):
            self._fill()
        stop = self._buffer.find(b"\n\n", self._place)
        stop = self._buffer.rfind(b"\n", self._place) if stop < 0 else stop
        rows = self._buffer[self._place : stop + 1]
        plain = len(rows) > BLOCK_BYTES // 64 and not self._has_syntax(rows)
        return rows if plain else b""

    def skip(self, rows: bytes) -> None:
        """Take the lines that ``plain_rows`` returned."""
        self._place += len(rows)
        self.number += rows.count(b"\n")

    def fault(self, text: str) -> InputError:
        """Return the error that says what is wrong with the line that was taken last."""
        return InputError(f"{self.path}, line {self.number}: {text}")

    def values(self, line: str) -> list[str]:
        """Return the values of a line, without quotes and comment; spaces are those of ASCII."""
        if line.isascii() and '"' not in line and "'" not in line and "#" not in line:
            return line.split()
        found = []
        for value in _VALUE.finditer(line):
            if value["comment"]:
                break
            if value["open"]:
                raise self.fault(f"the quote at {value['open'][:20]!r} has no end before a space; add it")
            found.append(next(value[kind] for kind in ("double", "single", "plain") if value[kind] is not None))
        return found

    def _line_end(self, place: int) -> int | None:
        """Return where the line that begins at a place ends, None where no line begins; a line is in memory whole."""
        while (end := self._buffer.find(b"\n", place)) < 0:
            if len(self._buffer) - place > LONGEST_LINE or not self._fill():
                return len(self._buffer) if place < len(self._buffer) else None
        return end

    def _fill(self) -> bool:
        """Read on; False at the end of the file."""
        more = self._file.read(BLOCK_BYTES)
        if more.endswith(b"\r"):
            more += self._file.read(1)
        if b"\r" in more:
            more = more.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._buffer += more
        return bool(more)

    def _drop(self) -> None:
        """Forget what was taken, now and then."""
        if self._place > BLOCK_BYTES:
            self._buffer, self._place = self._buffer[self._place :], 0

    @staticmethod
    def _has_syntax(rows: bytes) -> bool:
        if any(sign in rows for sign in (b'"', b"'", b"#", b";", b"\v", b"\f")) and _SYNTAX.search(rows):
            return True
        if len(rows) != len(rows.translate(None, _CONTROL)):
            return True
        try:
            return not rows.isascii() and not rows.decode()
        except UnicodeDecodeError:
            return True
