# SPDX-License-Identifier: Apache-2.0
"""One job from files to results: plan, batches in turn, what is complete kept, the accounts checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import WorkloadError
from ..places import Folder, SourceFile
from .engine import BatchReport, Engine, Job, Progress
from .measured import Measured
from .pieces import FileLayout, batches, fingerprint
from .state import State

@dataclass(frozen=True)
class Dataset:
    """A data set: its files, found, and what they are.

    Attributes:
        kind: ``data`` or ``mc``.
        cross_section_pb: Of simulated data, in picobarn.
    """

    name: str
    files: tuple[SourceFile, ...]
    kind: str = "data"
    cross_section_pb: float | None = None


@dataclass(frozen=True)
class Skipped:
    """A file that was left out. ``events`` is ``None`` where its metadata could not be read."""

    dataset: str
    url: str
    why: str
    events: int | None


@dataclass
class Finished:
    """All that a job came to. ``measured`` is by data set; ``plan`` is what the metadata cost."""

    datasets: tuple[Dataset, ...]
    layouts: list[FileLayout]
    skipped: list[Skipped]
    summaries: dict[str, Any]
    measured: dict[str, Measured]
    plan: Measured
    plan_s: float
    run_s: float
    batches: int
    resumed: int
    versions: dict[str, str] = field(default_factory=dict)


class Watch:
    """Told how far a job is; the command line draws it."""

    def stage(self, name: str, total: int, unit: str) -> Progress:
        """A stage of so many units begins; what is returned counts them."""
        return lambda done: None

    def note(self, text: str) -> None:
        """Something that is worth a line happened."""


@dataclass(frozen=True)
class Output:
    """Where the output goes, and what becomes of what is there.

    Attributes:
        folder: Must be empty, but for:
        resume: It holds this job, which is gone on with.
        overwrite: What is there is removed, once the plan is made.
        batch_target: Bytes to read that are completed at once, about; the engine's default without it.
    """

    folder: Folder
    resume: bool = False
    overwrite: bool = False
    batch_target: int | None = None


def run(engine: Engine, datasets: Sequence[Dataset], job: Job[Any], out: Output | Folder, watch: Watch | None = None) -> Finished:
    """Runs a job.

    Args:
        engine: Where its tasks run; entered.
        out: Where the output goes: a folder alone must be empty.

    Raises:
        BadFile: A file cannot be used, unless ``job.skip``.
        UsageError: The folder is not empty, or holds another job's state.
        WorkloadError: The counts do not add up.
    """
    watch = watch or Watch()
    out = out if isinstance(out, Output) else Output(out)
    began = time.monotonic()
    state = State(out.folder, job.kernel, resume=out.resume, overwrite=out.overwrite)
    inputs = [file.url for dataset in datasets for file in dataset.files]
    state.look(inputs)
    engine.require(out.folder, inputs)
    layouts, skipped = _plan(engine, datasets, job, watch)
    planned = time.monotonic()
    todo = batches(layouts, out.batch_target or engine.batch_target)
    settled = {"cuts": job.kernel.to_dict(), "batches": [len(batch.files) for batch in todo]}
    done = state.begin(fingerprint(layouts, settled), layouts)
    progress = watch.stage(job.kernel.name, sum(layout.entries for layout in layouts), "events")
    reports = []
    for batch in todo:
        report = done.get(batch.number)
        if report is None:
            report = engine.run(batch, job, out.folder, progress)
            state.complete(report)
        else:
            progress(sum(layout.entries for _, layout in batch.files))
        reports.append(report)
    ended = time.monotonic()
    finished = Finished(
        tuple(datasets), layouts, skipped + _skipped(layouts, reports), _sums(datasets, reports, "summaries", job.kernel.empty),
        _sums(datasets, reports, "measured", Measured), engine.measured_plan(), planned - began, ended - planned,
        len(todo), len(done), engine.versions(),
    )
    _check(finished)
    return finished


def _plan(engine: Engine, datasets: Sequence[Dataset], job: Job[Any], watch: Watch) -> tuple[list[FileLayout], list[Skipped]]:
    files = [(dataset.name, file) for dataset in datasets for file in dataset.files]
    progress = watch.stage("plan", len(files), "files")
    layouts: list[FileLayout] = []
    skipped: list[Skipped] = []
    for (name, _), found in zip(files, engine.layouts(files, job, progress), strict=True):
        if isinstance(found, FileLayout):
            layouts.append(found)
        elif job.skip:
            skipped.append(Skipped(name, found.url, found.why, None))
        else:
            raise found
    return layouts, skipped


def _skipped(layouts: list[FileLayout], reports: list[BatchReport]) -> list[Skipped]:
    return [
        Skipped(layouts[number].dataset, layouts[number].url, why, layouts[number].entries)
        for report in reports
        for number, why in sorted(report.skipped.items())
    ]


def _sums(datasets: Sequence[Dataset], reports: list[BatchReport], what: str, empty: Callable[[], Any]) -> dict[str, Any]:
    sums = {dataset.name: empty() for dataset in datasets}
    for report in reports:
        for name, value in getattr(report, what).items():
            sums[name] = sums[name] + value
    return sums


def _check(finished: Finished) -> None:
    """Events in = events out + events cut + events of skipped files, for each data set."""
    for dataset in finished.datasets:
        planned = sum(layout.entries for layout in finished.layouts if layout.dataset == dataset.name)
        left_out = sum(file.events or 0 for file in finished.skipped if file.dataset == dataset.name)
        summary = finished.summaries[dataset.name]
        wrong = summary.check()
        if summary.events + left_out != planned or wrong:
            raise WorkloadError(
                f"data set {dataset.name}: the counts do not add up: {planned} events planned, {summary.events} read, "
                f"{left_out} skipped; {wrong or f'{summary.rows} rows'}. This is a fault of the program"
            )
