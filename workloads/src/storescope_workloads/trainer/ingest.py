# SPDX-License-Identifier: Apache-2.0
"""The ingestion as a scan does it: events of Delphes in, features of selected events out; and what a job came to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import awkward as ak  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from numpy.typing import NDArray

from ..places import Folder
from ..scan import account
from ..scan.engine import Job
from ..scan.job import Dataset, Finished
from ..scan.kernel import BadColumn
from .extract import KINDS, event_features, particle_features
from .features import EVENT_FEATURES
from .selection import REASONS, Events, Lists, select

#: The version of ``ingest.json``, its name, and what it names the workload.
SCHEMA = 1
RESULT = "ingest.json"
WORKLOAD = "trigger-ingest"
#: The tree in files of Delphes.
TREE = "Delphes"

#: Events that are worked on at once: so few that their particles are in the processor's caches.
SLICE = 256
#: Bytes to read that a task has at most: its rows take about as many, or twice as many, in its file.
TASK_TARGET = 64 << 20

_MOMENTUM = {"pt": "PT", "eta": "Eta", "phi": "Phi"}
_ENERGY = {"pt": "ET", "eta": "Eta", "phi": "Phi"}
#: The lists of :class:`.selection.Events`: the collection of Delphes, and its members by quantity.
_COLLECTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "tracks": ("EFlowTrack", {**_MOMENTUM, "x": "X", "y": "Y", "z": "Z", "charge": "Charge"}),
    "photons": ("EFlowPhoton", _ENERGY),
    "neutrals": ("EFlowNeutralHadron", _ENERGY),
    "electrons": ("Electron", {**_MOMENTUM, "charge": "Charge"}),
    "muons": ("MuonTight", {**_MOMENTUM, "charge": "Charge"}),
    "jets": ("Jet", {"pt": "PT", "eta": "Eta", "tag": "BTag"}),
    "met": ("MissingET", {"pt": "MET", "phi": "Phi"}),
}
_NUMBERS = re.compile(r"(?:option\[)?(?:var|\d+) \* \??(?:float(?:16|32|64)|u?int(?:8|16|32|64)|bool|unknown)\]?")


@dataclass
class Counts:
    """Counts of some events.

    Attributes:
        events: Events in.
        rows: Events out.
        cut: Events that do not pass, by reason.
        kept: Particles of the events out, by kind.
        cut_off: Particles of them beyond the limits of their kinds.
    """

    events: int = 0
    rows: int = 0
    cut: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    kept: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("lepton", *KINDS), 0))
    cut_off: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def __add__(self, other: Counts) -> Counts:
        sums = {
            name: {key: value + getattr(other, name)[key] for key, value in getattr(self, name).items()}
            for name in ("cut", "kept", "cut_off")
        }
        return Counts(self.events + other.events, self.rows + other.rows, **sums)

    def check(self) -> str | None:
        """What does not add up: a fault of the program."""
        cut = sum(self.cut.values())
        if self.events != self.rows + cut or self.rows != self.kept["lepton"]:
            return f"{self.events} events in, {self.rows} out, {cut} cut, {self.kept['lepton']} leptons"
        return None

    def to_json(self) -> dict[str, Any]:
        """As JSON has it; :meth:`from_json` reads it."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Counts:
        """What :meth:`to_json` wrote."""
        return cls(**told)


@dataclass(frozen=True)
class Ingestion:
    """The kernel (:class:`storescope_workloads.scan.kernel.Kernel`) that selects events and makes their features."""

    name = "ingest"
    advice = "Files as Delphes writes them have all of these: docs/TRAINER.md lists them"
    folder = "events"
    results = frozenset({RESULT, "run.hlog"})
    task_target = TASK_TARGET

    def columns(self) -> list[str]:
        """The branches that are read, by their names in Delphes."""
        return [f"{collection}.{member}" for collection, members in _COLLECTIONS.values() for member in members.values()]

    def check_types(self, types: Mapping[str, str]) -> None:
        """Each must be a list of numbers for each event."""
        for name in self.columns():
            if name not in types:
                raise BadColumn(f"there is no column {name}")
            if not _NUMBERS.fullmatch(types[name]):
                raise BadColumn(
                    f"the column {name} has the type {types[name]}, but must be a list of numbers for each event, such as "
                    "var * float32"
                )

    def apply(self, events: ak.Array, start: int) -> tuple[pa.Table, Counts]:
        """The rows of the events that pass, and counts of all."""
        self.check_types({name: str(events[name].type.content) for name in events.fields})
        every = Events(**{name: _lists(events, *found) for name, found in _COLLECTIONS.items()})
        tables, counts = [self.schema().empty_table()], Counts()
        for part in every.slices(SLICE):
            table, told = _rows(part, start + counts.events)
            tables.append(table)
            counts += told
        return pa.concat_tables(tables), counts

    def schema(self) -> pa.Schema:
        """``entry``: the event's number in its file; ``hlf``: its features; ``particles``: n × 19 values of n particles."""
        return pa.schema(
            [
                ("entry", pa.int64()),
                ("hlf", pa.list_(pa.float32(), len(EVENT_FEATURES))),
                ("particles", pa.list_(pa.float32())),
            ]
        )

    def empty(self) -> Counts:
        """Of no events."""
        return Counts()

    def sum_from_json(self, told: dict[str, Any]) -> Counts:
        """See :meth:`Counts.from_json`."""
        return Counts.from_json(told)

    def to_dict(self) -> dict[str, Any]:
        """The version of the selection and the features."""
        return {"ingest": SCHEMA}

    def sample(self) -> ak.Array:
        """An event that passes."""
        made = {}
        for number, (collection, members) in enumerate(_COLLECTIONS.values()):
            for quantity, member in members.items():
                value = {"pt": 50.0, "eta": 0.7 * number}.get(quantity, 1.0)
                made[f"{collection}.{member}"] = np.array([[value]], np.float32)
        return ak.Array(made)


