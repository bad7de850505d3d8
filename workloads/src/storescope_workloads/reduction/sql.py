# SPDX-License-Identifier: Apache-2.0
"""The engine ``spark-sql``: the same cuts as SQL over parquet, which Spark reads itself, from stores through the jar.

::

    parquet ── events ── selected ── paired ──▶ observed: counts by cut
                                        └─────▶ pairs ──▶ pairs/batch=NNNNN/dataset=NAME ──▶ grouped by bin: histograms

One job for each data set of a batch writes its rows; the counts come with it. The histograms are counted from the rows
as they were written, and must agree with the counts. No event and no row passes through Python, and the executors need
none: the plan is made in this process."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
from storescope import Snapshot

from ..errors import BadFile, UsageError, WorkloadError
from ..places import Folder, SourceFile, find, scheme_of
from ..scan.engine import BatchReport, Job, Progress, batch_folder
from ..scan.layout import layouts_of
from ..scan.measured import Measured
from ..scan.pieces import Batch, FileLayout
from ..settings import StoreSettings
from ..spark import failure, hadoop_url, jar_statistics, require_class, spark_errors, stop, versions
from ..tidy import tidying
from . import sql_text
from .cuts import Cuts
from .kernel import Reduction
from .physics import check_types
from .summary import EDGES, CutFlow, Summary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

#: Files whose layouts are read before the first is passed on.
PLAN_CHUNK = 512
#: Files whose versions are asked for at once.
THREADS = 16


class SqlEngine:
    """Runs SQL on ``spark``, which :func:`storescope_workloads.spark.session` gave.

    Files that are bad in the plan are left out with ``job.skip``; one that fails while it is read ends the job in any
    case, since Spark's readers cannot leave out a file as a whole."""

    name = "spark-sql"
    batch_target = 256 << 30

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self._session = _exact(spark)
        self.slots = spark.sparkContext.defaultParallelism
        self._planned = Measured()

    def __enter__(self) -> SqlEngine:
        return self

    def __exit__(self, *_: object) -> None:
        stop(self.spark)

    def require(self, out: Folder, inputs: Sequence[str]) -> None:
        """Spark reads and writes stores by the jar."""
        with spark_errors():
            for url in {scheme_of(url): url for url in (*inputs, out.url)}.values():
                require_class(self.spark, url)

    def layouts(
        self, files: Sequence[tuple[str, SourceFile]], job: Job[Reduction], progress: Progress
    ) -> Iterator[FileLayout | BadFile]:
        """The layouts of the files, in their order. Only parquet can be read.

        Raises:
            UsageError: A file is a ROOT file.
        """
        for start in range(0, len(files), PLAN_CHUNK):
            found, measured = layouts_of(files[start : start + PLAN_CHUNK], job)
            self._planned = self._planned + measured
            progress(len(found))
            for layout in found:
                if isinstance(layout, FileLayout) and layout.format != "parquet":
                    raise UsageError(
                        f"{layout.url}: is a {layout.format}; --engine spark-sql reads parquet alone, spark and local both"
                    )
                yield layout

    def measured_plan(self) -> Measured:
        """What :meth:`layouts` has cost."""
        return self._planned

    def run(self, batch: Batch, job: Job[Reduction], out: Folder, progress: Progress) -> BatchReport:
        """Reads a batch and writes its rows, one data set after the other.

        Raises:
            BadFile: A file is bad, or was replaced since it was planned.
            WorkloadError: The store is at fault, or Spark gave up.
        """
        target = batch_folder(out, batch, job.kernel)
        target.clear()
        try:
            with spark_errors():
                return self._run(batch, job, target, progress)
        except BaseException:
            with tidying(f"{target.url} was not cleared"):
                target.clear()
            raise

    def versions(self) -> dict[str, str]:
        """Of Spark, Java and Hadoop."""
        return versions(self.spark)

    def _run(self, batch: Batch, job: Job[Reduction], target: Folder, progress: Progress) -> BatchReport:
        report = BatchReport(batch.number, {}, {}, {})
        _check_versions(batch, job.settings)
        for name, files in groupby(batch.files, key=lambda numbered: numbered[1].dataset):
            numbered = list(files)
            before = jar_statistics(self.spark)
            work = _Work(self._session, job.kernel.cuts, numbered, target / f"dataset={name}")
            report.summaries[name] = report.summaries.get(name, Summary()) + work.run()
            measured = work.measured(before, jar_statistics(self.spark))
            report.measured[name] = report.measured.get(name, Measured()) + measured
            progress(sum(layout.entries for _, layout in numbered))
        _check_versions(batch, job.settings)
        return report


