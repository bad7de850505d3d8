# SPDX-License-Identifier: Apache-2.0
"""Real PySpark: what its Python workers read is handed over by task attempt, however they end.

It is run by Pythons with the wheel and PySpark (stages workloads and workloads-matrix of scripts/stages). The plugin's part is
played by handing.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import storescope

JOB = Path(__file__).with_name("pyspark_job.py")


@pytest.fixture(scope="session")
def service():
    """One: which task a request belongs to has nothing to do with it."""
    return "oci"


@pytest.fixture
def run(server, bucket, options, seen, tmp_path):
    """Runs a function of pyspark_job.py: `run("reads")`. What it says, and the requests meanwhile."""

    storescope.open_store(bucket, **options).put("obj-k", b"data")

    def job(name: str, **settings: str):
        before = len(seen())
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SPARK_")},
            "STORE": json.dumps({"url": bucket, "options": options}),
            "STORESCOPE_HEDGE_AT": "0",
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        command = [sys.executable, str(JOB), name, json.dumps(settings), str(tmp_path / "local")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr[-8000:]
        return json.loads(ran.stdout.splitlines()[-1]), len(seen()) - before

    return job


pytestmark = pytest.mark.timeout(240)

#: PySpark keeps its workers for further tasks, or not; and starts each by a fork of a daemon, or by itself.
WAYS = [{}, {"spark.python.worker.reuse": "false"}, {"spark.python.use.daemon": "false"}]


@pytest.mark.parametrize("settings", WAYS, ids=["reused", "not-reused", "no-daemon"])
def test_what_tasks_read_is_handed_over_however_they_end(run, settings):
    told, requests = run("all_kinds", **settings)
    assert len(told["succeeded"]) == 11 and len(told["made"]) >= 13
    assert told["handed"] == told["made"]
    assert sum(told["made"].values()) == requests


def test_it_is_off_without_the_folder(run):
    told, requests = run("off")
    assert told == {"handed": {}, "rows": 4} and requests == 4
