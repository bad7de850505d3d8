# SPDX-License-Identifier: Apache-2.0
"""Pods of the chart as processes, with the chart's emulator as the cloud. STORESCOPE_BIN names the binary."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

import charts
from charts import named, render
from pods import Node, free_port
from serving import binary

NAME = f"{charts.RELEASE}-storescope"
HOST = f"{NAME}-emulator.{charts.NAMESPACE}.svc"
IMAGES = Path(__file__).resolve().parents[2] / "images"


@pytest.fixture
def node(tmp_path):
    """A node whose images hold the binary and this environment's programs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "storescope").symlink_to(Path(binary()).resolve())
    made = Node(tmp_path, f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}", [])
    yield made
    made.stop()


def begin_emulator(node):
    """The emulator's pod, ready; the others reach it by the name of its Service."""
    ports = {port: free_port() for port in (8080, 8081, 8082, 9000)}
    node.replaced = {f"{HOST}:{port}": f"127.0.0.1:{free}" for port, free in ports.items()}
    node.replaced |= {f"port={port}": f"port={free}" for port, free in ports.items()}
    node.replaced |= {"0.0.0.0:9464-9479": "127.0.0.1:0", "0.0.0.0:9465-9496": "127.0.0.1:0", "0.0.0.0": "127.0.0.1"}
    process = node.start(named(node.objects, "Deployment", f"{NAME}-emulator")["spec"]["template"], "emulator")
    deadline = time.monotonic() + 60
    while not node.output("emulator").startswith("{"):
        assert process.poll() is None and time.monotonic() < deadline, node.output("emulator")
        time.sleep(0.05)
    return json.loads(node.output("emulator").splitlines()[0])


