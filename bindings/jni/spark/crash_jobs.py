# SPDX-License-Identifier: Apache-2.0
"""The job whose JVM is killed while it writes: `python crash_jobs.py FUNCTION CONFIGURATION_FOLDER RESULT_FILE ARGUMENTS`."""

from __future__ import annotations

from pathlib import Path

import jobs

# Rows of each of the two files: some 8 MiB, which go by two parts of 5 MiB.
ROWS = 8_000


def table(spark):
    """Two partitions of rows that are a function of their number."""
    from pyspark.sql import functions as F

    text = F.repeat(F.sha2(F.col("id").cast("string"), 256), 16)
    return spark.range(0, 2 * ROWS, 1, 2).select("id", (F.col("id") >= ROWS).cast("int").alias("part"), text.alias("text"))


def write(spark, url: str, mode: str) -> None:
    """Writes it: what a task has goes to the store while it writes."""
    writer = table(spark).write.mode(mode).option("compression", "uncompressed")
    writer.option("parquet.block.size", str(1 << 20)).option("parquet.enable.dictionary", "false").parquet(url)


def written(site: Path, url: str, settings: dict[str, str], folder: str) -> None:
    """Tells which process its JVM is, and writes the table, one task after another."""
    spark = jobs.session(site, "local[1]", **settings)
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    Path(folder, "driver.part").write_text(str(pid))
    Path(folder, "driver.part").rename(Path(folder, "driver"))
    write(spark, url, "errorifexists")


if __name__ == "__main__":
    jobs.main(globals())
