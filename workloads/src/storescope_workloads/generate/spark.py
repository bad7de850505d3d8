# SPDX-License-Identifier: Apache-2.0
"""Files of a sample written by Spark's tasks, one each. Spark 3.5 and 4.x."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa  # type: ignore[import-untyped]

from ..places import Folder
from ..spark import attempt_name
from ..watched import run_watched
from .job import Progress, Written, write_file
from .samples import AnySample

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession


def run_spark(sample: AnySample, out: Folder, spark: SparkSession, progress: Progress) -> list[Written]:
    """Writes all files by tasks; returns them in the order of their numbers. A task that is repeated replaces its file.

    Args:
        spark: A session whose executors have this package (:func:`storescope_workloads.spark.session`).

    Raises:
        WorkloadError: A task failed at last. Files that were complete by then stay.
    """
    numbers = spark.range(0, sample.count, 1, sample.count)
    written = numbers.mapInArrow(functools.partial(_task, sample, out), "number long, events long, bytes long")
    followed = _Followed(spark.sparkContext, sample, progress)
    rows = run_watched(spark.sparkContext, f"generate {sample.kind}", written.collect, followed.look)
    followed.tell(sample.count)
    return sorted((Written(*row) for row in rows), key=lambda one: one.number)


def _task(sample: AnySample, out: Folder, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for number in batch.column(0).to_pylist():
            one = write_file(sample, number, out, attempt=attempt_name())
            columns = {"number": [one.number], "events": [one.events], "bytes": [one.bytes]}
            yield pa.RecordBatch.from_pydict(columns)


class _Followed:
    """Tells the events of the tasks that have ended."""

    def __init__(self, context: SparkContext, sample: AnySample, progress: Progress) -> None:
        self._context, self._sample, self._progress = context, sample, progress
        self._told = 0

    def look(self, group: str) -> None:
        """Counts the tasks of a group of jobs."""
        tracker = self._context.statusTracker()
        jobs = [job for number in tracker.getJobIdsForGroup(group) if (job := tracker.getJobInfo(number))]
        stages = [stage for job in jobs for number in job.stageIds if (stage := tracker.getStageInfo(number))]
        self.tell(sum(stage.numCompletedTasks for stage in stages))

    def tell(self, tasks: int) -> None:
        """So many have ended."""
        events = self._sample.span(tasks - 1)[1] if tasks else 0
        self._progress(events - self._told)
        self._told = events
