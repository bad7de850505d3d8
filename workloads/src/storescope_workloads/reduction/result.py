# SPDX-License-Identifier: Apache-2.0
"""What a job came to, as files: ``result.json``, ``histograms.json``, ``run.hlog`` and ``spectrum.png``.

``result.schema.json`` describes each member of ``result.json``; docs/WORKLOADS.md has it as a table."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata, resources
from typing import Any

from storescope import Snapshot

from .. import __version__
from ..places import Folder, is_store
from . import spectrum
from .cuts import Cuts
from .engine import Job
from .job import Dataset, Finished
from .render import render as render
from .summary import EDGES, Measured, Summary

#: The version of ``result.json`` and ``histograms.json``: another number means that members changed their meaning.
SCHEMA = 1
WORKLOAD = "dimuon-reduction"

_PACKAGES = ("storescope", "uproot", "awkward", "numpy", "pyarrow")


def write(
    out: Folder, finished: Finished, job: Job, engine: str, started: datetime, luminosity_pb: float | None
) -> dict[str, Any]:
    """Writes the files of a job into its output folder and returns what is in ``result.json``.

    Args:
        engine: What ran it, as ``--engine`` names it.
        started: When the command began; with a time zone.
        luminosity_pb: Of the recorded data, in inverse picobarn: simulated events are weighted by it.

    ``result.json`` is written last: where it is, all the others are."""
    from .plot import save_spectrum  # matplotlib takes its time

    told = result(finished, job, engine, started, rows_in(out))
    counts = histograms(finished, luminosity_pb)
    out.write("histograms.json", _json(counts))
    out.write("run.hlog", snapshot(finished).to_hlog().encode())
    with out.open("spectrum.png") as file:
        save_spectrum(counts, file)
    out.write("result.json", _json(told))
    return told


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``result.json``."""
    text = resources.files(__package__).joinpath("result.schema.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Rows:
    """The files of rows of a job, and their bytes."""

    files: int
    bytes: int


def rows_in(out: Folder) -> Rows:
    """What is in a job's ``pairs/``."""
    sizes = [size for name, size in (out / "pairs").sizes().items() if name.endswith(".parquet")]
    return Rows(len(sizes), sum(sizes))


def snapshot(finished: Finished) -> Snapshot:
    """All requests of the job's tasks, plan and work: what ``run.hlog`` holds."""
    return (finished.plan + _sum(finished.measured.values())).snapshot


def result(finished: Finished, job: Job, engine: str, started: datetime, rows: Rows) -> dict[str, Any]:
    """What is in ``result.json``."""
    work = _sum(finished.measured.values())
    where = [_where(dataset, finished.measured[dataset.name]) for dataset in finished.datasets]
    planned = _Where(any(at.some for at in where), all(at.all for at in where))
    worked = replace(planned, unseen=any(at.unseen for at in where))
    summary = sum((finished.summaries[dataset.name] for dataset in finished.datasets), Summary())
    told = [_dataset(finished, dataset, job.cuts) for dataset in finished.datasets]
    return {
        "schema": SCHEMA,
        "workload": WORKLOAD,
        "engine": engine,
        "versions": _versions(finished),
        "host": {"cores": os.cpu_count() or 1, "platform": platform.platform()},
        "started": started.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "options": {"tree": job.tree, "on_error": "skip" if job.skip else "fail", "piece_target": job.piece_target},
        "cuts": job.cuts.to_dict(),
        "datasets": told,
        "events": {name: sum(one["events"][name] for one in told) for name in ("in", "out", "cut", "skipped")},
        "physics": _physics(summary, job.cuts),
        "io": {
            **_io(finished.plan + work, worked),
            "plan": _io(finished.plan, planned),
            "work": _io(work, worked),
        },
        "time": _time(finished, work, summary.flow.events),
        "output": {"files": rows.files, "bytes": rows.bytes},
        "batches": {"all": finished.batches, "resumed": finished.resumed},
    }


def histograms(finished: Finished, luminosity_pb: float | None) -> dict[str, Any]:
    """What is in ``histograms.json``: edges in GeV, and the pairs of each data set between them, below and above."""
    return {
        "schema": SCHEMA,
        "workload": WORKLOAD,
        "unit": "GeV",
        "luminosity_pb": luminosity_pb,
        "edges": {name: edges.tolist() for name, edges in EDGES.items()},
        "datasets": [
            {
                "name": dataset.name,
                "kind": dataset.kind,
                "cross_section_pb": dataset.cross_section_pb,
                "events": finished.summaries[dataset.name].flow.events,
                "weight": weight(dataset, finished.summaries[dataset.name], luminosity_pb),
                "histograms": {name: _histogram(finished.summaries[dataset.name], name) for name in EDGES},
            }
            for dataset in finished.datasets
        ],
    }


def weight(dataset: Dataset, summary: Summary, luminosity_pb: float | None) -> float | None:
    """What a simulated event counts for, as cross-section × luminosity / events read; of recorded data 1.

    ``None`` where one of them is not known. The events read stand for those generated: that holds for samples that were
    not filtered and have no weights of their own: a column such as ``genWeight`` is not read, so that a sample with
    negative weights is normalised wrongly."""
    if dataset.kind != "mc":
        return 1.0
    if dataset.cross_section_pb is None or luminosity_pb is None or summary.flow.events == 0:
        return None
    return dataset.cross_section_pb * luminosity_pb / summary.flow.events


def _histogram(summary: Summary, name: str) -> dict[str, Any]:
    *counts, below, above = summary.histograms[name].tolist()
    return {"counts": counts, "underflow": below, "overflow": above}


def _json(told: dict[str, Any]) -> bytes:
    return (json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _versions(finished: Finished) -> dict[str, str]:
    found = {name: metadata.version(name) for name in _PACKAGES}
    return {"workloads": __version__, "python": platform.python_version(), **found, **finished.versions}


def _sum(measured: Iterable[Measured]) -> Measured:
    return sum(measured, Measured())


@dataclass(frozen=True)
class _Where:
    """Where files are, and whether their requests are known.

    Attributes:
        some: Some of them are in stores.
        all: All of them are.
        unseen: What read them told no request: the engine ``spark-sql`` on a cluster.
    """

    some: bool
    all: bool
    unseen: bool = False


def _where(dataset: Dataset, measured: Measured) -> _Where:
    stored = [is_store(file.url) for file in dataset.files]
    return _Where(any(stored), all(stored), any(stored) and measured.needed > 0 and not measured.snapshot)


def _dataset(finished: Finished, dataset: Dataset, cuts: Cuts) -> dict[str, Any]:
    summary, measured = finished.summaries[dataset.name], finished.measured[dataset.name]
    skipped = [file for file in finished.skipped if file.dataset == dataset.name]
    left_out = sum(file.events or 0 for file in skipped)
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "cross_section_pb": dataset.cross_section_pb,
        "files": {
            "planned": len(dataset.files),
            "read": len(dataset.files) - len(skipped),
            "skipped": [{"url": file.url, "why": file.why, "events": file.events} for file in skipped],
        },
        "events": {
            "in": summary.flow.events + left_out,
            "out": summary.flow.passed,
            "cut": summary.flow.events - summary.flow.passed,
            "skipped": left_out,
        },
        "physics": _physics(summary, cuts),
        "io": _io(measured, _where(dataset, measured)),
    }


def _physics(summary: Summary, cuts: Cuts) -> dict[str, Any]:
    linear, log = summary.histograms["linear"][:-2], summary.histograms["log"][:-2]
    flow = summary.flow
    return {
        "pairs": summary.pairs,
        "mean_mass_gev": summary.mean_mass,
        "peak_gev": spectrum.peak(linear),
        "z_median_gev": spectrum.median(log, (81.0, 101.0)),
        "resonances": [_resonance(seen) for seen in spectrum.resonances(log)],
        "cut_flow": _cut_flow(flow.events, flow.removed, cuts.event_cuts()),
        "muons": {
            "in": flow.muons,
            "out": flow.muons_passed,
            "cut_flow": _cut_flow(flow.muons, flow.muons_removed, cuts.muon_cuts()),
        },
    }


def _cut_flow(passed: int, removed: dict[str, int], cuts: list[str]) -> list[dict[str, Any]]:
    steps = []
    for cut in cuts:
        passed -= removed.get(cut, 0)
        steps.append({"cut": cut, "removed": removed.get(cut, 0), "passed": passed})
    return steps


def _resonance(seen: spectrum.Found) -> dict[str, Any]:
    return {
        "name": seen.resonance.name,
        "mass_gev": seen.resonance.mass,
        "peak_gev": seen.peak,
        "pairs": seen.pairs,
        "background": seen.background,
        "found": seen.found,
    }


def _io(measured: Measured, where: _Where) -> dict[str, Any]:
    known = where.some and not where.unseen
    requests = _requests(measured.snapshot) if known else dict.fromkeys(_REQUESTS)
    received = requests["bytes_received"] if where.all else None
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


_REQUESTS = ("requests", "failures", "bytes_asked", "bytes_received", "bytes_wasted")
_QUANTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def _requests(seen: Snapshot) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in _REQUESTS}


def _first_byte(seen: Snapshot, quantile: float) -> float | None:
    seconds = seen.quantile(quantile)
    return None if seconds is None else seconds * 1e3


def _time(finished: Finished, work: Measured, events: int) -> dict[str, Any]:
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
