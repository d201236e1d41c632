"""The rows of a table of maps: each made once, judged, and kept in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from cryoprior.errors import InputError
from cryoprior.io import read_map
from cryoprior.maps.files import write_map_set
from cryoprior.maps.judgement import NamedMaps, judge_maps
from cryoprior.maps.map_set import MapSet
from cryoprior.maps.solving import solve_maps
from cryoprior.maps.source import Source
from cryoprior.maps.sums import MapSettings
from cryoprior.operators import parse_operator
from cryoprior.output.folder import claim_output
from cryoprior.output.record import to_json
from cryoprior.output.stored_json import read_json

ROW = "row.json"


@dataclass(frozen=True)
class RowKey:
    """What a row is: a cell and its series (empty for full data), a method, and how many particles were given.

    operator, compression: those of the cell; kept: particles that entered the map.
    """

    series: str
    cell: str
    method: str
    particles: int
    compression: float = 1.0
    operator: str = ""


@dataclass(frozen=True)
class MapRow:
    """A finished row: its numbers, its FSC curves by shell, and where its maps lie."""

    key: RowKey
    numbers: dict[str, Any]
    curves: pd.DataFrame
    folder: Path

    def volume(self, name: str = "map") -> Float[np.ndarray, "d d d"]:
        """Return one of its maps: map, map_filtered, half1, half2."""
        return read_map(self.folder / f"{name}.mrc")[0]

    def flat(self) -> dict[str, Any]:
        """Return key, numbers and what a particle of the cell takes as one line of a tidy table."""
        return {**vars(self.key), "bytes_per_particle": self._bytes(), **self.numbers}

    def _bytes(self) -> int:
        """Return the bytes of a particle as the cell measured it, of the whole image where there is no cell."""
        box = read_map(self.folder / "map.mrc")[0].shape[-1]
        return parse_operator(self.key.operator or "identity", box=box).bytes_per_particle


@dataclass(frozen=True)
class RowMaker:
    """Makes rows with one mask, one truth and one way of making maps."""

    folder: Path
    settings: MapSettings
    mask: Float[Tensor, "d d d"]
    truth: Float[Tensor, "d d d"] | None
    seed: int

    def row(self, key: RowKey, place: str, source: Source, more: Mapping[str, Any] | None = None) -> MapRow:
        """Return the row that lies in ``place``, made from the source if it is not there yet; ``more`` numbers go in.

        Raises
        ------
        InputError: the place holds another row.
        """
        folder = self.folder / place
        if not (folder / ROW).is_file():
            maps = solve_maps(source, self.settings, f"{key.series} {key.cell} {key.method}".strip())
            self._write(folder, key, maps, more or {})
        remedy = f"delete {folder}, and run the benchmark again"
        recorded = read_json(folder / ROW, "a row of a table of maps", remedy, {"key": dict, "numbers": dict})
        if recorded["key"] != json.loads(to_json(key)):
            raise InputError(f"{folder}: holds the row {recorded['key']}; expected {vars(key)}; pass another <output>")
        return MapRow(key, recorded["numbers"], pd.read_csv(folder / "fsc.csv"), folder)

    def _write(self, folder: Path, key: RowKey, maps: MapSet, more: Mapping[str, Any]) -> None:
        judgement = judge_maps(maps, self.mask, self.truth, self.seed)
        with claim_output(folder, "bench", overwrite=True) as partial:
            write_map_set(partial, NamedMaps(key.method, maps, judgement))
            numbers = _flat({"kept": maps.n, **more, **judgement.summary()})
            (partial / ROW).write_text(to_json({"key": key, "numbers": numbers}) + "\n")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for name, value in values.items():
        rows.update(_flat(value, f"{prefix}{name}_") if isinstance(value, dict) else {prefix + name: value})
    return rows
