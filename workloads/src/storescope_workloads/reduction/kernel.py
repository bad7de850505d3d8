# SPDX-License-Identifier: Apache-2.0
"""The reduction as a scan does it: events in, pairs of muons out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import awkward as ak  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]

from .cuts import Cuts
from .physics import check_types, reduce
from .summary import Summary


@dataclass(frozen=True)
class Reduction:
    """The kernel (:class:`storescope_workloads.scan.kernel.Kernel`) that applies cuts to events.

    Attributes:
        cuts: What is read and which events pass.
    """

    cuts: Cuts
    name = "reduce"
    advice = "The file of --cuts names other columns, or turns a cut off by null"
    folder = "pairs"
    results = frozenset({"result.json", "histograms.json", "spectrum.png", "run.hlog", "report.html"})
    task_target = None

    def columns(self) -> list[str]:
        """Those that the cuts look at or keep."""
        return self.cuts.columns()

    def check_types(self, types: Mapping[str, str]) -> None:
        """See :func:`.physics.check_types`."""
        check_types(types, self.cuts)

    def apply(self, events: ak.Array, start: int) -> tuple[pa.Table, Summary]:
        """The pairs of some events, and their summary."""
        reduced = reduce(events, self.cuts)
        rows = pa.table({name: pa.array(values) for name, values in reduced.rows.items()})
        return rows, Summary.of(reduced.flow, reduced.rows["mass_gev"])

    def schema(self) -> pa.Schema:
        """The columns that the cuts give."""
        return pa.schema([(name, pa.from_numpy_dtype(np.dtype(kind))) for name, kind in self.cuts.output().items()])

    def empty(self) -> Summary:
        """The summary of no events."""
        return Summary()

    def sum_from_json(self, told: dict[str, Any]) -> Summary:
        """See :meth:`Summary.from_json`."""
        return Summary.from_json(told)

    def to_dict(self) -> dict[str, Any]:
        """The cuts."""
        return self.cuts.to_dict()

    def sample(self) -> ak.Array:
        """An event with a pair that passes the default cuts."""
        muons = {"pt": [50, 40], "eta": [1, -1], "phi": [0, 3], "charge": [1, -1], "isolation": [0, 0], "is_global": [1, 1]}
        types = {"charge": np.int32, "is_global": np.bool_}
        columns: dict[str, Any] = {
            column.name: np.array([muons[name]], types.get(name, np.float32))
            for name, column in self.cuts.quantities().items()
        }
        return ak.Array(columns)