def _exact(spark: SparkSession) -> SparkSession:
    """The same session, settings and all, in which names of columns that differ in case are two names. What else runs in
    the user's session does not see it."""
    made = type(spark)(spark.sparkContext, spark._jsparkSession.cloneSession())
    made.conf.set("spark.sql.caseSensitive", "true")
    return made


def _check_versions(batch: Batch, settings: StoreSettings) -> None:
    """That files are as they were planned: Spark opens whatever is there. Asked before and after they are read."""

    def check(layout: FileLayout) -> None:
        try:
            now = find(layout.url, settings)[0]
        except UsageError as error:
            raise BadFile(layout.url, "is gone since it was listed") from error
        if (now.size, now.version) != (layout.size, layout.version):
            raise BadFile(layout.url, "was replaced since it was listed")

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(check, [layout for _, layout in batch.files]):
            pass


class _Work:
    """The files of one data set in a batch, read, cut and written by Spark."""

    def __init__(
        self, spark: SparkSession, cuts: Cuts, files: Sequence[tuple[int, FileLayout]], target: Folder
    ) -> None:
        self._spark = spark
        self._cuts = cuts
        self._files = files
        self._target = hadoop_url(target.url)
        self._began = time.perf_counter()
        self._group = f"storescope-{uuid.uuid4().hex}"

    def run(self) -> Summary:
        """Writes the rows and counts them."""
        from pyspark.errors import PySparkException
        from py4j.protocol import Py4JError  # type: ignore[import-untyped]

        context = self._spark.sparkContext
        context.setJobGroup(self._group, f"storescope-workloads: {self._files[0][1].dataset}", interruptOnCancel=True)
        try:
            flow = self._write()
            return self._summary(flow)
        except (PySparkException, Py4JError) as error:
            raise self._blamed(error) from error
        finally:
            context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]

    def _write(self) -> CutFlow:
        from pyspark.sql import Observation
        from pyspark.sql.functions import expr

        frame = self._events()
        for step in [*sql_text.selected(self._cuts), *sql_text.paired(self._cuts)]:
            frame = frame.selectExpr("*", *step)
        observed = Observation()
        totals = sql_text.totals(self._cuts)
        frame = frame.observe(observed, *(expr(value).alias(name) for name, value in totals.items()))
        condition, columns = sql_text.pairs(self._cuts)
        rows = frame.where(condition).selectExpr(*columns)
        rows.write.mode("overwrite").option("compression", "zstd").parquet(self._target)
        return _flow(self._cuts, {name: int(value or 0) for name, value in observed.get.items()})

    def _events(self) -> DataFrame:
        """The events of all files, read with the types of each: Spark takes those of one file for all that it reads."""
        alike: dict[str, list[tuple[int, FileLayout]]] = {}
        for number, layout in self._files:
            alike.setdefault(layout.types, []).append((number, layout))
        frames = [self._events_of(files) for files in alike.values()]
        return reduce(lambda one, other: one.union(other), frames)

    def _events_of(self, files: Sequence[tuple[int, FileLayout]]) -> DataFrame:
        """The events of files whose columns are of the same types."""
        reader = self._spark.read.option("mergeSchema", "false")
        frame = reader.parquet(*(_escaped(hadoop_url(layout.url)) for _, layout in files))
        read = {_unquoted(url): url for url in frame.inputFiles()}
        numbers = {_slashed(hadoop_url(layout.url)): number for number, layout in files}
        for _, layout in files:
            if _slashed(hadoop_url(layout.url)) not in read:
                raise BadFile(layout.url, "is not read by Spark: to it, names that begin with _ or . are hidden")
        check_types({field.name: sql_text.datashape(field.dataType.jsonValue()) for field in frame.schema}, self._cuts)
        inputs = sql_text.inputs(self._cuts)
        if len(numbers) == 1:
            numbered = frame.selectExpr(*inputs, f"{next(iter(numbers.values()))} AS file")
        else:
            named = [(url, numbers[plain]) for plain, url in read.items()]
            numbered = frame.selectExpr(*inputs, "input_file_name() AS url").join(_broadcast(self._spark, named), "url")
        return numbered.selectExpr(*sql_text.events(self._cuts))

    def _summary(self, flow: CutFlow) -> Summary:
        """The histograms of the rows that were written."""
        summary = Summary.of(flow, np.empty(0))
        if flow.passed == 0:
            return summary
        rows = self._spark.read.schema("mass_gev DOUBLE").parquet(self._target)
        binned = rows.selectExpr("mass_gev", *sql_text.bins(EDGES)).groupBy(*EDGES)
        found = binned.agg({"mass_gev": "sum", "*": "count"}).collect()
        counted = sum(row["count(1)"] for row in found)
        if counted != flow.passed:
            raise WorkloadError(f"{self._target}: holds {counted} rows, but {flow.passed} events passed all cuts")
        for name, edges in EDGES.items():
            for row in found:
                summary.histograms[name][_place(row[name], len(edges) - 1)] += row["count(1)"]
        summary.mass_sums = [math.fsum(row["sum(mass_gev)"] for row in found)]
        return summary

    def measured(self, before: Snapshot | None, after: Snapshot | None) -> Measured:
        """What the two jobs cost. Requests, and what is counted by them, are those of the jar in this JVM; on a cluster
        the executors' JVMs make them, and they are not here. Writing the rows, and reading them again, is in it."""
        stages = _stages(self._spark, self._group)
        snapshot = Snapshot() if before is None or after is None else after.since(before)
        return Measured(
            tasks=sum(stage.numCompleteTasks() for stage in stages),
            wall_s=sum(stage.executorRunTime() for stage in stages) / 1e3,
            cpu_s=sum(stage.executorCpuTime() for stage in stages) / 1e9,
            wait_s=snapshot.caller_wait,
            needed=sum(layout.needed for _, layout in self._files),
            read=snapshot.bytes_asked,
            snapshot=snapshot,
        )

    def _blamed(self, error: Exception) -> WorkloadError:
        """The file that Spark names in its error, or the job."""
        told = str(error)
        if fault := sql_text.fault_in(told):
            return BadFile(dict(self._files)[fault[0]].url, fault[1])
        named = re.search(r"Encountered error while reading file:? (\S+?)\.?\s", told)
        by_url = {_slashed(hadoop_url(layout.url)): layout.url for _, layout in self._files}
        url = by_url.get(_unquoted(named[1])) if named else None
        if url is None:
            return failure(error)
        causes = re.findall(r"^Caused by: (.*?)\s*$", told, re.MULTILINE)
        return BadFile(url, f"cannot be read: {causes[-1] if causes else told.splitlines()[0]}")


