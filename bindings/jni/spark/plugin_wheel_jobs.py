# SPDX-License-Identifier: Apache-2.0
"""A job whose Python workers read by the wheel, while Spark itself reads by the jar."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import jobs
import plugin_jobs


def by_wheel(site: Path, url: str, report: str, options: dict[str, str], reads: int, master: str) -> dict:
    """Each task of a stage reads an object by the wheel, so many times; the stage's rows come by the jar."""
    os.environ["WHEEL_STORE"] = json.dumps(options)
    spark = plugin_jobs.session(
        site, master, report,
        **{"spark.executorEnv.WHEEL_STORE": json.dumps(options), "spark.executor.memory": "800m"},
    )  # fmt: skip
    jobs.rows(spark, 4000).write.parquet(url + "/table")

    def read(batches: Iterator) -> Iterator:
        import storescope

        store = storescope.open_store(url + "/", **json.loads(os.environ["WHEEL_STORE"]))
        for _ in range(reads):
            assert len(store.get("object")) == 1 << 20
        yield from batches

    table = spark.read.parquet(url + "/table")
    told = {"rows": table.mapInArrow(read, table.schema).count(), "application": spark.sparkContext.applicationId}
    spark.stop()
    return told


if __name__ == "__main__":
    jobs.main(globals())
