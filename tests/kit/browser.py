"""A page in headless Chromium at a given width: where the cells of its tables lie, and whether they can be seen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120
# the page stands in a frame of the width, since a window of Chromium is never narrower than about 500 pixels
FRAME = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" style="border:0;width:{width}px;height:2000px" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
onload = () => {{
  const view = document.getElementById("frame").contentWindow, page = view.document;
  const cells = [...page.querySelectorAll("td")].filter(cell => cell.textContent.trim()).map(cell => {{
    const text = page.createRange();
    text.selectNodeContents(cell);
    const box = text.getBoundingClientRect();
    let left = 0, right = view.innerWidth;
    for (let over = cell.parentElement; over; over = over.parentElement) {{
      if (view.getComputedStyle(over).overflowX === "visible") continue;
      const frame = over.getBoundingClientRect();
      left = Math.max(left, frame.left);
      right = Math.min(right, frame.right);
    }}
    return {{text: cell.textContent, left: box.left, right: box.right,
            hidden: box.width === 0 || box.left < left - 1 || box.right > right + 1}};
  }});
  const found = {{width: view.innerWidth, content: page.documentElement.scrollWidth, cells}};
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>
"""


@dataclass(frozen=True)
class Layout:
    """A page as it was laid out: width of its window and of its content in CSS pixels, and the cells of its tables."""

    width: int
    content: int
    cells: list[dict[str, object]]

    @property
    def hidden(self) -> list[str]:
        """Return the texts of cells that cannot be read without scrolling sideways."""
        return [str(cell["text"]) for cell in self.cells if cell["hidden"]]


def chromium() -> str:
    """Return the executable, or skip the test with the reason."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(
            f"none of {', '.join(NAMES)} on the PATH: pages cannot be laid out (Debian: apt-get install chromium)"
        )
    return path


def lay_out(page: str, width: int, folder: Path) -> Layout:
    """Return the layout of an HTML page in a window of this width; a folder keeps the browser's files."""
    path = folder / f"frame-{width}.html"
    path.write_text(FRAME.format(width=width, page=escape(page)), encoding="utf-8")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    words += [f"--user-data-dir={folder / 'browser'}", "--window-size=1600,2200", "--virtual-time-budget=10000"]
    command = [chromium(), *words, "--dump-dom", path.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    found = re.search(r'<pre id="found">(\{.*?\})</pre>', ran.stdout, re.DOTALL)
    assert found, f"{' '.join(command)} said nothing of the page: {ran.stderr[-2000:]}"
    return Layout(**json.loads(unescape(found[1])))


def shoot(page: str, width: int, folder: Path, height: int = 900) -> np.ndarray:
    """Return a page as Chromium shows it, (height, width, 3) from 0 to 1; scripts of the page have run."""
    path, picture = folder / "shot.html", folder / "shot.png"
    path.write_text(page, encoding="utf-8")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    words += [f"--user-data-dir={folder / 'browser'}", f"--window-size={width},{height}", f"--screenshot={picture}"]
    command = [chromium(), *words, "--virtual-time-budget=5000", path.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert picture.is_file(), f"{' '.join(command)} drew nothing: {ran.stderr[-2000:]}"
    shown: np.ndarray = imread(picture)[..., :3]
    return shown
