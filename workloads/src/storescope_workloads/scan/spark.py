# SPDX-License-Identifier: Apache-2.0
"""The engine ``spark``: the same tasks as everywhere, each a task of Spark, the rows written by Spark's own writer.

::

    tasks ── broadcast ──▶ spark.range(a row for each task) ── mapInArrow(_Reduce) ──▶ rows, a tally for each task  (persisted)
                                                                                         │           │
                                            pairs/batch=NNNNN ◀── rows of good files ────┘           └──▶ BatchReport

A task is a function of its pieces, which name their files' versions: one that is run again, since its executor was lost, gives
the same rows and tally. A tally comes with the rows of the attempt that counted, so that none is added twice. Where a file was
replaced in between, a task that is run again gives fewer rows: those that were written are counted, by their files' footers."""

from __future__ import annotations

import gc
import pickle
import sys
import zipimport
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa  # type: ignore[import-untyped]

from ..errors import BadFile, WorkloadError
from ..places import Folder, SourceFile, is_store
from ..spark import hadoop_url, require_class, spark_errors, stop, versions
from ..tidy import tidying
from ..watched import Told, Watched
from .engine import BatchReport, Job, Progress, batch_folder
from .layout import layouts_of
from .measured import Measured
from .pieces import Batch, FileLayout, Piece, tasks
from .rows import count_rows, fill_empty, row_schema
from .tally import Packed, Tally, batch_report
from .work import TaskReport, work

if TYPE_CHECKING:
    from pyspark import Accumulator, Broadcast, SparkContext
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")

#: Bytes to read that a task has about, at most: what is lost with an executor.
TASK_TARGET = 512 << 20
#: Bytes that a file of rows has about, at most, as rows are in memory.
FILE_TARGET = 256 << 20
#: Files whose layouts one job reads, and one of its tasks, at most.
PLAN_JOB, PLAN_TASK = 20_000, 64
#: The column that holds a task's tally, and is null in rows.
TALLY = "_tally"


