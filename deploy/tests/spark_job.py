# SPDX-License-Identifier: Apache-2.0
"""An application that writes, reads and shuffles on two executors until it is told to end: `python spark_job.py ARGUMENTS`, JSON.

It tells its id and the port of its UI in `FOLDER/application`, and ends when `FOLDER/stop` is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jobs
from pyspark.sql import functions as F


def main(folder: str, url: str, plugin_port: int, executor_ports: str) -> None:
    """Works until it is stopped."""
    spark = jobs.session(
        Path(folder, "conf"), "local-cluster[2,1,1024]",
        **{
            "spark.plugins": "io.github.storescope.spark.StorescopePlugin", "spark.storescope.send.interval": "1s",
            "spark.storescope.metrics": f"127.0.0.1:{plugin_port}", "spark.executor.memory": "800m",
            "spark.executorEnv.STORESCOPE_METRICS_ENDPOINT": f"127.0.0.1:{executor_ports}",
            "spark.ui.enabled": "true", "spark.ui.port": "0", "spark.ui.prometheus.enabled": "true",
            "spark.executor.heartbeatInterval": "2s", "spark.executor.processTreeMetrics.enabled": "true",
        },
    )  # fmt: skip
    told = {"id": spark.sparkContext.applicationId, "ui": int(spark.sparkContext.uiWebUrl.rsplit(":", 1)[1])}
    Path(folder, "application.part").write_text(json.dumps(told))
    Path(folder, "application.part").rename(Path(folder, "application"))
    while not Path(folder, "stop").exists():
        jobs.rows(spark, 40_000).repartition(12).write.mode("overwrite").parquet(f"{url}/table")
        for _ in range(3):
            table = spark.read.parquet(f"{url}/table")
            assert table.groupBy("value").agg(F.max("text")).count() == 1000
    spark.stop()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
