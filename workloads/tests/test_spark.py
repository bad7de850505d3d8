# SPDX-License-Identifier: Apache-2.0
"""The engine ``spark`` beside the local one, over the emulator, with the jar that writes. ``STORESCOPE_JARS`` names it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import uproot

import reduction_files as made
from reductions import EVENTS, Counting, datasets, job_of, rows
from storescope_workloads import spark as sessions
from storescope_workloads.errors import BadFile, UsageError, WorkloadError
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.places import Folder, filesystem, find
from storescope_workloads.scan import spark as spark_engine
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.job import Dataset, Output, Watch, run
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.scan.pieces import Batch
from storescope_workloads.scan.spark import SparkEngine

# The JVM's sockets are closed when Python ends; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:distutils Version:DeprecationWarning")


@pytest.fixture(scope="module")
def spark(settings):
    """Spark with the jar on its class path, started as the command line starts it."""
    assert os.environ.get("STORESCOPE_JARS"), "STORESCOPE_JARS must name storescope's jar"
    given = {"spark.sql.shuffle.partitions": "2", "spark.driver.host": "localhost"}
    made = sessions.session("local[2]", given, None, settings, "test")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def sample(server, settings):
    """Three files in the bucket, of ten clusters in all."""
    place = Folder(f"oci://workloads@{server.oci['namespace']}/sample", settings)
    run_local(Sample(EVENTS, 3, cluster=3000), place, 1, lambda events: None)
    return find(f"{place.url}/*.root", settings)


@pytest.fixture
def engine(spark):
    """The engine over the module's session, which goes on when it ends."""
    return SparkEngine(spark)


def test_the_rows_and_counts_are_those_of_the_local_engine(engine, sample, settings, place, seen):
    job = job_of(settings)
    with LocalEngine(1) as local:
        expected = run(local, datasets(sample), job, Folder(f"{place}/local", settings))
    before = len(seen())
    watch = Counting()
    found = run(engine, datasets(sample), job, Folder(f"{place}/spark", settings), watch=watch)

    assert [found.summaries[name].to_json() for name in ("one", "two")] == [
        expected.summaries[name].to_json() for name in ("one", "two")
    ]
    ours, theirs = (rows(Folder(f"{place}/{name}", settings)) for name in ("spark", "local"))
    assert ours.equals(theirs) and len(ours) == sum(summary.pairs for summary in found.summaries.values()) > 500
    assert watch.stages == [["plan", 3, 3], ["reduce", EVENTS, EVENTS]]
    # The rows went out by the jar: renamed into place, by nobody else.
    written = [line for line in seen()[before:] if line["method"] in ("PUT", "POST") and "pairs" in line["target"]]
    assert written and all("(jvm)" in line["user_agent"] for line in written)
    names = (Folder(f"{place}/spark", settings) / "pairs").files()
    assert sorted(name.split("/")[1] for name in names if name.endswith(".parquet")) == ["dataset=one", "dataset=two"]
    assert found.versions.keys() == {"spark", "java", "hadoop", "python"}


def test_what_tasks_measured_is_what_the_server_saw(engine, sample, settings, tmp_path, seen):
    before = len(seen())
    found = run(engine, datasets(sample), job_of(settings), Folder(str(tmp_path / "out"), settings))
    reads = [line for line in seen()[before:] if line["method"] == "GET" and "dimuon" in line["target"]]
    told = [*found.measured.values(), found.plan]
    assert len(reads) == sum(measured.snapshot.requests for measured in told)
    assert sum(line["bytes_out"] for line in reads) == sum(measured.snapshot.bytes_received for measured in told)
    assert all(0 < measured.cpu_s and 0 < measured.wall_s for measured in told)
    assert sum(measured.needed for measured in found.measured.values()) == sum(layout.needed for layout in found.layouts)


def spoil(sample, settings, place):
    """The sample in a folder of its own, the second file with a basket that cannot be unpacked: its metadata is good."""
    folder = Folder(place, settings)
    for number, file in enumerate(sample):
        fs, path = filesystem(file.url, settings)
        data = bytearray(fs.cat_file(path))
        if number == 1:
            basket = uproot.open(io.BytesIO(bytes(data)))["Events/Muon_pt"].member("fBasketSeek")[2]
            data[basket + 120 : basket + 200] = bytes(80)
        folder.write(f"file-{number}.root", bytes(data))
    return find(f"{place}/*.root", settings)


