"""Whether LPIPS is computed, where the user leaves it open."""

from __future__ import annotations

from cryoprior.errors import for_command_line
from cryoprior.external.lpips_weights import HOW_TO_GET, cached_weights, fetch_weights, weights_path
from cryoprior.measurement.arrays import check_choice
from cryoprior.metrics.lpips import SMALLEST_BOX, Lpips


def choose_lpips(choice: str, box: int) -> tuple[Lpips | None, str]:
    """Return LPIPS and an empty text, or None and why it is missing."""
    check_choice(choice, "lpips", ("auto", "off", "fetch"))
    if choice == "off":
        return None, "switched off"
    if box < SMALLEST_BOX:
        return None, f"LPIPS needs a box of at least {SMALLEST_BOX} pixels; this one has {box}"
    if choice == "fetch":
        fetch_weights()
    if not weights_path().is_file():
        return None, for_command_line(HOW_TO_GET)
    return load_lpips(), ""


def load_lpips() -> Lpips:
    """Return LPIPS with the cached weights.

    Raises
    ------
    InputError: the weights are not in the cache; the message says how to get them.
    """
    return Lpips(cached_weights())
