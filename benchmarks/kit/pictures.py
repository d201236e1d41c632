"""Pictures of a run, kept small enough to be committed."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

COLOURS, WIDEST = 64, 1400


def keep_picture(source: Path, target: Path) -> Path:
    """Return the path of a copy of a PNG with few colours, no wider than 1400 pixels."""
    target.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(source).convert("RGB")
    if image.width > WIDEST:
        image = image.resize((WIDEST, round(image.height * WIDEST / image.width)), Image.Resampling.LANCZOS)
    image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(target, optimize=True)
    return target
