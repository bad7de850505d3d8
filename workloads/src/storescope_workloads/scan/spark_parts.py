# SPDX-License-Identifier: Apache-2.0
"""The engine ``spark`` for rows that are large: each task of Spark writes its own file, by the wheel.

::

    parts ── broadcast ──▶ spark.range(a row for each part) ── mapInArrow(_Write) ──▶ a tally for each part ──▶ BatchReport
                                                                  │
                                                                  └──▶ events/batch=NNNNN/dataset=NAME/part-NNNNN.parquet

:mod:`.spark` holds rows in Spark's memory and disks until it knows which of them count, and writes them by Spark's writer. That
is right for rows that are few and small. Here no row passes through Spark: nothing is shuffled or persisted, and no jar is
needed. A part that is run again, since its executor was lost or by speculation, replaces its file with the same bytes."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]

from ..errors import WorkloadError
from ..places import Folder, is_store
from ..spark import attempt_name
from ..tidy import tidying
from ..watched import Told, Watched
from .engine import BatchReport, Job, Progress
from .parts import Part, PartResult, finish, parts_of, run_part
from .pieces import Batch
from .rows import count_rows
from .spark import TASK_TARGET, SparkEngine, _spare_the_next

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast


class SparkPartsEngine(SparkEngine):
    """Runs parts on the executors of ``spark``, which :func:`storescope_workloads.spark.session` gave."""

    def require(self, out: Folder, inputs: Sequence[str]) -> None:
        """The wheel reads and writes all there is, in the executors."""

    def _run(self, batch: Batch, job: Job[Any], target: Folder, progress: Progress) -> BatchReport:
        parts = parts_of(batch, job, self.slots, TASK_TARGET)
        events = sum(part.events for part in parts)
        watched = Watched(self._context, f"{job.kernel.name} batch {batch.number}", events, progress)
        sent = self._context.broadcast(parts)
        write = _Write(sent, job, target, watched.told)
        try:
            answers = watched.run(self._map(write, len(parts), write.schema).collect)
        finally:
            with tidying("Spark holds what is not needed"):
                sent.destroy()
        results: dict[int, PartResult] = {number: pickle.loads(result) for number, result in answers}
        if results.keys() != set(range(len(parts))):
            told = f"{len(results)} of {len(parts)} parts were told of"
            raise WorkloadError(f"{target.url}: {told}. This is a fault of the program")
        ordered = [results[number] for number in range(len(parts))]
        _remove_strange(target, {part.name for part, result in zip(parts, ordered, strict=True) if result.has_rows})
        report = finish(batch, parts, ordered, job, target)
        _check(target, sum(summary.rows for summary in report.summaries.values()))
        watched.rest()
        return report


def _remove_strange(target: Folder, names: set[str]) -> None:
    """Removes what attempts have left that were killed while they wrote to a disk."""
    for name in target.files():
        if name not in names:
            with tidying(f"{target.path(name)} was not removed"):
                target.remove(name)


def _check(target: Folder, rows: int) -> None:
    """That all rows are where the driver looks."""
    found = count_rows(target)
    if found == rows:
        return
    if is_store(target.url):
        why = "another job writes to this folder, or files were removed from it"
    else:
        why = "a path must be of a disk that the driver and all executors share"
    raise WorkloadError(
        f"{target.url}: {found:,} rows are there of {rows:,} that were written: {why}. The batch's rows are removed, those of "
        "others kept: run it again with --resume"
    )


# In an executor.


class _Write:
    """The numbers of parts in; each one's file is written, and its number and result come out."""

    schema = pa.schema([("number", pa.int64()), ("result", pa.binary())])

    def __init__(self, parts: Broadcast[list[Part]], job: Job[Any], target: Folder, told: Accumulator[Told]) -> None:
        self._parts, self._job, self._target, self._told = parts, job, target, told

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        attempt = attempt_name()
        for batch in batches:
            for number in batch.column(0).to_pylist():
                part = self._parts.value[number]
                result = run_part(part, self._job, self._target, attempt=attempt)
                # A bad file is told and is no failure of the task, which Spark would repeat.
                bad = None if self._job.skip else next(iter(result.tally.bad.values()), None)
                self._told.add((part.events, bad))
                answer = [pa.array([number], pa.int64()), pa.array([pickle.dumps(result)], pa.binary())]
                yield pa.RecordBatch.from_arrays(answer, schema=self.schema)
        _spare_the_next()
