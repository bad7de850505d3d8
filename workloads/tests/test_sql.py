# SPDX-License-Identifier: Apache-2.0
"""The engine spark-sql over the emulator, through the jar that ``STORESCOPE_JARS`` names: the same rows and counts as
physics.py. Local files, many cuts and bad input are in the matrix."""

from __future__ import annotations

import io
import os

import awkward as ak
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sql_cases import agrees, events
from storescope_workloads.errors import UsageError
from storescope_workloads.places import Folder, find
from storescope_workloads.reduction import sql_text
from storescope_workloads.reduction.cuts import Cuts
from storescope_workloads.reduction.datasets import of_files
from storescope_workloads.reduction.kernel import Reduction
from storescope_workloads.scan.engine import Job
from storescope_workloads.scan.job import Dataset, run
from storescope_workloads.reduction.sql import SqlEngine
from storescope_workloads.spark import session

# Py4J leaves its sockets to the garbage collector; Spark 3.5 compares versions by distutils.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:distutils Version:DeprecationWarning"
)


@pytest.fixture(scope="module")
def engine(settings):
    assert os.environ.get("STORESCOPE_JARS"), "STORESCOPE_JARS must name storescope's jar"
    spark = session("local[1]", {"spark.sql.shuffle.partitions": "1", "spark.default.parallelism": "1"}, None, settings, "test_sql")
    with SqlEngine(spark) as running:
        yield running


def put(store, name, table):
    data = io.BytesIO()
    pq.write_table(ak.to_arrow_table(table, extensionarray=False), data, row_group_size=300)
    store.put(name, data.getvalue())


def rows_of(store, dataset):
    keys = [entry.key for entry in store.list(f"out/pairs/batch=00000/dataset={dataset}/") if entry.key.endswith(".parquet")]
    return pa.concat_tables(pq.read_table(pa.BufferReader(bytes(store.get(key))), partitioning=None) for key in sorted(keys))


def test_rows_counts_and_requests(engine, place, store, settings, seen):
    tables = dict(enumerate([events(1, 700), events(2, 400), events(3, 500)]))
    for number, table in tables.items():
        put(store, f"in/events {number}%.parquet", table)
    files = find(f"{place}/in/*.parquet", settings)
    cuts = Cuts.load("keep: {event: int64, met: float64, flag: bool, huge: float64, score: float64}")
    before = len(seen())
    datasets = [Dataset("one", tuple(files[:2])), Dataset("two", tuple(files[2:]))]
    finished = run(engine, datasets, Job(Reduction(cuts), settings=settings), Folder(f"{place}/out", settings))
    agrees(finished.summaries["one"], rows_of(store, "one"), {0: tables[0], 1: tables[1]}, cuts)
    agrees(finished.summaries["two"], rows_of(store, "two"), {2: tables[2]}, cuts)

    # Everything of the jar is in the result, and Python reads no event: it asks for metadata and versions.
    jar = [line for line in seen()[before:] if "(jvm)" in line["user_agent"]]
    told = [measured.snapshot for measured in finished.measured.values()]
    reads = [line for line in jar if line["method"] == "GET" and "/o/" in line["target"] and line["status"] < 300]
    assert sum(line["bytes_out"] for line in reads) == sum(one.bytes_received for one in told)
    assert len(jar) == sum(one.requests for one in told)
    for measured in finished.measured.values():
        assert 0 < measured.needed <= measured.read and measured.cpu_s > 0 and 0 < measured.wait_s


def test_other_formats_are_refused(engine, real, settings, tmp_path):
    datasets = of_files([str(real("nanoaod-dimuon.root"))], settings).datasets
    with pytest.raises(UsageError, match="nanoaod-dimuon.root: is a ttree; --engine spark-sql reads parquet alone"):
        run(engine, datasets, Job(Reduction(Cuts()), settings=settings), Folder(str(tmp_path / "out"), settings))


def test_names_are_quoted():
    assert sql_text.quoted("a`b.c:d") == "`a``b.c:d`"
    assert sql_text.text("it's a \\") == r"'it\'s a \\'"
