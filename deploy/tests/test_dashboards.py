# SPDX-License-Identifier: Apache-2.0
"""Each query of each dashboard, and of each rule, asked of a Prometheus that scrapes a real Spark application or a real training:
it must answer with a number, within a second."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

import build
import cases
import core_site
import judges
import serving
from judges import Target

REPOSITORY = Path(__file__).resolve().parents[2]
RULES = [build.CHART / "rules/records.yaml", build.CHART / "rules/alerts.yaml"]
BUCKET = "dashboards"
#: The store throttles and fails a little, so that panels of failures have something to show.
FAULTS = [
    {"method": "GET", "contains": "/o/", "probability": 0.05, "seed": 1, "action": {"status": {"status": 429, "code": "TooManyRequests"}}},
    {"method": "GET", "contains": "/o/", "probability": 0.04, "seed": 2, "action": {"status": {"status": 503, "code": "ServiceUnavailable"}}},
]
#: Both kinds of failures have a rate. A series that has just begun has none yet.
FAILURES = 'count(sum by (outcome) (storescope:attempts:rate5m{outcome=~"throttled|server"}) > 0) == 2'


@contextmanager
def begun(command: list[str], folder: Path, environment: dict[str, str], python_path: list[str]):
    """A process whose output is in `folder/log`; it must not end by itself."""
    path = [str(REPOSITORY / part) for part in python_path]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, **environment, "PYTHONPATH": ":".join(path), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def told(process: subprocess.Popen, folder: Path, name: str) -> dict:
    """What a process says of itself, once it does."""
    def there() -> bool:
        assert process.poll() is None, (folder / "log").read_text()[-6000:]
        return (folder / name).exists()

    judges.wait_for(f"{folder / name}", there)
    return json.loads((folder / name).read_text())


@pytest.fixture(scope="class")
def store():
    with serving.serve("--bucket", BUCKET, "--model", "s3-standard") as server:
        for fault in FAULTS:
            server.fault(fault)
        yield server


@pytest.fixture(scope="class")
def spark(store, tmp_path_factory):
    """Prometheus over an application of two executors that works."""
    folder = tmp_path_factory.mktemp("spark")
    core_site.write(folder / "conf/core-site.xml", core_site.oci(store))
    ports = judges.free_ports(4)
    arguments = {
        "folder": str(folder), "url": f"oci://{BUCKET}@{store.oci['namespace']}/spark", "plugin_port": ports[0],
        "executor_ports": f"{ports[2]}-{ports[3]}",
    }
    command = [judges.needed("STORESCOPE_TEST_SPARK_PYTHON"), str(REPOSITORY / "deploy/tests/spark_job.py"), json.dumps(arguments)]
    environment = {"STORESCOPE_METRICS_ENDPOINT": f"127.0.0.1:{ports[1]}"}
    with begun(command, folder, environment, ["bindings/jni/spark"]) as process:
        application = told(process, folder, "application")
        labels = {"namespace": "judge", "application_id": application["id"]}
        core = [
            Target("storescope-core", f"127.0.0.1:{port}", "/metrics", {**labels, "executor_id": name, "bucket": BUCKET})
            for port, name in zip(ports[1:], ("driver", "0", "1"), strict=True)
        ]
        others = [
            Target("storescope-plugin", f"127.0.0.1:{ports[0]}", "/metrics", labels),
            Target("storescope-spark-ui", f"127.0.0.1:{application['ui']}", "/metrics/executors/prometheus", labels),
        ]
        with judges.scraping(folder / "prometheus", [*core, *others], RULES) as prometheus:
            # Some rounds of its work, and failures among its requests.
            judges.wait_for("jobs", lambda: prometheus.ask('sum(storescope_spark_jobs_total{result="succeeded"}) >= 20'))
            judges.wait_for("failures", lambda: prometheus.ask(FAILURES))
            yield prometheus
        (folder / "stop").touch()
        assert process.wait(judges.WAIT_SECONDS) == 0, (folder / "log").read_text()[-6000:]


@pytest.fixture(scope="class")
def trainer(store, tmp_path_factory):
    """Prometheus over a training of two workers."""
    folder = tmp_path_factory.mktemp("trainer")
    python = judges.needed("STORESCOPE_TEST_TRAINER_PYTHON")
    url = f"oci://{BUCKET}@{store.oci['namespace']}/shards"
    settings = {name: store.oci[name] for name in ("endpoint", "config_file", "region")}
    path = ["workloads/src", "workloads/tests"]
    made = [python, str(REPOSITORY / "deploy/tests/shards.py"), json.dumps({"url": url, "settings": settings})]
    with begun(made, folder, {}, path) as process:
        assert process.wait(judges.WAIT_SECONDS) == 0, (folder / "log").read_text()[-6000:]
    ports = judges.free_ports(4)
    command = [
        python, "-m", "storescope_workloads", "trainer", "train", "--data", url, "--out", str(folder / "out"), "--epochs", "1000000",
        "--learning-rate", "0.0001", "--local-workers", "2", "--threads", "1", "--metrics", f"127.0.0.1:{ports[0]}-{ports[1]}",
        "--endpoint", settings["endpoint"], "--config-file", settings["config_file"], "--region", settings["region"],
    ]  # fmt: skip
    environment = {"STORESCOPE_METRICS_ENDPOINT": f"127.0.0.1:{ports[2]}-{ports[3]}"}
    with begun(command, folder, environment, path) as process:
        targets = [
            Target(job, f"127.0.0.1:{ports[at + 2 * (job == 'storescope-core')]}", "/metrics", {
                "namespace": "judge", "application_id": "training", "executor_id": str(at), "bucket": BUCKET,
            })
            for job in ("storescope-trainer", "storescope-core") for at in (0, 1)
        ]  # fmt: skip
        with judges.scraping(folder / "prometheus", targets, RULES) as prometheus:
            judges.wait_for("epochs", lambda: prometheus.ask("max(storescope_trainer_epoch) >= 5"))
            judges.wait_for("failures", lambda: prometheus.ask(FAILURES))
            yield prometheus
        process.send_signal(signal.SIGTERM)
        assert process.wait(judges.WAIT_SECONDS) == 130, (folder / "log").read_text()[-6000:]


@pytest.fixture(scope="class")
def values(request):
    """Where answers are noted."""
    noted = cases.Values(request.param)
    yield noted
    noted.write()


def judged(prometheus: judges.Prometheus, case: cases.Case, values: cases.Values) -> None:
    samples, seconds = prometheus.timed(judges.expanded(case.query))
    values.add(case, samples, seconds)
    assert seconds < 1, f"{case.query}: {seconds:.2f} s"


def all_of(*found: list[cases.Case]) -> dict:
    everything = [case for part in found for case in part]
    assert len({case.name for case in everything}) == len(everything)
    return {"argnames": "case", "argvalues": everything, "ids": [case.name for case in everything]}


@pytest.mark.parametrize("values", ["Spark"], indirect=True, scope="class")
class TestSpark:
    @pytest.mark.parametrize(**all_of(cases.of_dashboard("storage"), cases.of_dashboard("spark"), cases.of_rules("^Storescope(?!Trainer)")))
    def test_query(self, spark, values, case):
        judged(spark, case, values)

    def test_the_figures_agree_with_each_other(self, spark, values):
        def one(query: str) -> float:
            (sample,) = judges.wait_for(query, lambda: spark.ask(query))
            return sample.value

        waiting = one("sum(storescope_spark_stage_waiting_seconds_total)")
        tasks = one("sum(storescope_spark_stage_task_seconds_total)")
        # Two executors with a core each: a task has a thread, and reads of parquet another.
        assert 0 < waiting < 2 * tasks
        assert one('sum(storescope_spark_executor_part_seconds_total{part="cpu"})') < tasks
        # Heat maps are native histograms, of the three processes that are there.
        assert all(sample.is_histogram for sample in spark.ask("storescope_phase_seconds"))
        executors = spark.ask("count by (executor_id) (storescope_spark_executor_active_tasks)")
        assert {sample.labels["executor_id"] for sample in executors} == {"0", "1"}
        gets = one('sum(storescope:attempts:rate5m{operation="get"}) > 0')
        for outcome in ("throttled", "server"):
            assert one(f'sum(storescope:attempts:rate5m{{outcome="{outcome}",operation="get"}}) > 0') < 0.3 * gets, outcome


@pytest.mark.parametrize("values", ["trainer"], indirect=True, scope="class")
class TestTrainer:
    @pytest.mark.parametrize(**all_of(cases.of_dashboard("trainer"), cases.of_dashboard("storage"), cases.of_rules("^Storescope(?!Stage)")))
    def test_query(self, trainer, values, case):
        judged(trainer, case, values)

    def test_workers_take_the_same_steps(self, trainer, values):
        steps = {sample.labels["executor_id"]: sample.value for sample in trainer.ask("storescope_trainer_steps_total")}
        assert steps.keys() == {"0", "1"} and min(steps.values()) > 0
        # They are scraped at different moments of a second.
        assert max(steps.values()) - min(steps.values()) <= 0.2 * max(steps.values()) + 200
