"""Self-contained HTML pages and their figures: arrays and texts in, bytes out."""

from __future__ import annotations

from cryoprior.report.figures import MontageRow, grey_limits, montage, shell_curves
from cryoprior.report.page import Alert, Block, KeyValues, Lead, Picture, Prose, Section, Table, render_page, write_page
from cryoprior.report.showing import show, show_curves

__all__ = [
    "Alert",
    "Block",
    "KeyValues",
    "Lead",
    "MontageRow",
    "Picture",
    "Prose",
    "Section",
    "Table",
    "grey_limits",
    "montage",
    "render_page",
    "shell_curves",
    "show",
    "show_curves",
    "write_page",
]
