# SPDX-License-Identifier: Apache-2.0
"""Jobs with the plugin, run in a process of their own as those of jobs.py are."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from pyspark import cloudpickle

import jobs

PLUGIN = {"spark.plugins": "io.github.storescope.spark.StorescopePlugin"}

# Spark's Prometheus servlet, at a port of its UI that is free.
SERVLET = {
    "spark.ui.enabled": "true", "spark.ui.port": "0",
    "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
    "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
    "spark.metrics.namespace": "judge",
}  # fmt: skip


# Under Python, Spark logs by the level of its gateway.
LOG = """
rootLogger.level = info
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
"""


def session(site: Path, master: str, report: str, **settings: str):
    # What tasks use of it is sent with them: it is on no worker's path.
    cloudpickle.register_pickle_by_value(jobs)
    chosen = {**PLUGIN, "spark.storescope.report": report, **settings}
    return jobs.session(site, master, **chosen)


def written_and_read(site: Path, url: str, report: str, master: str = "local[2]", settings: dict[str, str] | None = None) -> dict:
    """A table written, and read twice: all columns, then one."""
    spark = session(site, master, report, **(settings or {}))
    jobs.rows(spark).write.parquet(url + "/table")
    told = {
        "rows": spark.read.parquet(url + "/table").where("length(text) = 64").count(),
        "application": spark.sparkContext.applicationId,
    }
    spark.stop()
    return told


def twice(site: Path, url: str, reports: list[str]) -> list[str]:
    """Two applications, one after another, in one JVM."""
    return [
        written_and_read(site, f"{url}/{number}", report)["application"] for number, report in enumerate(reports)
    ]


def nothing(site: Path, report: str) -> dict:
    """A job that asks nothing of a store."""
    spark = session(site, "local[2]", report)
    told = {"sum": spark.range(1000).selectExpr("sum(id)").first()[0], "application": spark.sparkContext.applicationId}
    spark.stop()
    return told


def looked_at(site: Path, url: str, folder: str) -> str:
    """Writes a table, and waits until it was looked at."""
    log = Path(folder, "log4j2.properties")
    log.write_text(LOG)
    spark = session(site, "local[2]", "", **{"spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={log}"})
    jobs.rows(spark).write.parquet(url)
    Path(folder, "written").touch()
    jobs.wait_for(Path(folder, "seen").exists)
    application = spark.sparkContext.applicationId
    spark.stop()
    return application


def shown(site: Path, url: str, report: str, settings: dict[str, str]) -> dict[str, str]:
    """What can be seen of an application at work: its environment, a dump of Hadoop's configuration, the plugin's page."""
    log = Path(report).parent / "log4j2.properties"
    log.write_text(LOG + "logger.ours.name = io.github.storescope\nlogger.ours.level = trace\n")
    options = {
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={log}", "spark.ui.enabled": "true", "spark.ui.port": "0",
    }  # fmt: skip
    spark = session(site, "local[2]", report, **settings, **options)
    jobs.rows(spark, 2000).write.parquet(url + "/table")

    def read(path: str) -> str:
        with urllib.request.urlopen(spark.sparkContext.uiWebUrl.replace("0.0.0.0", "127.0.0.1") + path) as answer:
            return answer.read().decode()

    dumped = spark._jvm.java.io.StringWriter()
    spark._jvm.org.apache.hadoop.conf.Configuration.dumpConfiguration(spark._jsc.hadoopConfiguration(), dumped)
    told = {
        "environment": read("/environment/"),
        "rest": read(f"/api/v1/applications/{spark.sparkContext.applicationId}/environment"),
        "hadoop": dumped.toString(),
    }
    spark.stop()
    return told


def metered(site: Path, url: str) -> str:
    """What Spark's Prometheus servlet tells at the job's end."""
    spark = session(site, "local[2]", "", **SERVLET)
    jobs.rows(spark).write.parquet(url + "/table")
    assert spark.read.parquet(url + "/table").where("length(text) = 64").count() == 20_000
    port = spark.sparkContext.uiWebUrl.rsplit(":", 1)[1]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics/prometheus/") as answer:
        told = answer.read().decode()
    spark.stop()
    return told


def failing(site: Path, url: str, report: str) -> dict:
    """A task fails once after it has read, and is tried again. Spark reads for a Python worker by a thread of its own."""
    spark = session(site, "local[2,4]", report)
    jobs.rows(spark, 4000).coalesce(1).write.parquet(url + "/table")

    def once(rows: Iterator) -> Iterator:
        from pyspark import TaskContext

        yield from rows
        if TaskContext.get().attemptNumber() == 0:
            raise ValueError("the first attempt fails at its end")

    told = {
        "rows": spark.read.parquet(url + "/table").rdd.mapPartitions(once).count(),
        "application": spark.sparkContext.applicationId,
    }
    spark.stop()
    return told


def speculated(site: Path, url: str, report: str, folder: str, master: str) -> dict:
    """A task waits until a second attempt of it has begun, which ends the first."""
    spark = session(
        site, master, report,
        **{
            "spark.executor.memory": "600m", "spark.speculation": "true", "spark.speculation.interval": "100ms",
            "spark.speculation.quantile": "0.25", "spark.speculation.multiplier": "1.01",
        },
    )  # fmt: skip
    jobs.rows(spark, 4000).write.parquet(url + "/table")
    second = Path(folder, "second-attempt")

    def waits(rows: Iterator) -> Iterator:
        from pyspark import TaskContext

        task = TaskContext.get()
        if task.partitionId() == 0 and task.attemptNumber() > 0:
            second.touch()
        yield from rows
        if task.partitionId() == 0:
            jobs.wait_for(second.exists)

    spark.conf.set("spark.sql.files.maxPartitionBytes", "32kb")
    table = spark.read.parquet(url + "/table").rdd
    told = {"rows": table.mapPartitions(waits).count(), "application": spark.sparkContext.applicationId}
    spark.stop()
    return told


def executor_killed(site: Path, url: str, report: str, folder: str) -> dict:
    """An executor is killed while its task reads: Spark begins another, which reads again."""
    spark = session(site, "local-cluster[1,1,1024]", report, **{"spark.executor.memory": "800m"})
    jobs.rows(spark, 4000).coalesce(1).write.parquet(url + "/table")
    killed = Path(folder, "killed")

    def dies(rows: Iterator) -> Iterator:
        yield from rows
        if not killed.exists():
            killed.touch()
            os.kill(jobs.executor(), signal.SIGKILL)
            jobs.wait_for(lambda: False)

    table = spark.read.parquet(url + "/table").rdd
    told = {"rows": table.mapPartitions(dies).count(), "application": spark.sparkContext.applicationId}
    spark.stop()
    return told


def coming_and_going(site: Path, url: str, report: str, master: str) -> dict:
    """Executors come for each of two jobs, and go between them."""
    spark = session(
        site, master, report,
        **{
            "spark.executor.memory": "600m", "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.shuffleTracking.enabled": "true", "spark.dynamicAllocation.minExecutors": "0",
            "spark.dynamicAllocation.initialExecutors": "0", "spark.dynamicAllocation.executorIdleTimeout": "1s",
            "spark.dynamicAllocation.shuffleTracking.timeout": "1s",
        },
    )  # fmt: skip
    executors = spark.sparkContext._jsc.sc().getExecutorMemoryStatus
    jobs.rows(spark).write.parquet(url + "/table")
    # The driver is one of them.
    jobs.wait_for(lambda: executors().size() == 1)
    told = {
        "rows": spark.read.parquet(url + "/table").where("length(text) = 64").count(),
        "application": spark.sparkContext.applicationId,
    }
    spark.stop()
    return told


def driver_killed(site: Path, url: str, report: str, folder: str) -> None:
    """Reads and writes, tells who it is, and waits for its end."""
    spark = session(site, "local[2]", report, **{"spark.storescope.report.interval": "1s", "spark.storescope.send.interval": "1s"})
    jobs.rows(spark).write.parquet(url + "/table")
    spark.read.parquet(url + "/table").where("length(text) = 64").count()
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    Path(folder, "driver.part").write_text(json.dumps({"pid": pid, "application": spark.sparkContext.applicationId}))
    Path(folder, "driver.part").rename(Path(folder, "driver"))
    jobs.wait_for(lambda: False)


def beside(site: Path, url: str, report: str, measured: str) -> dict:
    """Files that are read whole, a file a task, with sparkMeasure's listener in the same application."""
    spark = session(
        site, "local[2]", report,
        **{
            "spark.extraListeners": "ch.cern.sparkmeasure.FlightRecorderStageMetrics",
            "spark.sparkmeasure.outputFormat": "json", "spark.sparkmeasure.outputFilename": measured,
            "spark.sql.files.openCostInBytes": "1g",
        },
    )  # fmt: skip
    table = jobs.rows(spark)
    table.select("text").write.text(url + "/text")
    table.write.parquet(url + "/table")
    told = {
        "lines": spark.read.text(url + "/text").where("length(value) = 64").count(),
        "rows": spark.read.parquet(url + "/table").where("length(text) = 64").count(),
        "application": spark.sparkContext.applicationId,
    }
    spark.stop()
    return told


