# SPDX-License-Identifier: Apache-2.0
"""Spark sessions with the jars under judgement, and the jobs that tests run in a process of their own:
`python jobs.py FUNCTION CONFIGURATION_FOLDER RESULT_FILE ARGUMENTS`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

PYTHON = sys.executable
# The committers that Spark may be told to write with, by the properties that choose them.
COMMITTERS = {
    "file v1": {"mapreduce.fileoutputcommitter.algorithm.version": "1"},
    "file v2": {"mapreduce.fileoutputcommitter.algorithm.version": "2"},
    "manifest": {
        "mapreduce.outputcommitter.factory.scheme.oci":
            "org.apache.hadoop.mapreduce.lib.output.committer.manifest.ManifestCommitterFactory",
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class":
            "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    },
}


def jars() -> str:
    """The class path under judgement."""
    named = os.environ["STORESCOPE_JARS"]
    missing = [jar for jar in named.split(":") if not Path(jar).is_file()]
    assert not missing, f"STORESCOPE_JARS names what is not there: {missing}"
    return named


def session(site: Path, master: str = "local[2]", **settings: str):
    """A session that reads `site/core-site.xml` as Hadoop does."""
    from pyspark.sql import SparkSession

    os.environ["HADOOP_CONF_DIR"] = str(site)
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = PYTHON
    builder = SparkSession.builder.master(master).appName("judge")
    chosen = {
        "spark.driver.extraClassPath": jars(),
        "spark.executor.extraClassPath": jars(),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.catalogImplementation": "in-memory",
        **settings,
    }
    for name, value in chosen.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def lineage(at) -> list[str]:
    """The names of a Java class and of those above it, up to Hadoop's."""
    names = []
    while not at.getName().startswith("org.apache.hadoop."):
        names.append(at.getName())
        at = at.getSuperclass()
    return names


def rows(spark, count: int = 20_000):
    """A table: `id`, `part` of four values, `value`, and a text that does not compress to nothing."""
    from pyspark.sql import functions as F

    return spark.range(0, count, 1, 4).select(
        "id",
        (F.col("id") % 4).cast("int").alias("part"),
        (F.col("id") * 7 % 1000).alias("value"),
        F.sha2(F.col("id").cast("string"), 256).alias("text"),
    )


def same(left, right) -> bool:
    """Whether two tables hold the same rows."""
    right = right.select(left.columns)
    return left.exceptAll(right).isEmpty() and right.exceptAll(left).isEmpty()


# The jobs.


def round_trip(site: Path, url: str) -> dict:
    """Writes a table and reads it again."""
    spark = session(site)
    table = rows(spark)
    table.write.parquet(url)
    hadoop = spark._jvm.org.apache.hadoop
    told = {
        "same": same(table, spark.read.parquet(url)),
        "classes": lineage(hadoop.fs.FileSystem.getFileSystemClass("oci", spark._jsc.hadoopConfiguration())),
        "hadoop": hadoop.util.VersionInfo.getVersion(),
    }
    spark.stop()
    return told


def by_hand(site: Path, url: str) -> list[str]:
    """What notebooks do: the FileSystem's own methods, which py4j looks up by reflection."""
    spark = session(site)
    rows(spark).write.parquet(url)
    path = spark._jvm.org.apache.hadoop.fs.Path(url)
    fs = path.getFileSystem(spark._jsc.hadoopConfiguration())
    names = sorted(status.getPath().getName() for status in fs.listStatus(path))
    spark.stop()
    return names


def refused(site: Path, url: str) -> str:
    """What is said of a configuration with which nothing can be written."""
    spark = session(site)
    try:
        rows(spark).write.parquet(url)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("it was written")


def class_loaders(site: Path, url: str, settings: dict[str, str]) -> dict:
    """The same with the jar in a class loader of Spark's as well."""
    spark = session(site, **settings)
    table = rows(spark)
    table.write.parquet(url)
    told = {"same": same(table, spark.read.parquet(url))}
    spark.stop()
    return told


def speculated(site: Path, url: str, folder: str, master: str) -> dict:
    """A job whose first task waits until a second attempt of it has begun, and fails the job if none does."""
    spark = session(
        site,
        master,
        **{
            "spark.executor.memory": "600m",
            "spark.task.maxFailures": "1",
            "spark.speculation": "true",
            "spark.speculation.interval": "100ms",
            "spark.speculation.quantile": "0.25",
            "spark.speculation.multiplier": "1.01",
        },
    )
    second = Path(folder, "second-attempt")

    def numbers(partition: int, _: Iterator) -> Iterator[tuple[int, int]]:
        from pyspark import TaskContext

        for at in range(1000):
            yield (partition, at)
        if partition == 0 and TaskContext.get().attemptNumber() > 0:
            second.touch()
        if partition == 0:
            wait_for(second.exists)

    table = spark.sparkContext.parallelize(range(4), 4).mapPartitionsWithIndex(numbers).toDF("part int, at int")
    table.write.parquet(url)
    read = spark.read.parquet(url)
    told = {"rows": read.count(), "distinct": read.distinct().count(), "second": second.exists()}
    spark.stop()
    return told


def executor_killed(site: Path, url: str, folder: str, record: str) -> dict:
    """A job whose executor is killed while a task writes: after a part of its file was sent, by the server's record at the
    address `record`."""
    spark = session(
        site,
        "local-cluster[1,1,1024]",
        **{"spark.executor.memory": "800m", "spark.sql.parquet.compression.codec": "uncompressed"},
    )
    killed = Path(folder, "killed")

    def a_part_was_sent() -> bool:
        with urllib.request.urlopen(record) as answer:
            return any("uploadPartNum=" in line["target"] for line in json.load(answer))

    def blocks(partition: int, _: Iterator) -> Iterator[tuple[int, int, bytearray]]:
        for at in range(1024):
            yield (partition, at, bytearray(os.urandom(1 << 16)))
        if partition == 0 and not killed.exists():
            wait_for(a_part_was_sent)
            killed.touch()
            os.kill(executor(), signal.SIGKILL)
            wait_for(lambda: False)

    parts = spark.sparkContext.parallelize(range(2), 2).mapPartitionsWithIndex(blocks)
    table = parts.toDF("part int, at int, bytes binary")
    table.write.option("parquet.block.size", str(4 << 20)).parquet(url)
    read = spark.read.parquet(url)
    told = {"rows": read.count(), "distinct": read.select("part", "at").distinct().count(), "killed": killed.exists()}
    spark.stop()
    return told


def executor() -> int:
    """The JVM above this Python: its worker's daemon's parent."""
    daemon = os.getppid()
    above = int(Path(f"/proc/{daemon}/stat").read_text().rsplit(")", 1)[1].split()[1])
    for process in (daemon, above):
        if "java" in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].decode():
            return process
    raise AssertionError("no JVM above this Python")


def ended(pid: int) -> bool:
    """Whether a process is gone, or nobody but its parent knows of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.05)


def main(functions: dict) -> None:
    """Runs one of these by the command line."""
    _, job, site, result, arguments = sys.argv
    Path(result).write_text(json.dumps(functions[job](Path(site), **json.loads(arguments))))


if __name__ == "__main__":
    main(globals())
