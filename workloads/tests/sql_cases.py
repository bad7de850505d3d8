# SPDX-License-Identifier: Apache-2.0
"""Events for the engine spark-sql, and what physics.py, which has oracles of its own, makes of them."""

from __future__ import annotations

import math
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.physics import reduce
from storescope_workloads.reduction.summary import Summary

NAN, INF = math.nan, math.inf


def events(seed: int, count: int) -> ak.Array:
    """Muons that fail and pass each cut, with ties, values at the thresholds, NaN, infinity and events without any."""
    draw = np.random.default_rng(seed)
    counts = draw.integers(0, 5, count)
    number = int(counts.sum())
    odd = draw.random(number) < 0.03
    flat = {
        "Muon_pt": np.where(odd, draw.choice([NAN, INF, 10.0, 25.0, -5.0], number), draw.choice([9, 12, 26, 30.5, 45, 45.25], number)),
        "Muon_eta": np.where(draw.random(number) < 0.02, draw.choice([NAN, INF, 2.4, -2.1], number), draw.uniform(-2.5, 2.5, number)),
        "Muon_phi": np.where(draw.random(number) < 0.02, NAN, draw.uniform(-math.pi, math.pi, number)),
        "Muon_pfRelIso04_all": np.where(draw.random(number) < 0.02, NAN, draw.choice([0.0, 0.05, 0.12, 0.3, 0.6], number)),
    }
    columns = {name: ak.unflatten(values.astype("float32"), counts) for name, values in flat.items()}
    columns["Muon_charge"] = ak.unflatten(draw.choice([-1, 1], number).astype("int8"), counts)
    columns["Muon_isGlobal"] = ak.unflatten(draw.random(number) < 0.95, counts)
    columns["event"] = np.arange(count, dtype=np.uint64) + 2**40
    columns["met"] = draw.normal(30, 10, count).astype("float32")
    columns["flag"] = draw.random(count) < 0.5
    columns["huge"] = draw.integers(2**63 - 2**20, 2**64, count, np.uint64)
    columns["score"] = ak.mask(draw.normal(0, 1, count), draw.random(count) < 0.8)
    return ak.zip(columns, depth_limit=1)


def write(path: Path, table: ak.Array, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(ak.to_arrow_table(table, extensionarray=False), path, **options)
    return path


def agrees(summary: Summary, rows: pa.Table, tables: dict[int, ak.Array], cuts: Cuts) -> None:
    """That counts and rows are those of physics.py for the events of each file, by its number in the plan."""
    expected = {number: reduce(table, cuts) for number, table in tables.items()}
    other = sum((Summary.of(one.flow, one.rows["mass_gev"]) for one in expected.values()), Summary())
    assert summary.flow == other.flow
    assert rows.column_names == ["file", *cuts.output()]
    assert [str(field.type) for field in rows.schema] == ["int32", *(_ARROW[kind] for kind in cuts.output().values())]
    rows = rows.sort_by("file")  # Stable: the order within a file is that of its events.
    assert rows["file"].to_pylist() == [number for number, one in expected.items() for _ in one.rows["mass_gev"]]
    for column in cuts.output():
        wanted = np.concatenate([one.rows[column] for one in expected.values()])
        np.testing.assert_allclose(rows[column].to_numpy(zero_copy_only=False), wanted, rtol=1e-12 if column == "mass_gev" else 0)
    assert summary.mean_mass == (None if other.mean_mass is None else pytest.approx(other.mean_mass, rel=1e-12))
    assert {name: counts.tolist() for name, counts in summary.histograms.items()} == {
        name: counts.tolist() for name, counts in other.histograms.items()}


_ARROW = {"float64": "double", "float32": "float", "int64": "int64", "bool": "bool"}