def _lists(events: ak.Array, collection: str, members: dict[str, str]) -> Lists:
    """A collection of some events, as flat arrays of float32. A null list is an empty one, a null value is NaN."""
    counts: NDArray[np.int64] | None = None
    values = {}
    first = ""
    for quantity, member in members.items():
        name = f"{collection}.{member}"
        own = np.asarray(ak.to_numpy(ak.fill_none(ak.num(events[name], axis=1), 0))).astype(np.int64, copy=False)
        if counts is None:
            counts, first = own, name
        elif not np.array_equal(own, counts):
            at = int(np.flatnonzero(own != counts)[0])
            raise BadColumn(
                f"the columns {first} and {name} have {counts[at]} and {own[at]} values in one event; they must have as many"
            )
        values[quantity] = _floats(ak.flatten(events[name], axis=1))
    assert counts is not None
    return Lists(counts, values)


def _floats(array: ak.Array) -> NDArray[np.float32]:
    found: NDArray[Any] = ak.to_numpy(array)
    with np.errstate(over="ignore"):
        if isinstance(found, np.ma.MaskedArray):
            return np.ma.filled(found.astype(np.float32), np.float32(np.nan))
        return found.astype(np.float32, copy=False)


def _rows(events: Events, start: int) -> tuple[pa.Table, Counts]:
    selected = select(events)
    hlf, particles = event_features(selected), particle_features(selected)
    good: NDArray[np.bool_] = np.asarray(np.isfinite(hlf).all(axis=1))
    if not (good.all() and np.isfinite(particles.features).all()):
        owners = np.repeat(np.arange(len(good)), particles.counts)
        good[owners[~np.isfinite(particles.features).all(axis=1)]] = False
        selected.cut["overflow"] = int(np.count_nonzero(~good))
        selected = selected.of(good)
        hlf, particles = event_features(selected), particle_features(selected)
    ends = np.concatenate([[0], np.cumsum(particles.counts * particles.features.shape[1])]).astype(np.int32)
    table = pa.table(
        {
            "entry": pa.array(start + selected.numbers, pa.int64()),
            "hlf": pa.FixedSizeListArray.from_arrays(pa.array(hlf.ravel(), pa.float32()), hlf.shape[1]),
            "particles": pa.ListArray.from_arrays(pa.array(ends), pa.array(particles.features.ravel(), pa.float32())),
        }
    )
    return table, Counts(len(events), len(table), selected.cut, particles.kept, particles.cut_off)


# What a job came to.


def write(out: Folder, finished: Finished, job: Job[Ingestion], engine: str, started: datetime) -> dict[str, Any]:
    """Writes ``run.hlog`` and, last, ``ingest.json`` into a job's output folder; returns what is in the latter."""
    told = result(finished, job, engine, started, account.rows_in(out / job.kernel.folder))
    out.write("run.hlog", account.snapshot(finished).to_hlog().encode())
    out.write(RESULT, (json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
    return told


def result(finished: Finished, job: Job[Ingestion], engine: str, started: datetime, rows: account.Rows) -> dict[str, Any]:
    """What is in ``ingest.json``."""
    counts = sum((finished.summaries[dataset.name] for dataset in finished.datasets), Counts())
    told = [_class(finished, dataset) for dataset in finished.datasets]
    return {
        "schema": SCHEMA,
        "workload": WORKLOAD,
        "engine": engine,
        "versions": account.versions(finished),
        "host": account.host(),
        "started": account.when(started),
        "options": {"tree": job.tree, "on_error": "skip" if job.skip else "fail", "piece_target": job.piece_target},
        "classes": told,
        "events": {name: sum(one["events"][name] for one in told) for name in ("in", "out", "cut", "skipped")},
        "particles": {"kept": counts.kept, "cut_off": counts.cut_off},
        "io": account.job_io(finished),
        "time": account.time(finished, counts.events),
        "output": {"files": rows.files, "bytes": rows.bytes},
        "batches": {"all": finished.batches, "resumed": finished.resumed},
    }


def _class(finished: Finished, dataset: Dataset) -> dict[str, Any]:
    counts: Counts = finished.summaries[dataset.name]
    measured = finished.measured[dataset.name]
    left_out = account.skipped_events(finished, dataset)
    return {
        "name": dataset.name,
        "files": account.files(finished, dataset),
        "events": {
            "in": counts.events + left_out,
            "out": counts.rows,
            "cut": sum(counts.cut.values()),
            "skipped": left_out,
        },
        "cut_flow": cut_flow(counts),
        "particles": {"kept": counts.kept, "cut_off": counts.cut_off},
        "io": account.io(measured, account.where(dataset, measured)),
    }


def cut_flow(counts: Counts) -> list[dict[str, Any]]:
    """Each reason in its order, the events that it cut, and those that were left."""
    left, steps = counts.events, []
    for reason in REASONS:
        left -= counts.cut[reason]
        steps.append({"cut": reason, "removed": counts.cut[reason], "passed": left})
    return steps