class SparkEngine:
    """Runs tasks on the executors of ``spark``, which :func:`storescope_workloads.spark.session` gave.

    Progress is told as tasks end. Counts of requests are those of the attempts that gave the rows: what an attempt read that
    was lost with its executor is in no report."""

    name = "spark"
    batch_target = 256 << 30

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        #: As of now: executors come and go.
        self.slots = self._cores()
        self._planned = Measured()

    def __enter__(self) -> SparkEngine:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.spark)

    def _cores(self) -> int:
        """Cores of the executors that are there now; with dynamic allocation, of all that may come."""
        conf = self._context.getConf()
        cores = self._context.defaultParallelism
        most = conf.get("spark.dynamicAllocation.maxExecutors", "")
        if conf.get("spark.dynamicAllocation.enabled", "false") == "true" and most:
            cores = max(cores, int(most) * int(conf.get("spark.executor.cores", "1") or 1))
        return cores

    def require(self, out: Folder, inputs: Sequence[str]) -> None:
        """Spark writes to a store by the jar; inputs are read by the wheel."""
        with spark_errors():
            require_class(self.spark, out.url)

    def layouts(
        self, files: Sequence[tuple[str, SourceFile]], job: Job[Any], progress: Progress
    ) -> Iterator[FileLayout | BadFile]:
        """The layouts of the files, in their order."""
        for begin in range(0, len(files), PLAN_JOB):
            with spark_errors():
                self.slots = self._cores()
                found = self._plan(files[begin : begin + PLAN_JOB], job, progress)
            yield from found

    def measured_plan(self) -> Measured:
        """What :meth:`layouts` has cost."""
        return self._planned

    def run(self, batch: Batch, job: Job[Any], out: Folder, progress: Progress) -> BatchReport:
        """Reads a batch, and writes its rows when all are there.

        Raises:
            BadFile: A file is at fault, and ``job.skip`` is not set.
            WorkloadError: The store is, or Spark gave up.
        """
        target = batch_folder(out, batch, job.kernel)
        target.clear()
        try:
            with spark_errors():
                self.slots = self._cores()
                return self._run(batch, job, target, progress)
        except BaseException:
            with tidying(f"{target.url} was not cleared"):
                target.clear()
            raise

    def versions(self) -> dict[str, str]:
        """Of Spark, Java and Hadoop."""
        return versions(self.spark)

    def _plan(self, files: Sequence[tuple[str, SourceFile]], job: Job[Any], progress: Progress) -> list[FileLayout | BadFile]:
        share = max(1, min(PLAN_TASK, -(-len(files) // (4 * self.slots))))
        slices = [files[begin : begin + share] for begin in range(0, len(files), share)]
        watched = Watched(self._context, "plan", len(files), progress)
        sent = self._context.broadcast(slices)
        answers = watched.run(self._map(_Plan(sent, job, watched.told), len(slices), _Plan.schema).collect)
        sent.destroy()
        found: list[FileLayout | BadFile] = []
        for layouts, measured in (_unpacked(row[0]) for row in answers):
            found += layouts
            self._planned = self._planned + measured
        watched.rest()
        return found

    def _run(self, batch: Batch, job: Job[Any], target: Folder, progress: Progress) -> BatchReport:
        rounds = max(3, -(-batch.weight // (TASK_TARGET * self.slots)))
        planned = tasks(batch, job.piece_target, self.slots, rounds)
        events = sum(layout.entries for _, layout in batch.files)
        watched = Watched(self._context, f"{job.kernel.name} batch {batch.number}", events, progress)
        sent = self._context.broadcast(planned)
        reduce = _Reduce(sent, job, watched.told)
        made = self._map(reduce, len(planned), reduce.schema).persist()
        try:
            tallies = watched.run(made.where(made[TALLY].isNotNull()).select(TALLY).collect)
            packed: list[Packed] = [pickle.loads(row[0]) for row in tallies]
            report = batch_report(batch.number, packed)
            rows = made.where(made[TALLY].isNull() & ~made["file"].isin(list(report.skipped))).drop(TALLY)
            pairs = sum(summary.rows for summary in report.summaries.values())
            watched.run(lambda: write_rows(rows, target, pairs))
            _check(target, pairs)
            fill_empty(target, (layout.dataset for _, layout in batch.files), job.kernel)
            watched.rest()
            return report
        finally:
            with tidying("Spark holds what is not needed"):
                sent.destroy()
                made.unpersist(blocking=True)

    def _map(self, work: Callable[[Iterable[Any]], Iterable[Any]], count: int, schema: pa.Schema) -> DataFrame:
        from pyspark.sql.pandas.types import from_arrow_schema

        return self.spark.range(0, count, 1, count).mapInArrow(work, from_arrow_schema(schema))

    @property
    def _context(self) -> SparkContext:
        return self.spark.sparkContext


def write_rows(rows: DataFrame, target: Folder, count: int) -> None:
    """Writes rows by Spark's own writer and committer to ``target/dataset=NAME/*.parquet``. What is there goes.

    Args:
        rows: With a column ``dataset``.
        count: How many they are: few rows make few files.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    types = [field.type for field in to_arrow_schema(rows.schema)]
    width = sum(kind.bit_width // 8 if pa.types.is_primitive(kind) else 8 for kind in types)
    files = max(1, -(-count * width // FILE_TARGET))
    # Not coalesce, by which these few tasks would also run again those whose rows were lost.
    rows.repartition(files).write.mode("overwrite").option("compression", "zstd").partitionBy("dataset").parquet(
        hadoop_url(target.url)
    )


def _check(target: Folder, pairs: int) -> None:
    """That all rows are there."""
    found = count_rows(target)
    if found == pairs:
        return
    if is_store(target.url):
        why = "a file was replaced or removed after it was read, and its rows, lost with their executor, could not be made again"
    else:
        why = "a path must be of a disk that the driver and all executors share; or a file was replaced while it was read"
    raise WorkloadError(
        f"{target.url}: {found:,} rows were written of {pairs:,} pairs: {why}. The batch's rows are removed, those of others "
        "kept: run it again with --resume, or anew with --overwrite where an input has changed"
    )


# In an executor.


class _Plan:
    """The numbers of tasks in, the layouts of their files out, and what they cost."""

    schema = pa.schema([("found", pa.binary())])

    def __init__(self, slices: Broadcast[Any], job: Job[Any], told: Accumulator[Told]) -> None:
        self._slices, self._job, self._told = slices, job, told

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                files = self._slices.value[number]
                found = _packed(layouts_of(files, self._job))
                self._told.add((len(files), None))
                yield pa.RecordBatch.from_arrays([pa.array([found], pa.binary())], schema=self.schema)
        _spare_the_next()


class _Reduce:
    """The numbers of tasks in, their rows out, and behind them their tally."""

    def __init__(self, planned: Broadcast[list[list[Piece]]], job: Job[Any], told: Accumulator[Told]) -> None:
        self._planned, self._job, self._told = planned, job, told
        self.rows = row_schema(job.kernel)
        self.schema = self.rows.append(pa.field(TALLY, pa.binary()))

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from self._task(self._planned.value[number])
        _spare_the_next()

    def _task(self, task: list[Piece]) -> Iterator[pa.RecordBatch]:
        tally = Tally(self._job.kernel.empty())
        for told in work(task, self._job):
            tally.add(told)
            if not isinstance(told, TaskReport) and told.rows is not None:
                rows = told.rows.select(self.rows.names).cast(self.rows)
                yield from rows.append_column(TALLY, pa.nulls(len(rows), pa.binary())).to_batches()
        # A bad file is told and is no failure of the task, which Spark would repeat.
        bad = None if self._job.skip else next(iter(tally.bad.values()), None)
        self._told.add((sum(piece.stop - piece.start for piece in task), bad))
        nothing = [pa.nulls(1, field.type) for field in self.rows]
        yield pa.RecordBatch.from_arrays([*nothing, pa.array([pickle.dumps(tally.pack())], pa.binary())], schema=self.schema)


_is_frozen = False


def _spare_the_next() -> None:
    """Spares the next task in this worker what PySpark does between any two, which takes 0.15 s of CPU time.

    It invalidates the caches of imports, upon which Python reads the directory of each zip file on its path anew, Spark's own
    among them; an importer that is not cached is made again from the directory that was read once. And it collects garbage:
    among all modules and what they hold, unless these are frozen."""
    global _is_frozen
    for path, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            del sys.path_importer_cache[path]
    if not _is_frozen:
        gc.collect()
        gc.freeze()
        _is_frozen = True


def _packed(value: Any) -> bytes:
    return zlib.compress(pickle.dumps(value), 1)


def _unpacked(data: bytes) -> Any:
    return pickle.loads(zlib.decompress(data))
