# SPDX-License-Identifier: Apache-2.0
"""The command line on Spark, each time in a process of its own: under ``spark-submit``, interrupted, with the committers.
``STORESCOPE_JARS`` names the jar, and Spark's half of the committers (``spark-hadoop-cloud``)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyspark
import pytest

from reductions import EVENTS
from storescope_workloads.generate.job import Sample, run_local
from storescope_workloads.places import Folder

# As docs/WORKLOADS.md has it.
MAIN = "from storescope_workloads.cli import main\n\nmain()\n"
SECONDS = 200


@pytest.fixture(scope="module")
def sample(server, settings):
    place = Folder(f"oci://workloads@{server.oci['namespace']}/sample", settings)
    run_local(Sample(EVENTS, 3, cluster=3000), place, 1, lambda events: None)
    return f"{place.url}/*.root"


@pytest.fixture
def begin(settings, tmp_path):
    """Starts a command, with how the emulator is opened; what it prints goes to two files."""
    started = []

    def starts(*command, **environment):
        options = [part for name, value in settings.options().items() for part in (f"--{name.replace('_', '-')}", value)]
        with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
            process = subprocess.Popen(
                [*map(str, command), *options], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**os.environ, "PYSPARK_PYTHON": sys.executable, **environment},
            )
        started.append(process)
        return process

    yield starts
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def jars():
    ours, cloud = [], []
    for jar in os.environ["STORESCOPE_JARS"].split(":"):
        (cloud if "spark-hadoop-cloud" in jar else ours).append(jar)
    return ",".join(ours), ",".join(cloud)


def finished(process, tmp_path, place, settings):
    """result.json. (spark-submit gives stdout and stderr of Python as one.)"""
    status = process.wait(SECONDS)
    assert status == 0, (tmp_path / "out").read_text()[-3000:] + (tmp_path / "err").read_text()[-6000:]
    return json.loads(Folder(f"{place}/out", settings).read("result.json"))


def reduce(sample, out):
    return ["reduce", sample, "--out", out, "--engine", "spark", "--piece", "64KiB"]


def success(place, settings):
    return (Folder(f"{place}/out", settings) / "pairs/batch=00000").read("_SUCCESS")


def test_under_spark_submit(begin, sample, settings, place, tmp_path):
    submit = Path(pyspark.__file__).parent / "bin/spark-submit"
    (tmp_path / "main.py").write_text(MAIN)
    process = begin(
        submit, "--master", "local[2]", "--jars", jars()[0], "--conf", "spark.hadoop.storescope.part_concurrency=2",
        tmp_path / "main.py", *reduce(sample, f"{place}/out"), STORESCOPE_JARS="",
    )
    result = finished(process, tmp_path, place, settings)
    assert result["events"]["in"] == EVENTS and result["physics"]["pairs"] > 500
    assert success(place, settings) == b""  # FileOutputCommitter's
    assert "Traceback" not in (tmp_path / "out").read_text() + (tmp_path / "err").read_text()


def test_the_manifest_committer_where_sparks_half_of_it_is_there(begin, sample, settings, place, tmp_path):
    assert jars()[1], "STORESCOPE_JARS must name spark-hadoop-cloud"
    process = begin(
        sys.executable, "-m", "storescope_workloads", *reduce(sample, f"{place}/out"), "--master", "local[2]",
        "--jars", ",".join(jars()), STORESCOPE_JARS="",
    )
    assert finished(process, tmp_path, place, settings)["events"]["in"] == EVENTS
    assert json.loads(success(place, settings))["committer"].endswith("ManifestCommitter")


def test_ctrl_c(begin, sample, settings, place, server, tmp_path):
    # The first requests are the plan's. Those of the tasks are never answered: only a job that is cancelled ends.
    server.fault({"method": "GET", "contains": "dimuon-", "nth": 10, "count": 100_000, "action": {"stall": {"after": 0}}})
    process = begin(
        sys.executable, "-m", "storescope_workloads", *reduce(sample, f"{place}/out"), "--master", "local[2]",
        "--jars", jars()[0], STORESCOPE_JARS="",
    )
    deadline = time.monotonic() + SECONDS
    while not fired(server):
        assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "err").read_text()[-4000:]
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    status = process.wait(SECONDS)
    server.admin("DELETE", "/faults")
    told = (tmp_path / "err").read_text()
    assert status == 130, told[-4000:]
    assert "interrupted" in told and not re.search(r"\b(WARN|INFO|ERROR)\b|Traceback|Exception", told), told
    names = Folder(f"{place}/out", settings).files()
    assert [name for name in names if name.startswith("pairs")] == [] and "result.json" not in names


def fired(server) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(server.ready["admin"] + "/faults") as answer:
        return any(rule["fired"] for rule in json.load(answer))
