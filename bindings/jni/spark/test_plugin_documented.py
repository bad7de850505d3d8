# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/SPARK.md, as they stand there: the first report, and what its three worked examples are told to be."""

from __future__ import annotations

import json
import re

import documented
import jobs
import pytest
from documented import OF_SPARK

FIRST, READING = "Five minutes to the first report", "Reading a report"


@pytest.fixture
def reader(tmp_path):
    """Runs commands one after another in one shell, which then ends what they have started."""
    folder = documented.Folder(tmp_path / "reader", None, jobs.jars(), jobs.PYTHON, OF_SPARK)

    def runs(*scripts: str) -> str:
        script = "\n".join(["trap 'kill %1 || true' EXIT", *scripts])
        ran = folder.run(script)
        assert ran.returncode == 0, (ran.stdout + ran.stderr)[-8000:]
        return ran.stdout + ran.stderr

    runs.folder = folder
    return runs


def of(section: str) -> list[documented.Example]:
    return [example for example in documented.examples(OF_SPARK) if example.section == section]


def starts_the_store() -> str:
    return of(FIRST)[0].script()


def verdict(line: str) -> str:
    """A stage's line up to the word for what limits it, without its measured numbers."""
    return re.sub(r"\d[\d,.]*", "N", line.split("; ")[0])


def test_from_nothing_to_the_first_report(reader):
    assert len(of(FIRST)) == 2
    printed = reader(*(example.script() for example in of(FIRST)))
    (report,) = (reader.folder.at / "reports").iterdir()
    assert {file.name for file in report.iterdir()} == {"report.html", "run.json", "run.hlog"}
    total, stage = of(FIRST)[1].output
    assert total in printed and verdict(stage) in verdicts(printed)


def verdicts(printed: str) -> list[str]:
    return [verdict(line) for line in printed.splitlines()]


@pytest.mark.timeout(400)
def test_the_worked_examples(reader):
    assert len(of(READING)) == 2
    printed = reader(starts_the_store(), *(example.script() for example in of(READING)))
    scan, hashes = (example.output[0] for example in of(READING))
    assert "(CPU-bound)" in hashes and verdict(hashes) in verdicts(printed), printed[-6000:]
    # On a busy machine the processor has a larger share.
    assert "(storage-bound)" in scan
    beside = [verdict(scan).replace("storage-bound", word) for word in ("storage-bound", "storage and CPU")]
    assert set(beside) & set(verdicts(printed)), printed[-6000:]


def test_streams_that_are_not_ours(reader):
    (example,) = of("Streams that are not ours")
    (reader.folder.at / "job.py").write_text(ROUND)
    printed = reader(example.script().replace("--conf", "--conf spark.storescope.report=reports --conf", 1))
    (report,) = (reader.folder.at / "reports").iterdir()
    run = json.loads((report / "run.json").read_text())
    assert "20000" in printed and sum(cell["calls"].get("get", {"count": 0})["count"] for cell in run["cells"]) > 0


ROUND = """
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(20_000).write.parquet("table")
print(spark.read.parquet("table").selectExpr("count(id + 0)").first()[0])
"""
