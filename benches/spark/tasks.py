#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the plugin sends for a task, and what it holds in the driver: thousands of tasks that read a small object each.

    STORESCOPE_BIN=…/storescope benches/spark/tasks.py --jar …/storescope-hadoop-0.1.0.jar [--tasks 10000] [--stages 1,100]

Two executors of one core, in processes of their own. The driver's heap is committed and touched at its start, so that what its
resident memory grows by lies outside; what is in the heap is told after its garbage was collected. Each row without the plugin
stands beside it. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

import prepare
import rows
import server

SETTINGS = {
    "spark.driver.memory": "1g",
    "spark.driver.extraJavaOptions": "-Xms1g -XX:+AlwaysPreTouch",
    "spark.executor.memory": "800m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.port": "0",
    "spark.ui.showConsoleProgress": "false",
    "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.namespace": "bench",
    # A file a task.
    "spark.sql.files.openCostInBytes": "1g",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000000",
}


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] == "--child":
        print(json.dumps(child(json.loads(sys.argv[2]))))
        return
    asked = arguments()
    prepare.all_of(asked.cache, {rows.OURS})
    print("| stages | plugin | tasks | messages | bytes a task | driver's heap, MiB | driver's memory outside of it, MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="bench-tasks-") as scratch:
        data = Path(scratch) / "data"
        for number in range(asked.tasks):
            file = data / f"{number % 100}/{number}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{number}\n")
        with server.serve(asked.binary, Path(scratch) / "state", data, model="") as store:
            for stages in asked.stages:
                for plugin in (False, True):
                    told = measured(asked, store, Path(scratch), {"stages": stages, "plugin": plugin, "tasks": asked.tasks})
                    sent = f"{told['messages']:,} | {told['bytes'] / told['tasks']:,.0f}" if plugin else "– | –"
                    print(
                        f"| {stages} | {'on' if plugin else 'off'} | {told['tasks']:,} | {sent} | {told['heap_mib']:.1f} | "
                        f"{told['outside_mib']:.1f} |",
                        flush=True,
                    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "storescope/bench-spark"
    jar = target / "jni/storescope-hadoop/storescope-hadoop-0.1.0.jar"
    binary = os.environ.get("STORESCOPE_BIN", str(target / "ci/storescope"))
    parser.add_argument("--jar", type=Path, default=jar, help="our jar (%(default)s)")
    parser.add_argument("--binary", default=binary, help="storescope, which serves; STORESCOPE_BIN (%(default)s)")
    parser.add_argument("--cache", type=Path, default=cache, help="where what is made is kept (%(default)s)")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument(
        "--stages", type=lambda text: [int(number) for number in text.split(",")], default=[1, 100],
        help="how many stages the tasks are divided by, at most 100 (1,100)",
    )  # fmt: skip
    return parser.parse_args()


def measured(asked: argparse.Namespace, store: server.Server, scratch: Path, what: dict[str, Any]) -> dict[str, Any]:
    oci = next(row for row in rows.ROWS if row.name == rows.OURS)
    settings = {**SETTINGS, "spark.local.dir": str(scratch / "spark")}
    settings |= {f"spark.{place}.extraClassPath": str(asked.jar) for place in ("driver", "executor")}
    settings |= {f"spark.hadoop.{name}": value for name, value in oci.hadoop(store.ready).items()}
    settings["spark.hadoop.fs.oci.client.hostname"] = store.ready["oci"]["endpoint"]
    if what["plugin"]:
        settings |= dict(next(row for row in rows.ROWS if row.name == rows.PLUGIN).spark)
    specification = {**what, "conf": settings, "url": f"{store.bucket}/base"}
    command = [prepare.python(asked.cache), __file__, "--child", json.dumps(specification)]
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"}
    ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def child(asked: dict[str, Any]) -> dict[str, Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("tasks")
    for name, value in asked["conf"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    each = 100 // asked["stages"]
    for stage in range(asked["stages"]):
        folders = [f"{asked['url']}/{folder}" for folder in range(stage * each, (stage + 1) * each)]
        # One stage, and rows that the driver does not keep.
        spark.read.text(folders).write.format("noop").mode("overwrite").save()
    told = memory(spark)
    told |= {"tasks": asked["tasks"]} | (received(spark) if asked["plugin"] else {})
    spark.stop()
    return told


def memory(spark: Any) -> dict[str, float]:
    runtime, gc = spark._jvm.java.lang.Runtime.getRuntime(), spark._jvm.java.lang.System.gc
    gc()
    gc()
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    resident = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return {
        "heap_mib": (runtime.totalMemory() - runtime.freeMemory()) / (1 << 20),
        "outside_mib": int(resident.split()[1]) / 1024 - runtime.totalMemory() / (1 << 20),
    }


def received(spark: Any) -> dict[str, int]:
    """What the driver has been sent, by Spark's Prometheus servlet."""
    port = spark.sparkContext.uiWebUrl.rsplit(":", 1)[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics/prometheus/") as answer:
        text = answer.read().decode()
    figures = dict(re.findall(r"_plugin_\S*StorescopePlugin_received_(\w+)_Value\{[^}]*\} (\S+)", text))
    return {name: int(float(value)) for name, value in figures.items()}


if __name__ == "__main__":
    main()
