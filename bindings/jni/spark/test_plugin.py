# SPDX-License-Identifier: Apache-2.0
"""What the plugin tells of an application, against the server's own record of the same requests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

import core_site
import jobs
import plugin_jobs
import serving
from conftest import BUCKET, Place
from plugin_told import Told


def test_all_requests_are_told_by_stage(run, place, seen, tmp_path):
    told = run("written_and_read", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path))
    assert told["rows"] == 20_000
    report = Told(tmp_path, told["application"])
    assert report.sums()[0] == len(seen())
    assert len(report.stages) >= 3
    assert all(stage["tasks"]["failed"] == 0 for stage in report.stages)
    assert sum(stage["tasks"]["succeeded"] for stage in report.stages) >= 6
    assert report.run["notes"] == []
    for stage in report.stages:
        tasks = stage["tasks"]
        assert tasks["run_ms"] > 0
        assert stage["requests"] == 0 or 0 < tasks["waited_ms"] <= 2 * tasks["run_ms"]


def test_an_application_that_asks_nothing_of_a_store(run, server, tmp_path):
    told = run("nothing", core_site.oci(server), module=plugin_jobs, report=str(tmp_path))
    report = Told(tmp_path, told["application"])
    assert told["sum"] == 499500 and report.sums() == (0, 0)
    assert report.stages


def test_two_applications_in_one_jvm(run, place, seen, tmp_path):
    folders = [str(tmp_path / "first"), str(tmp_path / "second")]
    names = run("twice", core_site.oci(place.server), module=plugin_jobs, url=place.url, reports=folders)
    first, second = [Told(Path(folder), name) for folder, name in zip(folders, names)]
    assert first.sums()[0] + second.sums()[0] == len(seen())
    # The same job twice, and neither has the other's requests.
    assert first.sums()[0] == pytest.approx(second.sums()[0], abs=8)


def test_a_folder_that_cannot_be_written_leaves_the_report_elsewhere(run, place, tmp_path):
    (tmp_path / "file").write_text("no folder")
    told = run(
        "written_and_read", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path / "file"),
        settings={"spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={tmp_path}"},
    )  # fmt: skip
    assert Told(tmp_path / "storescope", told["application"]).sums()[0] > 0


def test_the_report_goes_into_a_store(run, place, tmp_path):
    url = place.url + "/reports"
    told = run("written_and_read", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=url)
    kept = place.under("reports").objects()
    assert [name.rsplit("/", 1)[-1] for name in kept] == ["report.html", "run.hlog", "run.json"]
    assert all(told["application"] in name for name in kept)


def test_a_failed_attempt_counts(run, place, seen, tmp_path):
    told = run("failing", core_site.oci(place.server), module=plugin_jobs, url=place.url, report=str(tmp_path))
    report = Told(tmp_path, told["application"])
    assert told["rows"] == 4000
    assert sum(stage["tasks"]["failed"] for stage in report.stages) == 1
    assert report.sums()[0] == len(seen())


def test_sparks_sinks_tell_the_counts_of_the_record(run, place, seen):
    told = run("metered", core_site.oci(place.server), module=plugin_jobs, url=place.url)
    figures = dict(re.findall(r"_plugin_\S*StorescopePlugin_(\w+)\{[^}]*\} (\S+)", told))
    # Spark removes what it wrote in a folder of its own after the last look.
    lines = [line for line in seen() if line["method"] == "PUT"]
    assert int(float(figures["put_requests_Value"])) == len(lines)
    gets = [line for line in seen() if line["method"] == "GET" and re.search(r"/o/[^?]", line["target"])]
    assert int(float(figures["get_requests_Value"])) == len(gets) > 0
    well = [line for line in gets if line["status"] in (200, 206)]
    assert int(float(figures["attempt_get_ttfb_nanoseconds_Count"])) == len(well)
    assert int(float(figures["get_failures_Value"])) == len(gets) - len(well)
    assert int(float(figures["bytesRead_Value"])) > 0 and int(float(figures["OCIReadTimeMuSec_Value"])) > 0


def test_the_page_shows_the_application_while_it_runs(begin, place, tmp_path):
    ended = begin("looked_at", core_site.oci(place.server), module=plugin_jobs, url=place.url, folder=str(tmp_path))
    jobs.wait_for((tmp_path / "written").exists)
    (address,) = set(re.findall(r"at (http://127\.0\.0\.1:\d+/)", (tmp_path / "log-0").read_text()))

    def shown(path: str) -> str:
        with urllib.request.urlopen(address + path) as answer:
            return answer.read().decode()

    jobs.wait_for(lambda: any(cell["requests"] for cell in json.loads(shown("run.json"))["cells"]))
    assert "<h2>Stages" in shown("") and shown("run.hlog").startswith("#")
    assert "the figures so far" in json.loads(shown("run.json"))["notes"][0]
    (tmp_path / "seen").touch()
    ended()
    # A line for each stage.
    assert re.search(r"INFO DriverSide: stage 0\.0 \(job 0: parquet at .*\): 4 tasks", (tmp_path / "log-0").read_text())


FILES = 12


@pytest.fixture
def stopwatch(tmp_path):
    """A jar with java/Stopwatch.java in it."""
    source = Path(__file__).parent / "java/Stopwatch.java"
    classes = tmp_path / "classes"
    pyspark = Path(jobs.PYTHON).parent.parent
    (spark,) = pyspark.glob("lib/python3.*/site-packages/pyspark")
    subprocess.run(["javac", "--release", "17", "-cp", f"{spark}/jars/*", "-d", str(classes), str(source)], check=True)
    jar = tmp_path / "stopwatch.jar"
    subprocess.run(["jar", "cf", str(jar), "-C", str(classes), "."], check=True)
    return spark / "bin/spark-submit", jar


@pytest.fixture
def slow():
    """A place in a store whose answers take as long as S3's."""
    with serving.serve("--bucket", BUCKET, "--model", "s3-standard") as server:
        yield Place(server, f"oci://{BUCKET}@{server.oci['namespace']}/slow")


