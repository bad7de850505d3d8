# SPDX-License-Identifier: Apache-2.0
"""The plugin where executors are processes of their own, and where they are lost."""

from __future__ import annotations

import pytest

import core_site
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
