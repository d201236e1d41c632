"""Outputs: whole or absent, resumed or refused, and a record of how each was made."""

from __future__ import annotations

from cryoprior.output.files import whole_file, write_whole
from cryoprior.output.folder import Work, claim_output, resume_output
from cryoprior.output.record import read_recorded, write_provenance, write_summary

__all__ = [
    "Work",
    "claim_output",
    "read_recorded",
    "resume_output",
    "whole_file",
    "write_provenance",
    "write_summary",
    "write_whole",
]
