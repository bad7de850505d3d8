# SPDX-License-Identifier: Apache-2.0
"""The sample made by Spark's tasks: the same files as on one machine. No jar is needed: tasks write by the wheel."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pyarrow as pa
import pytest
import uproot
from click.testing import CliRunner
from pyspark import SparkContext, TaskContext

from storescope_workloads import spark as sessions
from storescope_workloads.errors import WorkloadError
from storescope_workloads.generate.command import generate
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.generate.samples import TriggerSample
from storescope_workloads.generate.spark import _task, run_spark
from storescope_workloads.places import Folder

# The JVM's sockets are closed when Python ends; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:distutils Version:DeprecationWarning")

SAMPLE = Sample(12_000, 3, seed=5, cluster=2_500)


@pytest.fixture(scope="module")
def spark(settings):
    made = sessions.session("local[2]", {}, None, settings, "test")
    yield made
    made.stop()


def test_spark_writes_what_one_machine_writes(spark, place, settings, tmp_path, seen):
    told = []
    out, here = Folder(place, settings), Folder(str(tmp_path), settings)
    written = run_spark(SAMPLE, out, spark, told.append)
    agents = {line["user_agent"] for line in seen()}
    assert sum(told) == 12_000 and all(events >= 0 for events in told)
    expected = run_local(SAMPLE, here, 1, lambda events: None)
    assert [(one.number, one.events) for one in written] == [(one.number, one.events) for one in expected]
    assert all(agent.startswith("storescope/") and agent.endswith("(python)") for agent in agents)
    for one, name in zip(written, here.files(), strict=True):
        (tmp_path / "theirs.root").write_bytes(out.read(name))
        assert (tmp_path / "theirs.root").stat().st_size == one.bytes
        ours, theirs = (uproot.open(tmp_path / path)["Events"].arrays() for path in (name, "theirs.root"))
        assert ours.fields == theirs.fields
        for field in ours.fields:
            assert ours[field].to_list() == theirs[field].to_list()


def test_spark_writes_the_triggers_classes(spark, place, settings, tmp_path, seen):
    sample = TriggerSample(700, 2, seed=5, cluster=400, soft_particles=8)
    told = []
    out, here = Folder(place, settings), Folder(str(tmp_path), settings)
    written = run_spark(sample, out, spark, told.append)
    agents = {line["user_agent"] for line in seen()}
    assert sum(told) == 2_100 and [one.events for one in written] == [350] * 6
    run_local(sample, here, 1, lambda events: None)
    assert out.files() == here.files() and len(here.files()) == 6
    assert all(agent.startswith("storescope/") and agent.endswith("(python)") for agent in agents)
    for name in here.files():
        (tmp_path / "theirs.root").write_bytes(out.read(name))
        ours, theirs = (uproot.open(tmp_path / path)["Delphes"].arrays() for path in (name, "theirs.root"))
        assert ours.fields == theirs.fields
        for field in ours.fields:
            assert ours[field].to_list() == theirs[field].to_list()


def test_tasks_write_by_the_names_of_their_attempts(settings, tmp_path, monkeypatch):
    """Attempts at one file may run at once, by speculation: each writes a file of its own."""
    names = []

    class Recording(Folder):
        def open(self, name, attempt=""):
            names.append((name, attempt))
            return super().open(name, attempt)

    monkeypatch.setattr(TaskContext, "get", lambda: SimpleNamespace(taskAttemptId=lambda: 7))
    for sample in (Sample(100, 2, cluster=50), Sample(100, 2, format="parquet", cluster=50)):
        list(_task(sample, Recording(str(tmp_path), settings), iter([pa.record_batch([pa.array([1])], ["id"])])))
    assert names == [("dimuon-0001.root", ".7"), ("dimuon-0001.parquet", ".7")]
    assert Folder(str(tmp_path), settings).files() == ["dimuon-0001.parquet", "dimuon-0001.root"]


def test_a_task_that_fails_names_its_file_and_leaves_nothing(spark, server, place, settings):
    refusal = {"status": {"status": 404, "code": "BucketNotFound"}}
    server.fault({"method": "PUT", "contains": place.rpartition("/")[2] + "%2Fdimuon-0001", "action": refusal})
    out = Folder(place, settings)
    with pytest.raises(WorkloadError, match=r"dimuon-0001\.root: was not written: ") as failed:
        run_spark(SAMPLE, out, spark, lambda events: None)
    assert "\n" not in str(failed.value)
    assert "dimuon-0001.root" not in out.files()
    assert len(spark.sparkContext.statusTracker().getActiveStageIds()) == 0


def test_ctrl_c_ends_the_tasks(spark, place, settings):
    def interrupt(events):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_spark(Sample(10_000_000, 200), Folder(place, settings), spark, interrupt)
    assert len(spark.sparkContext.statusTracker().getActiveStageIds()) == 0
    assert len(Folder(place, settings).files()) < 200


def test_the_command_uses_it_and_stops_what_it_started(spark, tmp_path):
    arguments = ["--events", "3000", "--files", "2", "--engine", "spark", "--out", str(tmp_path), "--format", "parquet", "--json"]
    ran = CliRunner().invoke(generate, ["dimuon", *arguments], catch_exceptions=False)
    assert {name: json.loads(ran.stdout)[name] for name in ("files", "events")} == {"files": 2, "events": 3_000}
    assert SparkContext._active_spark_context is None