def test_a_bad_file_ends_the_job_with_its_name_and_leaves_no_rows(engine, sample, settings, place):
    files = spoil(sample, settings, f"{place}/in")
    out = Folder(f"{place}/out", settings)
    with pytest.raises(BadFile) as caught:
        run(engine, datasets(files), job_of(settings), out)
    assert caught.value.url == files[1].url and "Traceback" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert [name for name in out.files() if name.startswith("pairs")] == []


def test_a_bad_file_is_left_out_as_by_the_local_engine(engine, sample, settings, place):
    files = spoil(sample, settings, f"{place}/in")
    job = job_of(settings, skip=True)
    with LocalEngine(1) as local:
        expected = run(local, datasets(files), job, Folder(f"{place}/local", settings))
    found = run(engine, datasets(files), job, Folder(f"{place}/spark", settings))
    assert [(file.url, file.events) for file in found.skipped] == [(files[1].url, EVENTS // 3)]
    assert found.skipped == expected.skipped
    ours = rows(Folder(f"{place}/spark", settings))
    assert ours.equals(rows(Folder(f"{place}/local", settings)))
    assert set(ours["file"].to_pylist()) == {0, 2}


def test_an_interrupt_ends_the_job_and_leaves_no_rows(engine, sample, settings, place, server):
    class Interrupting(Watch):
        """The last file is never answered, so that only a job that is cancelled ends."""

        def stage(self, name, total, unit):
            if name == "reduce":
                server.fault({"method": "GET", "contains": "dimuon-0002", "action": {"stall": {"after": 0}}})
                return self.interrupt
            return lambda done: None

        def interrupt(self, done):
            raise KeyboardInterrupt

    out = Folder(f"{place}/out", settings)
    with pytest.raises(KeyboardInterrupt):
        run(engine, datasets(sample), job_of(settings), out, watch=Interrupting())
    server.admin("DELETE", "/faults")
    assert [name for name in out.files() if name.startswith("pairs")] == []
    context = engine.spark.sparkContext
    assert context.statusTracker().getActiveStageIds() == []
    # The job was cancelled; had the store given up, it would have failed of that.
    store = context._jsc.sc().statusStore()
    jobs = store.jobsList(None)
    assert jobs.head().status().toString() == "FAILED"
    last = store.lastStageAttempt(jobs.head().stageIds().head())
    assert "cancelled" in last.failureReason().get()


def test_what_spark_does_not_take_is_an_error_in_a_line(engine, sample, settings, place):
    # The YAML refuses such names; Spark says so before there is a job.
    job = replace(job_of(settings), kernel=Reduction(Cuts(keep=(("_tally", "int64"),))))
    out = Folder(f"{place}/out", settings)
    layouts = list(engine.layouts([("one", file) for file in sample], job_of(settings), lambda done: None))
    with pytest.raises(WorkloadError, match=r"^the Spark job failed: \[AMBIGUOUS_REFERENCE\] Reference `_tally`[^\n]*$"):
        engine.run(Batch(0, tuple(enumerate(layouts))), job, out, lambda done: None)
    assert not out.files()


def test_rows_that_cannot_be_written_leave_none(engine, sample, settings, place, server):
    out = Folder(f"{place}/out", settings)
    refused = {"status": {"status": 404, "code": "BucketNotFound", "message": "refused by the test"}}
    server.fault({"method": "PUT", "contains": "part-", "action": refused})
    with pytest.raises(WorkloadError, match="refused by the test|Bucket") as caught:
        run(engine, datasets(sample), job_of(settings), out)
    server.admin("DELETE", "/faults")
    assert "\n" not in str(caught.value)
    assert [name for name in out.files() if name.startswith("pairs")] == []


@pytest.mark.parametrize("skip", [True, False])
def test_rows_that_are_lost_with_their_executor_and_cannot_be_made_again_end_the_job(
    engine, sample, settings, place, monkeypatch, skip
):
    """Blocks are gone when the rows are written, and a file was replaced after its tally was counted."""
    copies = Folder(f"{place}/in", settings)
    for number, file in enumerate(sample):
        fs, path = filesystem(file.url, settings)
        copies.write(f"file-{number}.root", fs.cat_file(path))
    files = find(f"{copies.url}/*.root", settings)
    written = spark_engine.write_rows

    def lose(*given):
        engine.spark.catalog.clearCache()
        copies.write("file-1.root", copies.read("file-2.root"))
        written(*given)

    monkeypatch.setattr(spark_engine, "write_rows", lose)
    out = Folder(f"{place}/out", settings)
    with pytest.raises(WorkloadError) as caught:
        run(engine, datasets(files), job_of(settings, skip=skip), out)
    if skip:
        assert "rows were written of" in str(caught.value) and "--resume" in str(caught.value)
    else:
        assert isinstance(caught.value, BadFile) and caught.value.url == files[1].url
    assert [name for name in out.files() if name.startswith("pairs")] == []


def test_rows_that_are_not_on_this_disk_end_the_job(engine, sample, settings, tmp_path, monkeypatch):
    """As those of a cluster's executors are."""
    monkeypatch.setattr(spark_engine, "write_rows", lambda *given: None)
    with pytest.raises(WorkloadError, match="0 rows were written of .* disk that the driver and all executors share"):
        run(engine, datasets(sample), job_of(settings), Folder(str(tmp_path / "out"), settings))


def test_jobs_without_pairs_can_be_read(engine, settings, tmp_path):
    none = made.source(made.write(tmp_path / "none.root", "ttree"))
    zero = made.source(made.write(tmp_path / "zero.root", "ttree", made.columns([0] * 30)))
    for name, file in (("none", none), ("zero", zero)):
        run(engine, [Dataset("data", (file,))], job_of(settings), Folder(str(tmp_path / name), settings))
        table = made.rows(tmp_path / name)
        assert len(table) == 0 and set(table.column_names) == {"batch", "dataset", "file", *made.Cuts().output()}
        assert engine.spark.read.parquet(f"file://{tmp_path}/{name}/pairs").count() == 0


def test_few_files_of_rows_are_not_made_by_few_tasks(spark, settings, tmp_path):
    """Rows whose blocks are lost are made again by as many tasks as made them."""
    rows = spark.range(0, 100, 1, 8).selectExpr("id", "'data' AS dataset")
    spark.sparkContext.setJobGroup("few-files", "few files")
    spark_engine.write_rows(rows, Folder(str(tmp_path / "rows"), settings), 100)
    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(number) for number in tracker.getJobIdsForGroup("few-files")]
    stages = [tracker.getStageInfo(stage) for job in jobs for stage in job.stageIds]
    assert sorted({stage.numTasks for stage in stages if stage is not None}) == [1, 8]
    assert len(list((tmp_path / "rows").rglob("*.parquet"))) == 1


KILLED = """
import os, signal, sys
import reduction_files as made
from storescope_workloads import cli, spark as sessions
from storescope_workloads.scan import job as jobs
from storescope_workloads.scan.spark import SparkEngine
from storescope_workloads.settings import StoreSettings

class Watch(jobs.Watch):
    def stage(self, name, total, unit):
        if name == "reduce":
            os.kill(context._gateway.proc.pid, signal.SIGKILL)
        return lambda done: None

def act(**_):
    with SparkEngine(spark) as engine:
        made.reduce(engine, [made.source(sys.argv[1])], sys.argv[2], watch=Watch())

spark = sessions.session("local[1]", {}, None, StoreSettings(), "test")
context = spark.sparkContext
cli.cli.main = act
cli.main()
"""


def test_a_jvm_that_is_killed_is_told(tmp_path):
    file = made.write(tmp_path / "in.root", "ttree", made.columns([2] * 100))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", KILLED, str(file), str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert ran.returncode == 1
    # PySpark's own server of accumulators tells of the connection that it lost, before or after; nobody else does.
    (told,) = [line for line in ran.stderr.splitlines() if line.startswith("error: ")] or [ran.stderr]
    assert told.startswith("error: Spark's JVM has ended") and "--resume" in told, ran.stderr
    assert "storescope_workloads" not in "".join(line for line in ran.stderr.splitlines() if line.startswith("  File"))


def test_a_batch_that_is_run_again_replaces_its_rows_alone(engine, sample, settings, place):
    out, job = Folder(f"{place}/out", settings), job_of(settings)
    run(engine, datasets(sample), job, Output(out, batch_target=1))
    before = rows(out)
    others = [name for name in out.files() if "batch=00001" not in name and name.endswith(".parquet")]
    fs, path = filesystem(f"{out.url}/_job/batch-00001.json", settings)
    fs.rm(path)
    again = run(engine, datasets(sample), job, Output(out, resume=True, batch_target=1))
    assert again.resumed == 2 and rows(out).equals(before)
    assert set(others) <= set(out.files())


def test_the_jars_statistics_are_what_the_server_saw_of_it(spark, settings, place, seen):
    start = sessions.jar_statistics(spark)
    before = len(seen())
    spark.range(1000).write.parquet(f"{place}/numbers")
    assert spark.read.parquet(f"{place}/numbers").count() == 1000
    told = sessions.jar_statistics(spark).since(start)
    requests = [line for line in seen()[before:] if "(jvm)" in line["user_agent"]]
    assert told.requests == len(requests) > 0
    assert told.quantile(0.5) > 0


def test_a_session_that_runs_is_taken_and_keeps_what_it_has(spark, settings):
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    again = sessions.session("local[7]", {"spark.hadoop.storescope.attempts": "5"}, None, settings, "another")
    assert again.sparkContext is spark.sparkContext and spark.sparkContext.master == "local[2,4]"
    assert hadoop.get("storescope.attempts") == "5"
    sessions.session(None, {"spark.hadoop.storescope.attempts": "6"}, None, settings, "another")
    assert hadoop.get("storescope.attempts") == "5"
    # Of what is set by default, the user's own was kept.
    conf = spark.sparkContext.getConf()
    assert (conf.get("spark.driver.host"), conf.get("spark.driver.bindAddress")) == ("localhost", "127.0.0.1")


def test_settings_reach_the_jar_and_what_the_user_says_goes_before_them(settings):
    class Everything:
        """A JVM on which each class is."""

        def __getattr__(self, name):
            return self

        def __call__(self, *arguments):
            return self

    made = sessions._stores(Everything(), settings, {})
    assert made["spark.hadoop.storescope.endpoint"] == settings.endpoint
    assert made["spark.hadoop.fs.s3.impl"] == made["spark.hadoop.fs.oci.impl"] == "io.github.storescope.hadoop.StoreFileSystem"
    assert made["spark.sql.sources.commitProtocolClass"].endswith("PathOutputCommitProtocol")
    own = sessions._stores(Everything(), settings, {"spark.sql.sources.commitProtocolClass": "own"})
    assert not any("committer" in name or "Committer" in value for name, value in own.items())


@pytest.mark.parametrize(
    ("master", "expected"),
    [("local", "local[1,4]"), ("local[2]", "local[2,4]"), ("local[*]", "local[*,4]"), ("local[2,1]", "local[2,1]"),
     ("spark://a:7077", "spark://a:7077"), ("local-cluster[1,1,900]", "local-cluster[1,1,900]")],
)
def test_local_tasks_are_tried_again_as_all_others(master, expected):
    assert sessions._with_attempts(master) == expected


def test_jars_are_named_with_commas_or_colons(tmp_path, monkeypatch):
    one, two = tmp_path / "one.jar", tmp_path / "two.jar"
    one.touch()
    two.touch()
    assert sessions._jars(f"{one},{two}") == sessions._jars(f"{one}:{two}") == [str(one), str(two)]
    assert sessions._jars(f"hdfs://host:9000/a.jar,{one}") == ["hdfs://host:9000/a.jar", str(one)]
    monkeypatch.setenv("STORESCOPE_JARS", f"{one}:{tmp_path}/none.jar")
    with pytest.raises(UsageError, match=r"none\.jar: no such jar \(STORESCOPE_JARS\)"):
        sessions._jars(None)


def test_connect_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="Spark Connect is not supported"):
        sessions._classic({"spark.remote": "sc://host"})
    monkeypatch.setenv("SPARK_REMOTE", "sc://host")
    with pytest.raises(UsageError, match="Spark Connect is not supported"):
        sessions._classic({})


def test_the_package_is_packed_whole_and_the_same_each_time():
    packed = sessions.package_zip()
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    assert {"storescope_workloads/__init__.py", "storescope_workloads/scan/spark.py"} <= set(names)
    assert not any("__pycache__" in name for name in names)
    assert sessions.package_zip() == packed


def test_failures_are_told_in_a_line():
    missing = 'org.apache.spark.api.python.PythonException: Traceback…\nModuleNotFoundError: No module named \'uproot\'\n\tat org.'
    assert "has no module uproot" in str(sessions.failure(Exception(missing)))
    assert 'docs/WORKLOADS.md, "On a cluster"' in str(sessions.failure(Exception(missing)))
    own = "Job aborted: x\nstorescope_workloads.errors.WorkloadError: the store refused\n\n\tat org.apache.spark.x(Y.scala:1)\n"
    assert str(sessions.failure(Exception(own))) == "the Spark job failed: the store refused"
    java = "An error occurred while calling o1.parquet.\n: org.apache.spark.SparkException: Job aborted\nCaused by: java.io.IOException: no\n"
    assert str(sessions.failure(Exception(java))) == "the Spark job failed: java.io.IOException: no"
