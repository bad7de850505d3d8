# SPDX-License-Identifier: Apache-2.0
"""The plugin where executors are processes of their own, and where they are lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import core_site
import jobs
import plugin_jobs
from plugin_told import Told


def test_executors_of_their_own(run, place, seen, tmp_path):
    told = run(
        "written_and_read", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path),
        master="local-cluster[2,1,1024]", settings={"spark.executor.memory": "600m"},
    )  # fmt: skip
    report = Told(tmp_path, told["application"])
    assert report.run["notes"] == []
    assert report.sums()[0] == len(seen())
    executors = {name for stage in report.stages for name in stage["tasks"]["workers"]}
    assert executors == {"0", "1"} and report.run["processes"] == 3


@pytest.mark.timeout(400)
def test_speculative_tasks_count(run, place, seen, tmp_path, cluster):
    told = run(
        "speculated", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path),
        folder=str(tmp_path), master=cluster, seconds=300,
    )  # fmt: skip
    assert told["rows"] == 4000
    report = Told(tmp_path, told["application"])
    assert sum(stage["tasks"]["speculative"] for stage in report.stages) >= 1
    assert sum(stage["tasks"]["killed"] for stage in report.stages) >= 1
    # A request that was given up may not have reached the server.
    requests, given_up = report.sums()[0], sum(cell["errors"].get("cancelled", 0) for cell in report.run["cells"])
    assert requests - given_up <= len(seen()) <= requests


def test_an_executor_that_is_killed_loses_what_it_had_not_sent_and_that_is_told(run, place, seen, tmp_path):
    told = run(
        "executor_killed", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path),
        folder=str(tmp_path),
    )  # fmt: skip
    assert told["rows"] == 4000
    report = Told(tmp_path, told["application"])
    requests, record = report.sums()[0], len(seen())
    # The reads of the one task that was at work.
    assert record - 20 <= requests <= record
    assert requests == record or any("never arrived" in note for note in report.run["notes"]), report.run["notes"]


@pytest.mark.timeout(400)
def test_executors_that_come_and_go(run, place, seen, tmp_path, cluster):
    told = run(
        "coming_and_going", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path), master=cluster,
        seconds=300,
    )  # fmt: skip
    assert told["rows"] == 20_000
    report = Told(tmp_path, told["application"])
    assert report.run["notes"] == []
    assert report.sums()[0] == len(seen())
    # Those of the second job are not those of the first.
    executors = [set(stage["tasks"]["workers"]) for stage in report.stages if stage["requests"]]
    assert executors[0] and executors[-1] and not executors[0] & executors[-1], executors


def test_a_driver_that_is_killed_leaves_the_last_report(begin, place, seen, tmp_path):
    begin("driver_killed", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path), folder=str(tmp_path))
    jobs.wait_for((tmp_path / "driver").exists)
    driver = json.loads((tmp_path / "driver").read_text())
    jobs.wait_for((tmp_path / driver["application"] / "report.html").exists)
    # All that was asked is on the disk an interval later.
    jobs.wait_for(lambda: Told(tmp_path, driver["application"]).sums()[0] == len(seen()))
    os.kill(driver["pid"], signal.SIGKILL)
    jobs.wait_for(lambda: jobs.ended(driver["pid"]))
    report = Told(tmp_path, driver["application"])
    assert report.sums()[0] == len(seen()) > 0
    assert "the figures so far" in report.run["notes"][0]
    assert not list(report.folder.glob("*.part"))


def test_executors_with_another_version_of_the_jar_are_told(run, place, tmp_path):
    java = Path(plugin_jobs.__file__).parents[1] / "hadoop/src/main/java/io/github/storescope/spark/Delta.java"
    text, replaced = re.subn(r"VERSION = (\d+);", lambda found: f"VERSION = {int(found.group(1)) - 1};", java.read_text())
    assert replaced == 1
    (tmp_path / "Delta.java").write_text(text)
    classes = tmp_path / "classes"
    subprocess.run(
        ["javac", "--release", "11", "-cp", jobs.jars(), "-d", str(classes), str(tmp_path / "Delta.java")], check=True
    )
    told = run(
        "with_another_jar", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path),
        classes=str(classes),
    )  # fmt: skip
    assert told["rows"] == 4000
    report = Told(tmp_path, told["application"])
    assert any("they have another version of the jar" in note for note in report.run["notes"]), report.run["notes"]
    assert all(stage["requests"] == 0 for stage in report.stages)
    assert report.cell("driver")["requests"] > 0
    log = (tmp_path / "log-0").read_text()
    assert len(re.findall("a message of an executor is left out: it is of version 0, this driver reads version 1", log)) == 1