def store(node, ready, *arguments):
    """A command of storescope, as a user of the emulator."""
    environment = {
        "PATH": node.path, "STORESCOPE_OCI_ENDPOINT": ready["oci"]["endpoint"], "STORESCOPE_CONFIG_FILE": ready["oci"]["config_file"],
    }
    done = subprocess.run(["storescope", *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def begin_bench(node, **values):
    """The emulator, and the bench's Jobs."""
    node.objects = render({
        "emulator.enabled": True, "emulator.model": "none", "bench.enabled": True, "bench.prepare": 5, "bench.run": "one",
        "bench.startDelaySeconds": 5, "bench.args": ["--size", "4KiB", "--concurrency", "4", "--count", "200", "--warmup", "8"], **values,
    })
    ready = begin_emulator(node)
    merge = next(
        one for one in node.objects if one["kind"] == "Job" and one["metadata"]["name"].endswith("-merge")
    )
    bench = next(one for one in node.objects if one["kind"] == "Job" and one["metadata"]["name"] + "-merge" == merge["metadata"]["name"])
    return ready, bench["spec"]["template"], merge["spec"]["template"]


def test_bench_and_merge(node):
    """Two workers meet, begin at one instant and leave their parts; the merge adds them up."""
    ready, bench, merge = begin_bench(node)
    merging = node.start(merge, "merge")
    workers = [node.start(bench, f"bench-{index}", index=index) for index in range(2)]
    told = [node.ended(worker, f"bench-{index}") for index, worker in enumerate(workers)]
    instants = {re.search(r"begins at (\S+)", text)[1] for text in told}
    assert len(instants) == 1, instants
    node.ended(merging, "merge")
    run = json.loads(store(node, ready, "cat", "oci://lake@emulator/results/one/all/run.json"))
    parts = [json.loads(store(node, ready, "cat", f"oci://lake@emulator/results/one/part-{part}/run.json")) for part in (1, 2)]
    assert run["requests"] == sum(part["requests"] for part in parts) == 200, run["requests"]
    assert run["total"]["count"] == 200
    assert "<html" in store(node, ready, "cat", "oci://lake@emulator/results/one/all/report.html")
    # What was prepared is gone.
    assert "bench/" not in store(node, ready, "ls", "oci://lake@emulator/")
    # By the server's own record, which is up to date once it has been asked for.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(ready["admin"] + "/record", timeout=30) as answer:
        answer.read()
    record = [json.loads(line) for line in Path(ready["record"]).read_text().splitlines()]
    reads = [line["target"] for line in record if line["method"] == "GET" and "worker-" in line["target"] and line["status"] in (200, 206)]
    assert sum("worker-1" in target for target in reads) >= 100 and sum("worker-2" in target for target in reads) >= 100


def test_a_run_is_not_replaced(node):
    """The same run of another Job: refused, with what to do."""
    ready, bench, merge = begin_bench(node, **{"bench.workers": 1})
    node.ended(node.start(bench, "first"), "first")
    text = node.ended(node.start(bench, "second", uid="uid-2"), "second", code=2)
    assert "set bench.run to another name" in text
    node.ended(node.start(merge, "merge"), "merge")
    assert json.loads(store(node, ready, "cat", "oci://lake@emulator/results/one/all/run.json"))["requests"] == 200


def test_a_worker_that_does_not_come(node):
    ready, bench, _ = begin_bench(node, **{"bench.joinTimeoutSeconds": 10})
    text = node.ended(node.start(bench, "alone"), "alone", code=1)
    assert "waited 10 s for ready/2" in text and "kubectl describe pod" in text


def test_a_worker_that_fails_ends_the_merge(node):
    ready, bench, merge = begin_bench(node, **{"bench.workers": 1, "bench.args": ["--no-such-option"]})
    merging = node.start(merge, "merge")
    node.ended(node.start(bench, "worker"), "worker", code=2)
    assert "worker 1: storescope bench ended with code 2" in node.ended(merging, "merge", code=1)


def test_a_bucket_that_is_not_there(node):
    """What docs/KUBERNETES.md says that a user sees."""
    _, bench, _ = begin_bench(node, **{"bench.results": "oci://other@emulator/results"})
    text = node.ended(node.start(bench, "worker"), "worker", code=1)
    assert "bucket not found, or not visible to this principal" in text and "cannot write to oci://other@emulator/results/one" in text


def test_helm_test_of_the_emulator(node):
    ready, _, _ = begin_bench(node)
    for component in ("emulator", "bench"):
        pod = named(node.objects, "Pod", f"{NAME}-test-{component}")
        node.ended(node.start(pod, f"test-{component}"), f"test-{component}")


def test_trainer(node):
    """Two workers: the first makes the data, both train, the first evaluates."""
    node.objects = render({
        "emulator.enabled": True, "emulator.model": "none", "trainer.enabled": True, "trainer.generateEvents": 1500,
        "trainer.softParticles": 20, "trainer.args": ["--epochs", "1", "--threads", "1"],
    })
    ready = begin_emulator(node)
    job = named(node.objects, "Job", f"{NAME}-trainer")
    for index in range(2):
        node.replaced[f"{job['metadata']['name']}-{index}.{NAME}-trainer:2222"] = f"127.0.0.1:{free_port()}"
    node.replaced["--watch-port=2223"] = f"--watch-port={free_port()}"
    # Of a pod's own address; here two have one.
    node.replaced["--metrics=127.0.0.1:9480"] = f"--metrics=127.0.0.1:{(port := free_port())}-{port + 20}"
    template = job["spec"]["template"]
    made = [node.start(template, f"trainer-{index}", "data", index) for index in range(2)]
    for index, process in enumerate(made):
        node.ended(process, f"trainer-{index}", seconds=400)
    workers = [node.start(template, f"trainer-{index}", "trainer", index) for index in range(2)]
    for index, process in enumerate(workers):
        node.ended(process, f"trainer-{index}", seconds=400)
    result = json.loads(store(node, ready, "cat", "oci://lake@emulator/trainer/model/result.json"))
    assert result["options"]["workers"] == 2 and len(result["workers"]) == 2
    assert result["model"]["name"] == "hlf" and result["io"]["requests"] > 0


def test_spark(node):
    """The driver's command with `local-cluster` in place of the API server: the application, its event log and its report."""
    import pyspark

    node.objects = render({
        "emulator.enabled": True, "emulator.model": "none", "spark.enabled": True,
        "spark.arguments": [
            "generate", "dimuon", "--events", "2000", "--files", "2", "--engine", "spark", "--out", "oci://lake@emulator/dimuon",
        ],
        "spark.eventLog": "oci://lake@emulator/events", "spark.report": "oci://lake@emulator/reports",
        "spark.executor.memory": "1g", "spark.executor.cores": 1, "spark.driver.memory": "1g",
    })
    ready = begin_emulator(node)
    home = Path(pyspark.__file__).parent
    job = named(node.objects, "Job", f"{NAME}-spark")
    node.replaced |= {
        "k8s://https://kubernetes.default.svc": "local-cluster[2,1,1024]",
        f"{NAME}-spark-driver.{charts.NAMESPACE}.svc": "127.0.0.1",
        "spark.driver.port 7078": f"spark.driver.port {free_port()}",
        "spark.driver.blockManager.port 7079": f"spark.driver.blockManager.port {free_port()}",
        # One for each process of this machine; of a pod it is the only one.
        "spark.blockManager.port 7079": "spark.blockManager.port 0",
        "127.0.0.1:9464": "127.0.0.1:0", "127.0.0.1:9497": f"127.0.0.1:{free_port()}",
        "/opt/spark/bin": str(home / "bin"), "/opt/storescope": str(IMAGES / "spark"),
        # The image holds the jar in its class path.
        "spark.plugins ": f"spark.driver.extraClassPath {os.environ['STORESCOPE_JARS']}\n"
                          f"spark.executor.extraClassPath {os.environ['STORESCOPE_JARS']}\nspark.plugins ",
    }
    template = job["spec"]["template"]
    template["spec"]["containers"][0]["env"] += [
        {"name": "PYSPARK_PYTHON", "value": sys.executable}, {"name": "SPARK_HOME", "value": str(home)},
        {"name": "SPARK_LOCAL_IP", "value": "127.0.0.1"},
    ]
    node.ended(node.start(template, "driver", "event-log"), "driver")
    node.ended(node.start(template, "driver", "driver"), "driver", seconds=400)
    assert "dimuon-0001.root" in store(node, ready, "ls", "oci://lake@emulator/dimuon/")
    # On Kubernetes the application has the id that spark.app.id names; here the master gives one.
    (application,) = re.findall(r"eventlog_v2_(\S+)/", store(node, ready, "ls", "oci://lake@emulator/events/"))
    report = json.loads(store(node, ready, "cat", f"oci://lake@emulator/reports/{application}/run.json"))
    assert report["requests"] > 0
