# SPDX-License-Identifier: Apache-2.0
"""Files as ``trainer ingest`` writes them, of made-up events: an event depends on the number of its file and of its entry alone."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storescope_workloads.places import Folder
from storescope_workloads.trainer.features import CLASSES, EVENT_FEATURES, PARTICLE_FEATURES

PT, ETA, PHI = (PARTICLE_FEATURES.index(name) for name in ("pT", "eta", "phi"))

SCHEMA = pa.schema(
    [("file", pa.int32()), ("entry", pa.int64()), ("hlf", pa.list_(pa.float32(), len(EVENT_FEATURES))),
     ("particles", pa.list_(pa.float32()))]
)


@dataclass
class Rows:
    """Ingested events of one class."""

    file: np.ndarray
    entry: np.ndarray
    hlf: np.ndarray
    particles: list

    def table(self) -> pa.Table:
        hlf = pa.FixedSizeListArray.from_arrays(pa.array(self.hlf.reshape(-1), pa.float32()), len(EVENT_FEATURES))
        ends = np.concatenate([[0], np.cumsum([own.size for own in self.particles])]).astype(np.int32)
        values = np.concatenate([np.zeros(0, np.float32), *(own.reshape(-1) for own in self.particles)])
        lists = pa.ListArray.from_arrays(pa.array(ends), pa.array(values, pa.float32()))
        return pa.table([pa.array(self.file), pa.array(self.entry), hlf, lists], schema=SCHEMA)

    def event(self) -> np.ndarray:
        return (self.file.astype(np.int64) << 32) | self.entry


def rows(file: int, count: int, mean: int = 8) -> Rows:
    """The events of one ingested file; every third entry did not pass the ingest's selection."""
    entry = np.arange(count, dtype=np.int64) * 3 // 2
    hlf, particles = [], []
    for number in entry.tolist():
        rng = np.random.default_rng([file, number])
        hlf.append(rng.normal(file, 3, len(EVENT_FEATURES)))
        own = rng.normal(2, 5, (1 + rng.integers(0, 2 * mean), len(PARTICLE_FEATURES)))
        own[:, PT] = rng.exponential(20, len(own))
        own[:, ETA] = rng.normal(0, 1.5, len(own))
        own[:, PHI] = rng.uniform(-np.pi, np.pi, len(own))
        own[:, -1] = 1.0
        particles.append(own.astype(np.float32))
    return Rows(np.full(count, file, np.int32), entry, np.array(hlf, np.float32).reshape(-1, len(EVENT_FEATURES)), particles)


#: The events of each class: its ingested files, and how many of each passed.
SAMPLE = {"qcd": {0: 70, 1: 50}, "ttbar": {2: 60, 3: 140}, "wjets": {4: 150}}


def sample(counts=None, mean: int = 8) -> dict[str, list[Rows]]:
    """The events of each class, by ingested file."""
    return {name: [rows(file, count, mean) for file, count in own.items()] for name, own in (counts or SAMPLE).items()}


def write_ingested(place: Folder, made: dict[str, list[Rows]], **options) -> None:
    """What ``trainer ingest`` writes of them: one file for each that was ingested.

    Args:
        options: Of the parquet writer.
    """
    for name, files in made.items():
        for one in files:
            write_table(place, f"events/batch=00000/dataset={name}/part-{one.file[0] if len(one.file) else 0:05}.parquet", one.table(), **options)
    complete(place, made)


def complete(place: Folder, made: dict[str, list[Rows]] | None = None) -> None:
    """As ingest ends: with the counts of these events, or with none."""
    classes = [{"name": name, "events": {"out": sum(len(one.file) for one in files)}} for name, files in (made or {}).items()]
    place.write("ingest.json", json.dumps({"workload": "trigger-ingest", "classes": classes}).encode())


def write_table(place: Folder, name: str, table: pa.Table, **options) -> None:
    with place.open(name) as file:
        pq.write_table(table, file, **{"compression": "zstd", "write_page_checksum": True, "row_group_size": 64, **options})


def write_otherwise(place: Folder, made: dict[str, list[Rows]]) -> None:
    """The same events, in other files, other row groups and another order."""
    for label, (name, files) in enumerate(made.items()):
        table = pa.concat_tables([one.table() for one in files])
        order = np.random.default_rng(label).permutation(len(table))
        parts = np.array_split(order, 3)
        for number, part in enumerate(parts):
            own = table.take(pa.array(part))
            write_table(place, f"events/batch={number:05}/dataset={name}/part-00007.parquet", own, row_group_size=23, compression="none")
    complete(place, made)


def padded(particles: list, length: int) -> np.ndarray:
    """As the original has them: zeros up to a length."""
    table = np.zeros((len(particles), length, len(PARTICLE_FEATURES)), np.float32)
    for row, own in enumerate(particles):
        table[row, : len(own)] = own
    return table


assert set(SAMPLE) == set(CLASSES)
