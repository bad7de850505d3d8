# SPDX-License-Identifier: Apache-2.0
"""What a job came to, as files: ``result.json``, ``histograms.json``, ``run.hlog`` and ``spectrum.png``.

``result.schema.json`` describes each member of ``result.json``; docs/WORKLOADS.md has it as a table."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from typing import Any

from ..places import Folder
from ..scan import account
from ..scan.account import Rows, rows_in, snapshot
from ..scan.engine import Job
from ..scan.job import Dataset, Finished
from . import spectrum
from .cuts import Cuts
from .kernel import Reduction
from .render import render as render
from .summary import EDGES, Summary

#: The version of ``result.json`` and ``histograms.json``: another number means that members changed their meaning.
SCHEMA = 1
WORKLOAD = "dimuon-reduction"


def write(
    out: Folder, finished: Finished, job: Job[Reduction], engine: str, started: datetime, luminosity_pb: float | None
) -> dict[str, Any]:
    """Writes the files of a job into its output folder and returns what is in ``result.json``.

    Args:
        engine: What ran it, as ``--engine`` names it.
        started: When the command began; with a time zone.
        luminosity_pb: Of the recorded data, in inverse picobarn: simulated events are weighted by it.

    ``result.json`` is written last: where it is, all the others are."""
    from .plot import save_spectrum  # matplotlib takes its time

    told = result(finished, job, engine, started, rows_in(out / job.kernel.folder))
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


def result(finished: Finished, job: Job[Reduction], engine: str, started: datetime, rows: Rows) -> dict[str, Any]:
    """What is in ``result.json``."""
    summary = sum((finished.summaries[dataset.name] for dataset in finished.datasets), Summary())
    told = [_dataset(finished, dataset, job.kernel.cuts) for dataset in finished.datasets]
    return {
        "schema": SCHEMA,
        "workload": WORKLOAD,
        "engine": engine,
        "versions": account.versions(finished),
        "host": account.host(),
        "started": account.when(started),
        "options": {"tree": job.tree, "on_error": "skip" if job.skip else "fail", "piece_target": job.piece_target},
        "cuts": job.kernel.cuts.to_dict(),
        "datasets": told,
        "events": {name: sum(one["events"][name] for one in told) for name in ("in", "out", "cut", "skipped")},
        "physics": _physics(summary, job.kernel.cuts),
        "io": account.job_io(finished),
        "time": account.time(finished, summary.flow.events),
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


def _dataset(finished: Finished, dataset: Dataset, cuts: Cuts) -> dict[str, Any]:
    summary, measured = finished.summaries[dataset.name], finished.measured[dataset.name]
    left_out = account.skipped_events(finished, dataset)
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "cross_section_pb": dataset.cross_section_pb,
        "files": account.files(finished, dataset),
        "events": {
            "in": summary.flow.events + left_out,
            "out": summary.flow.passed,
            "cut": summary.flow.events - summary.flow.passed,
            "skipped": left_out,
        },
        "physics": _physics(summary, cuts),
        "io": account.io(measured, account.where(dataset, measured)),
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
