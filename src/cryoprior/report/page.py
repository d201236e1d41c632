"""One HTML page that needs nothing but itself: style inside, pictures as base64, no script file, no fonts to fetch."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Literal

from cryoprior.report.labels import breakable
from cryoprior.report.slider import Slider
from cryoprior.version import __version__


@dataclass(frozen=True)
class Prose:
    """A paragraph of plain text."""

    text: str

    def html(self) -> str:
        return f"<p>{escape(self.text)}</p>"


@dataclass(frozen=True)
class Lead:
    """The sentence that a page says first, in large letters."""

    text: str

    def html(self) -> str:
        return f'<p class="lead">{escape(self.text)}</p>'


LONG_CELL = 22
"""Characters above which a cell of a table is taken for words, which may go on several lines; numbers never do."""


@dataclass(frozen=True)
class Table:
    """Rows of text under column heads; the first column names the row, rows in ``strong`` (by index) stand out.

    On a phone every row stands by itself, with the heads of its cells beside them.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    strong: Sequence[int] = ()

    def html(self) -> str:
        head = "".join(f'<th scope="col">{breakable(name)}</th>' for name in self.columns)
        body = "\n".join(self._row(i, row) for i, row in enumerate(self.rows))
        table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure><div class="scroll">{table}</div>{caption}</figure>'

    def _row(self, index: int, row: Sequence[str]) -> str:
        mark = ' class="strong"' if index in self.strong else ""
        cells = "".join(_cell(head, text) for head, text in zip(self.columns[1:], row[1:], strict=True))
        return f'<tr{mark}><th scope="row">{breakable(row[0])}</th>{cells}</tr>'


def _cell(head: str, text: str) -> str:
    words = ' class="words"' if len(text) > LONG_CELL else ""
    return f'<td data-head="{escape(head)}"{words}>{escape(text)}</td>'


@dataclass(frozen=True)
class Picture:
    """A PNG image with a caption; ``alt`` says in words what it shows; ``width`` in CSS pixels, shrunk on a phone."""

    png: bytes
    alt: str
    caption: str = ""
    width: int | None = None

    def html(self) -> str:
        data = base64.b64encode(self.png).decode()
        width = f' width="{self.width}"' if self.width else ""
        caption = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure><img src="data:image/png;base64,{data}" alt="{escape(self.alt)}"{width}>{caption}</figure>'


@dataclass(frozen=True)
class KeyValues:
    """Names with their values, one per line."""

    items: Sequence[tuple[str, str]]

    def html(self) -> str:
        lines = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in self.items)
        return f"<dl>{lines}</dl>"


@dataclass(frozen=True)
class Alert:
    """A box that cannot be missed: ``danger`` for results that must not be trusted, ``note`` for what to know."""

    title: str
    text: str
    level: Literal["danger", "note"] = "danger"

    def html(self) -> str:
        role = ' role="alert"' if self.level == "danger" else ""
        return (
            f'<div class="alert {self.level}"{role}><p><strong>{escape(self.title)}</strong></p>'
            f"<p>{escape(self.text)}</p></div>"
        )


Block = Prose | Lead | Table | Picture | KeyValues | Alert | Slider


@dataclass(frozen=True)
class Section:
    """Blocks under a title; without a title they follow the page's head."""

    title: str
    blocks: Sequence[Block]

    def html(self) -> str:
        title = f"<h2>{escape(self.title)}</h2>\n" if self.title else ""
        return f"<section>\n{title}{chr(10).join(block.html() for block in self.blocks)}\n</section>"


def render_page(title: str, sections: Sequence[Section], subtitle: str = "", footer: str = "") -> str:
    """Return the page as HTML text; all text is escaped."""
    template = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        subtitle=f'<p class="subtitle">{escape(subtitle)}</p>' if subtitle else "",
        body="\n".join(section.html() for section in sections),
        footer=escape(footer or f"cryoprior {__version__}"),
    )


def write_page(path: Path, title: str, sections: Sequence[Section], subtitle: str = "", footer: str = "") -> Path:
    """Return the path of the page, written as UTF-8."""
    path.write_text(render_page(title, sections, subtitle, footer), encoding="utf-8")
    return path
