"""cryoprior: single-particle cryo-EM images from compressed measurements, with a generative prior."""

from __future__ import annotations

__version__ = "0.1.0"
