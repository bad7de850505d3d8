# SPDX-License-Identifier: Apache-2.0
"""The plugin in a server of Spark Connect, whose clients have no JVM. Run by a Python that has pyspark's extra `connect`."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import core_site
import jobs
import plugin_jobs
from plugin_told import Told


def test_what_clients_of_spark_connect_ask_is_told(place, seen, tmp_path):
    import pyspark
    from pyspark.sql import SparkSession

    site = core_site.write(tmp_path / "conf/core-site.xml", core_site.oci(place.server)).parent
    reports, log = tmp_path / "reports", tmp_path / "log"
    settings = {
        **plugin_jobs.PLUGIN, "spark.storescope.report": str(reports), "spark.driver.extraClassPath": jobs.jars(),
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
        "spark.connect.grpc.binding.port": "0", "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.sql.catalogImplementation": "in-memory", "spark.sql.artifact.isolation.enabled": "false",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    submit = Path(pyspark.__file__).parent / "bin/spark-submit"
    with log.open("w") as output:
        server = subprocess.Popen(
            [str(submit), "--master", "local[2]", *options,
             "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"],
            env={**os.environ, "HADOOP_CONF_DIR": str(site)}, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path,
        )  # fmt: skip
    try:
        jobs.wait_for(lambda: "Spark Connect server started at" in log.read_text() or server.poll() is not None)
        port = log.read_text().split("Spark Connect server started at:")[1].split()[0].rsplit(":", 1)[1]
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
        jobs.rows(spark).write.parquet(place.url + "/table")
        assert spark.read.parquet(place.url + "/table").where("length(text) = 64").count() == 20_000
        spark.stop()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    (folder,) = reports.iterdir()
    report = Told(reports, folder.name)
    assert report.sums()[0] == len(seen()) > 0
    assert report.run["notes"] == [] and sum(stage["bytes"] for stage in report.stages) > 0
