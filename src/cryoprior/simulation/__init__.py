"""Simulation: particles with known truth from atomic models or maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryoprior.lazy import lazy_names

if TYPE_CHECKING:
    from cryoprior.simulation.noise import read_noise
    from cryoprior.simulation.optics import read_ctf_table
    from cryoprior.simulation.simulating import SimulatedParticles, simulate
    from cryoprior.simulation.states import read_states

__all__ = ["SimulatedParticles", "read_ctf_table", "read_noise", "read_states", "simulate"]

__getattr__ = lazy_names(
    __name__,
    {
        "noise": ("read_noise",),
        "optics": ("read_ctf_table",),
        "simulating": ("SimulatedParticles", "simulate"),
        "states": ("read_states",),
    },
)
