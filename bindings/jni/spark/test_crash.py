# SPDX-License-Identifier: Apache-2.0
"""A job whose process is killed (SIGKILL) in each stage of its commit, with each committer: a file that is visible is whole,
what is left is listed, and swept by the command line; the next run writes the whole table.

The server says where the job stands: one of its requests is held, and never acts; the JVM is killed once it has arrived."""

from __future__ import annotations

import functools
import json
import os
import signal
from dataclasses import dataclass

import pytest

import core_site
import crash_jobs
import jobs
from test_matrix import settings

FOR_EVER = 600_000


@dataclass(frozen=True)
class Stage:
    """The request that is held, and how many files of the table are visible then."""

    name: str
    method: str
    target: str
    # Of the renames of a whole job, counted from its end where it is negative; else the first.
    number: int
    visible: tuple[int, ...]


WRITE = Stage("task write", "PUT", "uploadPartNum=", 1, (0,))
MARKER = Stage("job commit, before its marker", "PUT", "_SUCCESS", 1, (2,))


def rename(name: str, number: int, *visible: int) -> Stage:
    return Stage(name, "POST", "/actions/renameObject", number, visible)


# By v1 a task's commit renames its file within `_temporary`, the job's commit renames it to its place. By v2 the task's commit
# does that. The manifest committer's tasks save a list of their files, and the job's commit renames them and the marker.
STAGES = {
    "file v1": [WRITE, rename("task commit", 1, 0), rename("job commit", -2, 0), rename("in job commit", -1, 1), MARKER],
    "file v2": [WRITE, rename("task commit", 1, 0), rename("second task's commit", 2, 1), MARKER],
    "manifest": [WRITE, rename("task commit", 1, 0), rename("job commit", 3, 0, 1), rename("job commit, before its marker", -1, 2)],
}


CASES = [pytest.param(committer, stage, id=f"{committer}: {stage.name}") for committer in STAGES for stage in STAGES[committer]]


@pytest.fixture(scope="module")
def renames(server, spark):
    """How many renames a whole job sends with a committer."""
    from conftest import BUCKET, Place

    @functools.cache
    def counted(committer: str) -> int:
        place = Place(server, f"oci://{BUCKET}@{server.oci['namespace']}/whole-{committer.replace(' ', '-')}")
        before = len(server.record())
        with settings(spark, jobs.COMMITTERS[committer]):
            crash_jobs.write(spark, place.url, "errorifexists")
        assert len(place.files()) == 2 and any(name.endswith("/_SUCCESS") for name in place.objects())
        return sum(line["target"].endswith("/actions/renameObject") for line in server.record()[before:])

    return counted


@pytest.fixture
def held(server):
    """Holds the requests of a stage; the call that tells whether one has arrived."""

    def hold(stage: Stage, renames: int):
        number = stage.number if stage.number > 0 else renames + 1 + stage.number
        rule = {"method": stage.method, "contains": stage.target, "nth": number, "count": 1_000_000}
        refused = {**rule, "action": {"status": {"status": 503}}}
        ids = json.loads(server.admin("POST", "/faults", [{**rule, "action": {"delay": {"ms": FOR_EVER}}}, refused]))["ids"]
        return lambda: any(
            fault["fired"] > 0 for fault in json.loads(server.admin("GET", "/faults")) if fault["id"] == ids[0]
        )

    yield hold
    server.admin("DELETE", "/faults")


def killed(begin, place, committer, tmp_path, arrived) -> None:
    """Runs the job, and kills its JVM when the held request has arrived."""
    site = {**core_site.oci(place.server), "fs.oci.client.multipart.partsize.mb": "5"}
    chosen = jobs.COMMITTERS[committer].items()
    chosen = {name if name.startswith("spark.") else f"spark.hadoop.{name}": value for name, value in chosen}
    begin("written", site, module=crash_jobs, url=place.url, settings=chosen, folder=str(tmp_path))
    jobs.wait_for((tmp_path / "driver").exists, 120)
    driver = int((tmp_path / "driver").read_text())
    jobs.wait_for(arrived, 120)
    os.kill(driver, signal.SIGKILL)
    jobs.wait_for(lambda: jobs.ended(driver))


def whole(spark, place, name: str) -> bool:
    """Whether a file of the table has all rows of its task."""
    read = spark.read.parquet(f"{place.url.rsplit('/', 1)[0]}/{name}")
    part = read.first()["part"]
    return jobs.same(crash_jobs.table(spark).where(f"part = {part}"), read)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("committer, stage", CASES)
def test_a_job_that_is_killed(begin, spark, place, tmp_path, committer, stage, renames, held):
    killed(begin, place, committer, tmp_path, held(stage, renames(committer)))
    place.server.admin("DELETE", "/faults")
    left = place.objects()
    visible = [name for name in left if "_temporary" not in name]
    assert not [name for name in visible if not name.endswith(".parquet")], f"{stage.name}: {left}"
    assert len(visible) in stage.visible, f"{stage.name}: {left}"
    assert all(whole(spark, place, name) for name in visible), f"{stage.name}: {left}"
    # What is left is listed where uploads and objects are, and nowhere else.
    uploads = place.uploads()
    assert len(uploads) == (1 if stage is WRITE else 0), f"{stage.name}: {uploads}"
    assert all("_temporary" in upload["name"] for upload in uploads)
    place.sweep()
    assert (place.objects(), place.uploads()) == (visible, [])
    with settings(spark, jobs.COMMITTERS[committer]):
        crash_jobs.write(spark, place.url, "overwrite")
    assert jobs.same(crash_jobs.table(spark), spark.read.parquet(place.url))
    assert len(place.files()) == 2 and not [name for name in place.objects() if "_temporary" in name]
