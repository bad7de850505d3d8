# SPDX-License-Identifier: Apache-2.0
"""Jobs of real Spark whose Python workers read by the wheel: `python pyspark_job.py JOB SETTINGS LOCAL_FOLDER`, with the store in
STORE. The last line says by JSON what was handed over by task attempt, and what tasks noted that they did."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import pytest
from handing import by_task, take
from pyspark import TaskContext
from pyspark.sql import SparkSession


def started(settings: dict[str, str], local: str) -> SparkSession:
    chosen = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.local.dir": local,
        **settings,
    }
    builder = SparkSession.builder.master("local[2,1]").appName("workers")
    for name, value in chosen.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def folder_of(spark: SparkSession, *, made: bool = True) -> Path:
    """Where the plugin of this executor collects: what it makes of its first local folder."""
    manager = spark._jvm.org.apache.spark.SparkEnv.get().blockManager().diskBlockManager()
    folder = Path(list(manager.localDirsString())[0]) / "storescope"
    if made:
        folder.mkdir()
    return folder


class Reads:
    """Made in the driver, used in workers: reads an object and notes that in a file of the task's."""

    def __init__(self, notes: Path) -> None:
        self.about = json.loads(os.environ["STORE"])
        self.notes = str(notes)

    def __call__(self, count: int) -> None:
        import storescope

        store = storescope.open_store(self.about["url"], **self.about["options"])
        for _ in range(count):
            assert store.get("obj-k") == b"data"
            self._note("read")

    @contextlib.contextmanager
    def task(self):
        """Notes that the task's function runs, and that it has ended."""
        self._note("begun")
        try:
            yield
        finally:
            self._note("ended")

    def _note(self, what: str) -> None:
        with open(f"{self.notes}/{what}-{TaskContext.get().taskAttemptId()}", "a") as file:
            file.write("x")

    def noted(self, what: str) -> dict[str, int]:
        paths = Path(self.notes).glob(f"{what}-*")
        return {path.name.partition("-")[2]: len(path.read_text()) for path in paths}


def prepared(settings, local, **more):
    spark = started(settings, local)
    notes = Path(local, "notes")
    notes.mkdir(parents=True)
    return spark, folder_of(spark, **more), Reads(notes)


def all_of(folder: Path, read: Reads) -> dict[str, dict[str, int]]:
    """What was handed over, once all has ended and it is what tasks noted: workers leave it a moment after their task."""
    handed, begun = [], time.monotonic()
    while True:
        has_ended = read.noted("begun") == read.noted("ended")
        handed += take_from_living(folder)
        told = {str(task): seen.requests for task, seen in by_task(handed).items()}
        if (has_ended and told == read.noted("read")) or time.monotonic() - begun > 20:
            return {"handed": told, "made": read.noted("read")}


def take_from_living(folder: Path):
    try:
        return take(folder)
    except (ConnectionRefusedError, FileNotFoundError):
        return []  # A worker ended just now.


def all_kinds(settings, local):
    """Tasks that succeed, that fail, that are not read to their end; one job after the other."""
    from pyspark.sql.functions import udf

    spark, folder, read = prepared(settings, local)

    def succeeds(batches):
        with read.task():
            for batch in batches:
                read(1 + TaskContext.get().partitionId())
                yield batch

    for _ in range(2):
        assert spark.range(0, 4, 1, 4).mapInArrow(succeeds, "id long").count() == 4

    @udf("long")
    def reading(number):
        read(1)
        return number

    assert spark.range(0, 6, 1, 3).select(reading("id").alias("id")).agg({"id": "sum"}).first()[0] == 15
    succeeded = read.noted("read")

    def fails(batches):
        with read.task():
            for _ in batches:
                read(3)
                raise ValueError("on purpose")
            yield from ()

    with pytest.raises(Exception, match="on purpose"):
        spark.range(0, 2, 1, 2).mapInPandas(fails, "id long").count()

    def goes_on(batches):
        with read.task():
            for batch in batches:
                for _ in range(100_000):
                    read(1)
                    yield batch

    assert len(spark.range(0, 4, 1, 2).mapInArrow(goes_on, "id long").limit(3).collect()) == 3
    return {"succeeded": succeeded, **all_of(folder, read)}


def off(settings, local):
    spark, folder, read = prepared(settings, local, made=False)

    def work(batches):
        for batch in batches:
            read(1)
            yield batch

    rows = spark.range(0, 4, 1, 4).mapInArrow(work, "id long").count()
    assert not folder.exists()
    return {"handed": {}, "rows": rows}


if __name__ == "__main__":
    job, settings, local = sys.argv[1:]
    told = globals()[job](json.loads(settings), local)
    SparkSession.getActiveSession().stop()
    print(json.dumps(told))
