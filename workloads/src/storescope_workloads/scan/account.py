# SPDX-License-Identifier: Apache-2.0
"""What a job came to, as members that each workload's JSON has: ``versions``, ``host``, ``io``, ``time``, ``output``."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from storescope import Snapshot

from .. import __version__
from ..places import Folder, is_store
from .job import Dataset, Finished
from .measured import Measured

_PACKAGES = ("storescope", "uproot", "awkward", "numpy", "pyarrow")


@dataclass(frozen=True)
class Rows:
    """The files of rows of a job, and their bytes."""

    files: int
    bytes: int


def rows_in(folder: Folder) -> Rows:
    """What is in a job's folder of rows."""
    sizes = [size for name, size in folder.sizes().items() if name.endswith(".parquet")]
    return Rows(len(sizes), sum(sizes))


def total(measured: Iterable[Measured]) -> Measured:
    """All of them together."""
    return sum(measured, Measured())


def snapshot(finished: Finished) -> Snapshot:
    """All requests of the job's tasks, plan and work: what ``run.hlog`` holds."""
    return (finished.plan + total(finished.measured.values())).snapshot


def versions(finished: Finished) -> dict[str, str]:
    """Versions of this package, of Python, of libraries, and of what the engine runs on."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    return {"workloads": __version__, "python": platform.python_version(), **found, **finished.versions}


def host() -> dict[str, Any]:
    """The machine of the command."""
    return {"cores": os.cpu_count() or 1, "platform": platform.platform()}


def when(started: datetime) -> str:
    """A time with its zone as JSON has it: in UTC, to the second."""
    return started.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def files(finished: Finished, dataset: Dataset) -> dict[str, Any]:
    """The files of a data set: how many were planned and read, and those that were skipped."""
    skipped = [file for file in finished.skipped if file.dataset == dataset.name]
    return {
        "planned": len(dataset.files),
        "read": len(dataset.files) - len(skipped),
        "skipped": [{"url": file.url, "why": file.why, "events": file.events} for file in skipped],
    }


def skipped_events(finished: Finished, dataset: Dataset) -> int:
    """The events of a data set's files that were skipped, where their metadata could be read."""
    return sum(file.events or 0 for file in finished.skipped if file.dataset == dataset.name)


@dataclass(frozen=True)
class Where:
    """Where files are, and whether their requests are known.

    Attributes:
        some: Some of them are in stores.
        all: All of them are.
        unseen: What read them told no request: the engine ``spark-sql`` on a cluster.
    """

    some: bool
    all: bool
    unseen: bool = False


def where(dataset: Dataset, measured: Measured) -> Where:
    """Where a data set's files are."""
    stored = [is_store(file.url) for file in dataset.files]
    return Where(any(stored), all(stored), any(stored) and measured.needed > 0 and not measured.snapshot)


def io(measured: Measured, at: Where) -> dict[str, Any]:
    """What some reading took: requests, bytes, waiting. Members that are not known are ``None``."""
    known = at.some and not at.unseen
    requests = _requests(measured.snapshot) if known else dict.fromkeys(_REQUESTS)
    received = requests["bytes_received"] if at.all else None
    times = measured.snapshot if known else Snapshot()
    return {
        **requests,
        "bytes_needed": measured.needed,
        "bytes_read": measured.read,
        "over_read": received / measured.needed if received is not None and measured.needed else None,
        "wait_s": measured.wait_s,
        "wait_share": measured.wait_s / measured.wall_s if measured.wall_s else None,
        "first_byte_ms": {name: _first_byte(times, quantile) for name, quantile in _QUANTILES.items()},
    }


def job_io(finished: Finished) -> dict[str, Any]:
    """:func:`io` of the whole job, and of its plan and its work apart."""
    work = total(finished.measured.values())
    at = [where(dataset, finished.measured[dataset.name]) for dataset in finished.datasets]
    planned = Where(any(one.some for one in at), all(one.all for one in at))
    worked = replace(planned, unseen=any(one.unseen for one in at))
    return {**io(finished.plan + work, worked), "plan": io(finished.plan, planned), "work": io(work, worked)}


_REQUESTS = ("requests", "failures", "bytes_asked", "bytes_received", "bytes_wasted")
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def _requests(seen: Snapshot) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in _REQUESTS}


def _first_byte(seen: Snapshot, quantile: float) -> float | None:
    seconds = seen.quantile(quantile)
    return None if seconds is None else seconds * 1e3


def time(finished: Finished, events: int) -> dict[str, Any]:
    """Seconds that the job took, and the rate of its events."""
    work = total(finished.measured.values())
    wall = finished.plan_s + finished.run_s
    whole = finished.resumed == 0 and wall > 0
    return {
        "wall_s": wall,
        "plan_s": finished.plan_s,
        "plan_cpu_s": finished.plan.cpu_s,
        "run_s": finished.run_s,
        "tasks": finished.plan.tasks + work.tasks,
        "task_wall_s": finished.plan.wall_s + work.wall_s,
        "task_cpu_s": finished.plan.cpu_s + work.cpu_s,
        "events_per_s": events / wall if whole else None,
        "events_per_cpu_s": events / work.cpu_s if work.cpu_s else None,
    }
