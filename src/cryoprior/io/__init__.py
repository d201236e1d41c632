"""Particles, measurements and reconstructions on disk: read lazily, written whole or not at all; numpy only."""

from __future__ import annotations

from cryoprior.io.formats import FORMATS
from cryoprior.io.half import Baseline
from cryoprior.io.measurement_header import MeasurementHeader
from cryoprior.io.measurements import Measurements, read_measurements
from cryoprior.io.measurements_writer import MeasurementsWriter
from cryoprior.io.mrc_volumes import read_map
from cryoprior.io.mrc_writing import StackWriter, write_map, write_stack
from cryoprior.io.opening import read_particles
from cryoprior.io.particles import ParticleStack
from cryoprior.io.pickles import read_pickle
from cryoprior.io.resize import resize
from cryoprior.io.rows import row_batches, spread_rows
from cryoprior.io.shards import ReconstructionWriter, ShardWriter, finished_shards, merge_shards
from cryoprior.io.star import read_star, write_blocks, write_star
from cryoprior.io.validation import check_images, validate_measurements, validate_particles, validate_reconstruction

__all__ = [
    "FORMATS",
    "Baseline",
    "MeasurementHeader",
    "Measurements",
    "MeasurementsWriter",
    "ParticleStack",
    "ReconstructionWriter",
    "ShardWriter",
    "StackWriter",
    "check_images",
    "finished_shards",
    "merge_shards",
    "read_map",
    "read_measurements",
    "read_particles",
    "read_pickle",
    "read_star",
    "resize",
    "row_batches",
    "spread_rows",
    "validate_measurements",
    "validate_particles",
    "validate_reconstruction",
    "write_blocks",
    "write_map",
    "write_stack",
    "write_star",
]
