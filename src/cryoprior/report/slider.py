"""A comparison of pictures of one thing, one wiped over the other by a slider: with mouse, finger or arrow keys."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Float

STEPS = 100


@dataclass(frozen=True)
class Slider:
    """Pictures of one particle by name, wiped one over the other from left to right in their order.

    The slider is a range input: it takes arrow keys, Home and End. Its script is one attribute; nothing is fetched.
    ``at`` is where it stands first, from 0, the first picture, to the number of further pictures.
    """

    title: str
    pictures: Mapping[str, Float[np.ndarray, "box box"]]
    at: float = 1.5

    def html(self) -> str:
        names = list(self.pictures)
        images = "".join(
            f'<img src="data:image/png;base64,{base64.b64encode(grey_png(image)).decode()}" '
            f'alt="{escape(self.title)}: {escape(name)}" style="--From: {STEPS * (place - 1)}">'
            for place, (name, image) in enumerate(self.pictures.items())
        )
        move = "this.parentNode.querySelector('.stage').style.setProperty('--At', this.value)"
        most, at = STEPS * (len(names) - 1), round(STEPS * self.at)
        label = escape(f"{self.title}: from {', '.join(names[:-1])} to {names[-1]}")
        shown = "".join(f"<span>{escape(name)}</span>" for name in names)
        return (
            f'<figure class="wipe"><div class="stage" style="--At: {at}">{images}</div>'
            f'<input type="range" min="0" max="{most}" value="{at}" step="5" aria-label="{label}" oninput="{move}">'
            f'<div class="names">{shown}</div><figcaption>{escape(self.title)}</figcaption></figure>'
        )


def own_grey(image: Float[np.ndarray, "box box"], deviations: float = 3.0) -> Float[np.ndarray, "box box"]:
    """Return the image with its mean at 0 and its standard deviation at 1, cut off beyond ``deviations``."""
    spread = float(image.std())
    scaled = (image - image.mean()) / spread if spread > 0 else np.zeros_like(image)
    clipped: Float[np.ndarray, "box box"] = np.clip(scaled, -deviations, deviations)
    return clipped


def grey_png(image: Float[np.ndarray, "box box"], deviations: float = 3.0) -> bytes:
    """Return an image as PNG, a pixel for a pixel, black to white its mean - to mean + ``deviations`` deviations."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    scaled = own_grey(image, deviations)
    imsave(buffer, scaled, cmap="gray", vmin=-deviations, vmax=deviations, format="png")
    return buffer.getvalue()


def sliders(title: str, pictures: Mapping[str, Float[np.ndarray, "n box box"]], numbers: Sequence[int]) -> list[Slider]:
    """Return one slider for each particle of stacks by name; ``numbers`` are the particles' in the whole stack."""
    return [
        Slider(f"{title} {number}", {name: stack[place] for name, stack in pictures.items()})
        for place, number in enumerate(numbers)
    ]