def test_waiting_is_what_a_stopwatch_around_the_reads_says(stopwatch, slow, tmp_path):
    submit, jar = stopwatch
    place = slow
    site = core_site.write(tmp_path / "conf/core-site.xml", core_site.oci(place.server)).parent
    for number in range(FILES):
        (tmp_path / f"file-{number}").write_bytes(bytes(8 << 20))
        place.put(tmp_path / f"file-{number}", f"file-{number}")
    reports = tmp_path / "reports"
    settings = {
        **plugin_jobs.PLUGIN, "spark.storescope.report": str(reports), "spark.driver.extraClassPath": jobs.jars(),
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    ran = subprocess.run(
        [str(submit), "--master", "local[2]", *options, "--class", "Stopwatch", str(jar), place.url, str(FILES), str(1 << 20)],
        env={**os.environ, "HADOOP_CONF_DIR": str(site)}, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-6000:]
    watched = json.loads(ran.stdout.splitlines()[-1])
    assert watched["bytes"] == FILES * (8 << 20)
    (folder,) = reports.iterdir()
    report = Told(reports, folder.name)
    (stage,) = [stage for stage in report.stages if stage["requests"]]
    assert stage["tasks"]["waited_ms"] == pytest.approx(watched["nanos"] / 1e6, rel=0.02)
    assert stage["bytes"] == FILES * (8 << 20)


def test_an_application_that_leaves_its_context_open_comes_to_its_end(tmp_path):
    import pyspark

    (tmp_path / "open.py").write_text(
        "from pyspark.sql import SparkSession\nprint(SparkSession.builder.getOrCreate().range(10).count())\n"
    )
    settings = {
        **plugin_jobs.PLUGIN, "spark.storescope.report": str(tmp_path / "reports"), "spark.driver.extraClassPath": jobs.jars(),
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    submit = Path(pyspark.__file__).parent / "bin/spark-submit"
    ran = subprocess.run(
        [str(submit), "--master", "local[1]", *options, "open.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0 and ran.stdout == "10\n", ran.stderr[-6000:]
    (folder,) = (tmp_path / "reports").iterdir()
    assert Told(tmp_path / "reports", folder.name).run["notes"] == []