def scraped(site: Path, url: str, folder: str) -> None:
    """Writes, reads, tells the port of Spark's UI, and waits until it was scraped."""
    spark = session(site, "local[2]", "", **SERVLET)
    jobs.rows(spark).write.parquet(url + "/table")
    assert spark.read.parquet(url + "/table").where("length(text) = 64").count() == 20_000
    Path(folder, "port.part").write_text(spark.sparkContext.uiWebUrl.rsplit(":", 1)[1])
    Path(folder, "port.part").rename(Path(folder, "port"))
    jobs.wait_for(Path(folder, "scraped").exists)
    spark.stop()


def folders_read(site: Path, url: str, report: str, folders: list[str]) -> dict:
    """Each folder of files is read whole, by a job of its own."""
    spark = session(site, "local[2]", report, **{"spark.sql.files.openCostInBytes": "1g"})
    told = {
        "bytes": [
            spark.read.format("binaryFile").load(f"{url}/{folder}").selectExpr("sum(length(content))").first()[0]
            for folder in folders
        ],
        "application": spark.sparkContext.applicationId,
    }
    spark.stop()
    return told


def with_another_jar(site: Path, url: str, report: str, classes: str) -> dict:
    """Executors have these classes before those of the jar."""
    spark = session(
        site, "local-cluster[1,1,1024]", report,
        **{"spark.executor.memory": "800m", "spark.executor.extraClassPath": f"{classes}:{jobs.jars()}"},
    )  # fmt: skip
    jobs.rows(spark, 4000).write.parquet(url + "/table")
    told = {"rows": spark.read.parquet(url + "/table").count(), "application": spark.sparkContext.applicationId}
    spark.stop()
    return told


if __name__ == "__main__":
    jobs.main(globals())
