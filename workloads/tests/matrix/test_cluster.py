# SPDX-License-Identifier: Apache-2.0
"""The engine ``spark`` on a standalone cluster whose executors' Python has nothing but what is sent to it; executors and Python
workers that are killed, a store that throttles, s3 in and out. ``STORESCOPE_JARS`` names the jar."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import storescope
from pyspark import cloudpickle

import cluster
from reductions import EVENTS, Counting, datasets, job_of, rows
from storescope_workloads import spark as sessions
from storescope_workloads.errors import WorkloadError
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.places import Folder, find
from storescope_workloads.scan.job import run
from storescope_workloads.scan.local import LocalEngine
from storescope_workloads.scan.spark import SparkEngine
from storescope_workloads.settings import StoreSettings

# The JVM's sockets are closed when Python ends; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:distutils Version:DeprecationWarning")

# What is defined here is not in the executors.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def master(tmp_path_factory, secrets):
    with cluster.standalone(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """What executors need, as docs/WORKLOADS.md has it packed."""
    return cluster.pack(tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def secrets(server):
    """The emulator's account of S3: in the environment of this process, before it starts Java, and of the executors."""
    told = server.ready["s3"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", told["access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", told["secret_access_key"])
        yield {f"spark.executorEnv.{name}": os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}


def open_session(master, settings, **conf):
    os.environ["PYSPARK_PYTHON"] = cluster.BARE_PYTHON
    given = {"spark.driver.host": "127.0.0.1", "spark.executor.memory": "640m", "spark.ui.enabled": "false", **conf}
    return sessions.session(master, given, None, settings, "test")


@pytest.fixture(scope="module")
def spark(master, packed, secrets, settings):
    made = open_session(
        master, settings, **{"spark.archives": f"{packed}#deps", "spark.executorEnv.PYTHONPATH": "deps"}, **secrets
    )
    yield made
    made.stop()


@pytest.fixture(scope="module")
def sample(server, settings):
    place = Folder(f"oci://workloads@{server.oci['namespace']}/sample", settings)
    run_local(Sample(EVENTS, 3, cluster=3000), place, 1, lambda events: None)
    return find(f"{place.url}/*.root", settings)


@pytest.fixture(scope="module")
def expected(sample, settings, tmp_path_factory):
    """The job by the local engine."""
    out = Folder(str(tmp_path_factory.mktemp("local") / "out"), settings)
    with LocalEngine(1) as engine:
        return run(engine, datasets(sample), job_of(settings), out), rows(out)


def same(found, out, expected):
    """The same counts, sums, histograms and rows."""
    told, table = expected
    assert {name: summary.to_json() for name, summary in found.summaries.items()} == {
        name: summary.to_json() for name, summary in told.summaries.items()
    }
    assert rows(out).equals(table)


class Killing:
    """Work in whose first batch of rows a process is killed, once."""

    def __init__(self, work, flag: Path, process: str):
        self.work, self.flag, self.process = work, flag, process

    def __call__(self, batches):
        for batch in self.work(batches):
            try:
                self.flag.touch(exist_ok=False)
            except FileExistsError:
                yield batch
                continue
            os.kill(os.getpid() if self.process == "python" else java(), signal.SIGKILL)
            signal.pause()


def java() -> int:
    """The executor above this Python."""
    process = os.getpid()
    while b"CoarseGrainedExecutorBackend" not in Path(f"/proc/{process}/cmdline").read_bytes():
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return process


class KillingEngine(SparkEngine):
    """Kills in the job that reduces, not in that of the plan."""

    def __init__(self, spark, flag, process):
        super().__init__(spark)
        self.flag, self.process = flag, process

    def _map(self, work, count, schema):
        return super()._map(Killing(work, self.flag, self.process) if "mass_gev" in schema.names else work, count, schema)


def test_executors_without_the_modules_are_told_of(master, settings, sample, tmp_path):
    bare = open_session(master, settings)
    try:
        with pytest.raises(WorkloadError, match=r'has no module \w+; .*docs/WORKLOADS.md, "On a cluster"'):
            run(SparkEngine(bare), datasets(sample), job_of(settings), Folder(str(tmp_path / "out"), settings))
    finally:
        bare.stop()


def test_two_executors_with_packed_modules(spark, sample, settings, place, expected, seen):
    out = Folder(f"{place}/out", settings)
    engine = SparkEngine(spark)
    watch = Counting()
    same(run(engine, datasets(sample), job_of(settings), out, watch=watch), out, expected)
    assert watch.stages == [["plan", 3, 3], ["reduce", EVENTS, EVENTS]]
    assert sessions.jar_statistics(spark) is None


@pytest.mark.parametrize("process", ["python", "java"])
def test_a_process_that_is_killed_changes_nothing(spark, sample, settings, place, expected, tmp_path, process):
    out, flag = Folder(f"{place}/out", settings), tmp_path / "killed"
    same(run(KillingEngine(spark, flag, process), datasets(sample), job_of(settings), out), out, expected)
    assert flag.exists()


def test_a_store_that_throttles_changes_nothing(spark, sample, settings, place, expected, server):
    out = Folder(f"{place}/out", settings)
    server.fault({"contains": "dimuon", "action": {"throttle": {"requests": 12}}})
    server.fault({"contains": "pairs", "action": {"throttle": {"requests": 6}}})
    before = len(server.record())
    same(run(SparkEngine(spark), datasets(sample), job_of(settings), out), out, expected)
    assert sum(line["status"] == 429 for line in server.record()[before:]) == 18


def test_s3_in_and_out(spark, server, secrets, tmp_path):
    told = server.ready["s3"]
    settings = StoreSettings(endpoint=told["endpoint"], region=told["region"])
    # The session's endpoint is that of oci://; the jar takes one for a bucket.
    spark.sparkContext._jsc.hadoopConfiguration().set("storescope.bucket.others.endpoint", told["endpoint"])
    storescope.create_bucket("s3://others/", **settings.options())
    place = Folder("s3://others/s3", settings)
    run_local(Sample(EVENTS, 2, cluster=3000), place / "in", 1, lambda events: None)
    files = find(f"{place.url}/in/*.root", settings)
    local = Folder(str(tmp_path / "out"), settings)
    with LocalEngine(1) as engine:
        wanted = run(engine, datasets(files), job_of(settings), local)
    out = place / "out"
    same(run(SparkEngine(spark), datasets(files), job_of(settings), out), out, (wanted, rows(local)))