def _flow(cuts: Cuts, counts: Mapping[str, int]) -> CutFlow:
    muons_removed = {}
    left = counts["muons"]
    for name in cuts.muon_cuts():
        muons_removed[name] = left - counts[f"left_{name}"]
        left = counts[f"left_{name}"]
    removed = {name: counts[f"removed_{name}"] for name in cuts.event_cuts()}
    return CutFlow(counts["events"], removed, counts["muons"], muons_removed)


def _place(found: int, bins: int) -> int:
    """Where a bin of the SQL is in the counts of :class:`Summary`, which end with those below and above."""
    return bins if found < 0 else bins + 1 if found == bins else found


def _broadcast(spark: SparkSession, named: list[tuple[str, int]]) -> DataFrame:
    from pyspark.sql.functions import broadcast

    schema: StructType | str = "url STRING, file INT"
    return broadcast(spark.createDataFrame(named, schema))


def _escaped(url: str) -> str:
    """A name that Spark takes as it is: it takes every name for a glob."""
    return re.sub(r"([{}\[\]*?\\])", r"\\\1", url)


def _unquoted(url: str) -> str:
    """A URL as Spark tells it, for comparison."""
    return _slashed(unquote(url))


def _slashed(url: str) -> str:
    """A local URL has one slash or three after its scheme."""
    return re.sub(r"^file:/+", "/", url)


def _stages(spark: SparkSession, group: str) -> list[Any]:
    """What Spark counted of the stages of a job group."""
    context: Any = spark.sparkContext._jsc.sc()
    # Counts come by a queue, after the job's end.
    context.listenerBus().waitUntilEmpty(10_000)
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(number) for number in tracker.getJobIdsForGroup(group)]
    numbers = sorted({stage for job in jobs if job is not None for stage in job.stageIds})
    found = [context.statusStore().lastStageAttempt(number) for number in numbers]
    return [stage for stage in found if stage.numCompleteTasks()]
