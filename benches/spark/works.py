# SPDX-License-Identifier: Apache-2.0
"""One measurement, in a process of its own: `run.py` starts `python works.py SPECIFICATION` with the environment that it
made, and reads the lines of JSON that it prints, one for each place that counts.

A process starts Spark and does the work on the local disk, then twice on small objects of the store, so that classes are
loaded and compiled and connections stand; then once on what is counted. A table is written once, then overwritten."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from plan import PREADS, THREADS, WORKS
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f


def columns_of_wide(spark: SparkSession, root: str, warm: bool) -> Any:
    wide = spark.read.parquet(f"{root}/wide.parquet")
    return values(wide.agg(f.sum("c2"), f.sum("c9"), f.sum("c16"), f.count("c2")))


def group_by(spark: SparkSession, root: str, warm: bool) -> Any:
    sold = spark.read.parquet(f"{root}/sales")
    grouped = sold.groupBy("store", "channel", "promotion").agg(f.sum("quantity"), f.sum("amount"))
    return values(grouped.orderBy("store", "channel", "promotion"))


def few_keys(spark: SparkSession, root: str, warm: bool) -> Any:
    """A hundredth of the rows, in one of the files: the others are told apart by their footers."""
    first, count = (70_000, 1_200) if warm else (5_000_000, 120_000)
    sold = spark.read.parquet(f"{root}/sales").where(f.col("key").between(first, first + count - 1))
    return values(sold.agg(f.count("key"), f.sum("amount"), f.sum("quantity")))


def join(spark: SparkSession, root: str, warm: bool) -> Any:
    items = spark.read.parquet(f"{root}/items.parquet")
    joined = spark.read.parquet(f"{root}/sales").join(items, "item")
    total = f.sum(f.col("quantity") * f.col("price")), f.sum("amount")
    return values(joined.groupBy("category", "store").agg(*total).orderBy("category", "store"))


def small_files(spark: SparkSession, root: str, warm: bool) -> Any:
    small = spark.read.parquet(f"{root}/small")
    return values(small.agg(f.count("id"), f.sum("id"), f.sum("x"), f.sum("y"), f.sum("z")))


def values(frame: DataFrame) -> list[list[Any]]:
    return [list(row) for row in frame.collect()]


def in_order(spark: SparkSession, root: str, warm: bool) -> Any:
    return reads(spark).inOrder(f"{root}/bytes.bin", hadoop(spark))


def scattered(spark: SparkSession, root: str, warm: bool) -> Any:
    return reads(spark).scattered(f"{root}/bytes.bin", hadoop(spark), 5 * THREADS if warm else PREADS, THREADS)


def renamed(spark: SparkSession, root: str, warm: bool) -> Any:
    """A directory to another name and back: how many files it had there."""
    path = spark._jvm.org.apache.hadoop.fs.Path
    here, there = path(f"{root}/many"), path(f"{root}/many-renamed")
    fs = here.getFileSystem(hadoop(spark))
    assert fs.rename(here, there)
    files = len(fs.listStatus(there))
    assert fs.rename(there, here)
    return files


def reads(spark: SparkSession) -> Any:
    return spark._jvm.io.github.storescope.benches.Reads


def hadoop(spark: SparkSession) -> Any:
    return spark._jsc.hadoopConfiguration()


def overwrite(spark: SparkSession, root: str, warm: bool) -> Any:
    """32 files of a partitioned table take the place of 32: two tasks, 16 partitions."""
    table = f"{root}/table"
    rows = spark.range(0, 320_000, 1, 2).withColumn("half", f.col("id") * 0.5).withColumn("part", f.col("id") % 16)
    rows.write.mode("overwrite").partitionBy("part").parquet(table)
    return None


def files_of(spark: SparkSession, root: str) -> Any:
    """How many files a table has, and what is in it; asked after the clock stopped."""
    table = spark.read.parquet(f"{root}/table")
    files = len(table.select(f.input_file_name()).distinct().collect())
    return [files, *values(table.agg(f.count("id"), f.sum("id")))[0]]


HOW: dict[str, Callable[[SparkSession, str, bool], Any]] = {
    "W1": columns_of_wide,
    "W2a": group_by,
    "W2b": few_keys,
    "W2c": join,
    "W3": small_files,
    "W4": in_order,
    "W5": scattered,
    "RN": renamed,
    "O1": overwrite,
    "O2": overwrite,
    "OM": overwrite,
}


def main() -> None:
    asked = json.loads(sys.argv[1])
    work, writes = HOW[asked["work"]], WORKS[asked["work"]].writes
    builder = SparkSession.builder.master("local[2]").appName("bench")
    for name, value in asked["conf"].items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()

    work(spark, asked["local"], False)
    with at_most(asked["limit"], "before it counts"):
        # A table that is to be overwritten has to be there.
        for _ in range(1 if writes else 2):
            work(spark, asked["counted"][0] if writes else asked["warm"], True)
    for counted in asked["counted"]:
        spark._jvm.java.lang.System.gc()
        with at_most(asked["limit"], "while it counts"):
            told = measured(pid, lambda root=counted: work(spark, root, False))
        if writes:
            told["result"] = files_of(spark, counted)
        print(json.dumps(told), flush=True)
    spark.stop()


def measured(pid: int, work: Callable[[], Any]) -> dict[str, Any]:
    forget_peak(pid)
    cpu, began, clock = cpu_seconds(pid), time.time_ns(), time.perf_counter()
    result = work()
    return {
        "seconds": time.perf_counter() - clock,
        "cpu": cpu_seconds(pid) - cpu,
        "began_ns": began,
        "ended_ns": time.time_ns(),
        "peak_mib": peak_mib(pid),
        "result": result,
    }


def cpu_seconds(pid: int) -> float:
    """User and system time of all of the process's threads, native ones included."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_peak(pid: int) -> None:
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def peak_mib(pid: int) -> float:
    with open(f"/proc/{pid}/status") as file:
        peak = next(line for line in file if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


@contextmanager
def at_most(seconds: float, when: str) -> Iterator[None]:
    """Ends the process group, JVM included, when the work takes longer."""

    began = time.time_ns()

    def stop() -> None:
        print(json.dumps({"stopped": seconds, "when": when, "began_ns": began, "ended_ns": time.time_ns()}), flush=True)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


if __name__ == "__main__":
    main()
