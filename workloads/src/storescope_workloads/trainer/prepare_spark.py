# SPDX-License-Identifier: Apache-2.0
"""The engine ``spark`` of ``trainer prepare``: the same work in tasks of Spark, the events on their way in its shuffle.

::

    tasks ── sort ──▶ (shard, block)…  ── shuffle by shard ──▶ a partition for each shard ── write ──▶ files
                  └─▶ (last, Sorted)   ──────────────────────▶ one more partition: what the tasks came to

The last partition is read first: Spark runs all tasks of ``sort`` for it, and keeps what they shuffled. The scalers are made of it, and
the other partitions are read with them. A task that is run again gives the same, and a shard that is written again is the same."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]

from ..errors import WorkloadError
from ..scan.engine import Progress
from ..scan.measured import Measured
from ..spark import attempt_name, spark_errors, stop, versions
from ..watched import Told, Watched
from .choice import Choice
from .events import Events
from .prepare_input import Input
from .prepare_work import Block, Job, Part, Sorted, Surveyed, Written, sort, survey, write
from .shards import Scalers, row_schema

if TYPE_CHECKING:
    from pyspark import RDD, Accumulator, SparkContext
    from pyspark.sql import SparkSession

T = TypeVar("T")

#: Bytes of a block, which a task cuts into one piece for each shard.
BLOCK = 8 << 20


class SparkEngine:
    """Runs tasks on the executors of ``spark``, which :func:`storescope_workloads.spark.session` gave; for a ``with``.

    Needs no jar: files are read and written by the wheel. An executor's Python holds some blocks of 8 MiB for each core, or a shard
    twice; Spark's own disks hold the chosen events."""

    name = "spark"

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.slots = spark.sparkContext.defaultParallelism
        self._moved: Any = None

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.spark)

    def survey(self, groups: Sequence[Sequence[Input]], job: Job, progress: Progress) -> Iterator[tuple[int, list[Surveyed], Measured]]:
        """What the files of each group hold: the number of the group, its files, the cost."""
        watched = Watched(self._context, "prepare: survey", sum(len(group) for group in groups), progress)
        rdd = self._numbers(len(groups)).map(_Survey(self._context.broadcast(groups), job, watched.told))
        answers = watched.run(rdd.collect)
        watched.rest()
        for number, answer in enumerate(answers):
            found, measured = pickle.loads(answer)
            yield number, found, measured

    def sort(self, tasks: Sequence[Sequence[Part]], job: Job, choice: Choice, progress: Progress) -> Sorted:
        """Sorts all events by their shards, in Spark's shuffle."""
        events = sum(part.events for task in tasks for part in task)
        watched = Watched(self._context, "prepare: sort", events, progress)
        work = _Sort(self._context.broadcast((tasks, choice)), job, choice.shards, watched.told)
        self._moved = self._numbers(len(tasks)).flatMap(work).partitionBy(choice.shards + 1, _same)
        answers = watched.run(lambda: self._context.runJob(self._moved, _values, [choice.shards]))
        watched.rest()
        if len(answers) != len(tasks):
            raise WorkloadError(f"{len(answers)} of {len(tasks)} tasks told what they came to. This is a fault of the program")
        return sum((pickle.loads(answer) for answer in answers), Sorted())

    def write(self, job: Job, choice: Choice, scalers: Scalers, progress: Progress) -> list[Written]:
        """Writes all shards; in the order of their numbers."""
        watched = Watched(self._context, "prepare: write", sum(choice.events.values()), progress)
        work = _Write(self._context.broadcast(choice), job, scalers, watched.told)
        answers = watched.run(lambda: self._context.runJob(self._moved, work, list(range(choice.shards))))
        watched.rest()
        return sorted(answers, key=lambda one: one.number)

    def stop(self) -> None:
        """Nothing to do: jobs that fail or are interrupted have ended."""

    def versions(self) -> dict[str, str]:
        """Of Spark, Java and Hadoop."""
        return versions(self.spark)

    def _numbers(self, count: int) -> RDD[int]:
        return self._context.parallelize(range(count), count)

    @property
    def _context(self) -> SparkContext:
        return self.spark.sparkContext


# In an executor.


class _Task:
    """What a task does. An error that the user can act on is told, and is no failure, which Spark would repeat."""

    def __init__(self, sent: Any, job: Job, told: Accumulator[Told]) -> None:
        self._sent, self._job, self._told = sent, job, told

    def _tell(self, done: int) -> None:
        self._told.add((done, None))

    def _fail(self, error: WorkloadError) -> None:
        self._told.add((0, error))


class _Survey(_Task):
    """The number of a group in, what its files hold out."""

    def __call__(self, number: int) -> bytes:
        group = self._sent.value[number]
        try:
            found = survey(group, self._job)
        except WorkloadError as error:
            self._fail(error)
            return b""
        self._tell(len(group))
        return pickle.dumps(found)


class _Sort(_Task):
    """The number of a task in; blocks by the numbers of their shards out, and what the task came to by the number after these."""

    def __init__(self, sent: Any, job: Job, last: int, told: Accumulator[Told]) -> None:
        super().__init__(sent, job, told)
        self._last = last

    def __call__(self, number: int) -> Iterator[tuple[int, bytes]]:
        tasks, choice = self._sent.value
        try:
            for made in sort(tasks[number], self._job, choice, BLOCK):
                if isinstance(made, Block):
                    yield from _pieces(made)
                else:
                    yield self._last, pickle.dumps(made)
        except WorkloadError as error:
            self._fail(error)
            return
        self._tell(sum(part.events for part in tasks[number]))


def _pieces(block: Block) -> Iterator[tuple[int, bytes]]:
    batch, shards = block.events.to_batch(), block.shards
    borders = [0, *((shards[1:] != shards[:-1]).nonzero()[0] + 1).tolist(), len(shards)]
    for start, stop in zip(borders, borders[1:], strict=False):
        yield int(shards[start]), batch.slice(start, stop - start).serialize().to_pybytes()


class _Write(_Task):
    """A partition of a shard's blocks in, the shard written and told."""

    def __init__(self, sent: Any, job: Job, scalers: Scalers, told: Accumulator[Told]) -> None:
        super().__init__(sent, job, told)
        self._scalers = scalers

    def __call__(self, blocks: Iterable[tuple[int, bytes]]) -> Iterator[Written]:
        schema = row_schema(self._job.max_particles > 0)
        number, parts = -1, []
        for number, block in blocks:
            parts.append(Events.from_batch(pa.ipc.read_record_batch(pa.py_buffer(block), schema)))
        try:
            written = write(number, parts, replace(self._job, attempt=attempt_name()), self._sent.value, self._scalers)
        except WorkloadError as error:
            self._fail(error)
            return
        self._tell(written.shard.count)
        yield written


def _same(key: int) -> int:
    return key


def _values(records: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    return (value for _, value in records)
