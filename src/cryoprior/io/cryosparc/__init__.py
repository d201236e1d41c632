"""The parts of cryoSPARC's particle files: what their columns mean in RELION's terms, how files are joined and written.

The reader itself is the format :mod:`cryoprior.io.formats.cryosparc`.
"""
