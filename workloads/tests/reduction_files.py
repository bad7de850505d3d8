# SPDX-License-Identifier: Apache-2.0
"""Small inputs of the reduction, good and bad, and the shortest way through a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

from storescope_workloads.generate.job import Sample, write_file
from storescope_workloads.places import Folder, SourceFile, find
from storescope_workloads.scan import job as jobs
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.reduction.physics import Cuts
from storescope_workloads.settings import StoreSettings

FORMATS = ("ttree", "rntuple", "parquet")
#: What the default cuts read, and the type of its values.
MUON = {
    "Muon_pt": "f4",
    "Muon_eta": "f4",
    "Muon_phi": "f4",
    "Muon_charge": "i4",
    "Muon_pfRelIso04_all": "f4",
    "Muon_isGlobal": "?",
}


def make(folder: str, settings: StoreSettings, events: int = 4000, files: int = 2, **sample: Any) -> list[SourceFile]:
    """A generated sample in a folder of a store or disk: its files."""
    made = Sample(events=events, files=files, **{"cluster": 500, "branches": 37, **sample})
    for number in range(files):
        write_file(made, number, Folder(folder, settings))
    return find(f"{folder}/*", settings)


def columns(counts: list[int], **others: Any) -> dict[str, Any]:
    """Events with so many muons each: those of an event of two pass all cuts, with a mass of 91.2 GeV."""
    counts = np.asarray(counts, np.int64)
    number = ak.local_index(ak.unflatten(np.zeros(counts.sum(), "i1"), counts))
    values = {
        "Muon_pt": ak.values_astype(number * 0 + 45.6, "f4"),
        "Muon_eta": ak.values_astype(number * 0, "f4"),
        "Muon_phi": ak.values_astype(number * np.pi, "f4"),
        "Muon_charge": ak.values_astype(1 - 2 * (number % 2), "i4"),
        "Muon_pfRelIso04_all": ak.values_astype(number * 0 + 0.01, "f4"),
        "Muon_isGlobal": number >= 0,
    }
    return {**values, **others}


def write(path: Path, kind: str, *clusters: dict[str, Any], tree: str = "Events") -> Path:
    """A file of these clusters; of none, an empty tree of the columns of :data:`MUON`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "parquet":
        tables = [
            pa.table({name: _arrow(values) for name, values in cluster.items()})
            for cluster in clusters or [columns([])]
        ]
        with pq.ParquetWriter(path, tables[0].schema) as writer:
            for table in tables if clusters else []:
                writer.write_table(table)
        return path
    with uproot.recreate(path) as file:
        first = {name: _uproot_type(values) for name, values in (clusters or [columns([2])])[0].items()}
        if kind == "ttree":
            written = file.mktree(tree, first)
        else:
            written = file.mkrntuple(tree, ak.Array({n: v for n, v in (clusters or [columns([2])])[0].items()})[:0])
        for cluster in clusters:
            written.extend(cluster if kind == "ttree" else ak.Array(cluster))
    return path


def write_uneven(path: Path, lengths: dict[str, int], entries: int = 200) -> Path:
    """A TTree of ``entries`` whose branches have two baskets of 100 entries; those of ``lengths`` have 0 or 100
    entries, as ROOT writes them where branches are filled one by one."""
    with uproot.recreate(path) as file:
        part = columns([2] * 100)
        tree = file.mktree("Events", {name: _uproot_type(values) for name, values in part.items()})
        tree.extend(part)
        tree.extend(part)
        # What uproot writes at the end of each `extend`, of some branches alone.
        writer, sink = tree._cascading, tree._file.sink
        branches = writer._branch_data
        for name, length in lengths.items():
            writer._branch_data = [branch for branch in branches if branch.get("fName") == name]
            writer._num_entries, writer._num_baskets = length, length // 100
            writer.write_updates(sink)
        writer._branch_data, writer._num_entries = [], entries
        writer.write_updates(sink)
    return path


def _arrow(values: Any) -> Any:
    return pa.array(ak.to_list(values), _arrow_type(values))


def _arrow_type(values: Any) -> Any:
    values = ak.Array(values)
    flat = ak.flatten(values, axis=None) if values.ndim > 1 else values
    kind = pa.from_numpy_dtype(ak.to_numpy(flat).dtype)
    return pa.list_(kind) if values.ndim > 1 else kind


def _uproot_type(values: Any) -> Any:
    values = ak.Array(values)
    return values.type.content if values.ndim > 1 else ak.to_numpy(values).dtype


def source(path: Path | str) -> SourceFile:
    """A local file as a listing tells it."""
    found = os.stat(path)
    return SourceFile(str(path), found.st_size, str(found.st_mtime_ns))


def job(settings: StoreSettings | None = None, **given: Any) -> Job:
    """The default cuts, by pieces so small that files have several."""
    return Job(Reduction(Cuts()), settings=settings or StoreSettings(), **{"piece_target": 20_000, **given})


def reduce(
    engine: LocalEngine,
    files: list[SourceFile],
    out: Path | str,
    task: Job | None = None,
    watch: jobs.Watch | None = None,
    **given: Any,
) -> jobs.Finished:
    """Runs a job of one data set, `data`, on an engine that is entered."""
    output = jobs.Output(Folder(str(out), StoreSettings()), **given)
    return jobs.run(engine, [jobs.Dataset("data", tuple(files))], task or job(), output, watch)


def rows(out: Path | str) -> Any:
    """All pairs that a job wrote, as a table sorted by its columns."""
    table = pq.ParquetDataset(Path(out) / "pairs").read()
    return table.sort_by([("mass_gev", "ascending"), ("pt1", "ascending"), ("pt2", "ascending")])
