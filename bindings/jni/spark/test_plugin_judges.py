# SPDX-License-Identifier: Apache-2.0
"""What the plugin tells beside what others count of the same application: Prometheus, and the server's record stage by stage.
`STORESCOPE_TEST_PROMETHEUS` names the binary of Prometheus."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest

import core_site
import jobs
import plugin_jobs
import serving
from conftest import BUCKET, Place
from plugin_told import Told


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


@pytest.fixture
def prometheus(tmp_path):
    """Starts Prometheus over targets by their names; asks it for a value."""
    begun = []

    def scraping(targets: dict[str, tuple[str, str]]):
        jobs_of = [
            {"job_name": name, "scrape_interval": "1s", "metrics_path": path, "static_configs": [{"targets": [target]}]}
            for name, (target, path) in targets.items()
        ]
        folder = tmp_path / "prometheus"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs_of}))
        address = f"127.0.0.1:{free_port()}"
        command = [
            os.environ["STORESCOPE_TEST_PROMETHEUS"], f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data", f"--web.listen-address={address}",
        ]  # fmt: skip
        log = (folder / "log").open("w")
        begun.append(subprocess.Popen(command, stdout=log, stderr=log))

        def values(query: str) -> list[float]:
            url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
            try:
                with urllib.request.urlopen(url) as answer:
                    return [float(row["value"][1]) for row in json.load(answer)["data"]["result"]]
            except OSError:
                return []

        return values

    yield scraping
    for process in begun:
        process.kill()
        process.wait()


def test_prometheus_scrapes_the_same_counts_by_sparks_servlet_and_by_our_endpoint(
    begin, place, seen, prometheus, tmp_path, monkeypatch
):
    ours = free_port()
    monkeypatch.setenv("STORESCOPE_METRICS_ENDPOINT", str(ours))
    ended = begin("scraped", core_site.oci(place.server), module=plugin_jobs, url=place.url, folder=str(tmp_path))
    jobs.wait_for((tmp_path / "port").exists)
    sparks = (tmp_path / "port").read_text()
    values = prometheus(
        {"spark": (f"127.0.0.1:{sparks}", "/metrics/prometheus/"), "ours": (f"127.0.0.1:{ours}", "/metrics")}
    )
    gets = [line for line in seen() if line["method"] == "GET" and "/o/" in line["target"]]
    puts = [line for line in seen() if line["method"] == "PUT"]
    well = [line for line in gets if line["status"] in (200, 206)]
    plugin = '{__name__=~".*_plugin_.*StorescopePlugin_%s",job="spark"}'
    endpoint = 'sum(storescope_phase_seconds_count{job="ours",level="attempt",operation="%s",phase="%s"%s})'
    jobs.wait_for(lambda: values('up{job="spark"}') == values('up{job="ours"}') == [1])
    assert len(puts) > 0 and len(well) > 0
    assert values(plugin % "put_requests_Value") == [len(puts)]
    assert values(plugin % "get_requests_Value") == [len(gets)] == values(endpoint % ("get", "total", ""))
    assert values(endpoint % ("put", "total", "")) == [len(puts)]
    first_bytes = values(plugin % "attempt_get_ttfb_nanoseconds_Count")
    assert first_bytes == [len(well)] == values(endpoint % ("get", "ttfb", ',outcome="ok"'))
    (tmp_path / "scraped").touch()
    ended()


FILES, SIZE = 300, 40_000
RANKS, WAKING_MS = 0.004, 0.3


def quantile(ordered: list[float], of: float) -> float:
    return ordered[max(0, math.ceil(of * len(ordered)) - 1)]


def test_quantiles_and_bytes_of_each_stage_are_those_of_the_record(run, tmp_path, monkeypatch):
    # A hedge that loses is in the record, and has no time.
    monkeypatch.setenv("STORESCOPE_HEDGE_AT", "0")
    with serving.serve("--bucket", BUCKET, "--model", "s3-standard") as server:
        place = Place(server, f"oci://{BUCKET}@{server.oci['namespace']}/folders")
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir()
            for number in range(FILES):
                (tmp_path / folder / str(number)).write_bytes(bytes(SIZE))
            place.put_all(tmp_path / folder, folder)
        before = len(server.record())
        told = run(
            "folders_read", core_site.oci(server), module=plugin_jobs, url=place.url, report=str(tmp_path), folders=["one", "two"],
        )  # fmt: skip
        lines = server.record()[before:]
    assert told["bytes"] == [FILES * SIZE] * 2
    report = Told(tmp_path, told["application"])
    read = [stage for stage in report.stages if stage["bytes"]]
    assert len(read) == 2
    for folder, stage in zip(("one", "two"), read):
        # The driver lists the folder, tasks ask for its files: by their numbers.
        asked = [line for line in lines if re.search(rf"folders%2F{folder}%2F\d", line["target"])]
        gets = [line for line in asked if "/o/" in line["target"] and line["method"] == "GET"]
        assert len(gets) == FILES and stage["requests"] == len(asked)
        assert stage["bytes"] == sum(line["bytes_out"] for line in gets) == FILES * SIZE
        times = sorted((line["first_byte_ns"] - line["head_read_ns"]) / 1e6 for line in asked)
        assert stage["ttfb"]["count"] == len(times)
        for name, of in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99)):
            # What the client needs to send and to be woken is in its time, and in none of the server's. On a busy machine a few
            # requests are woken late, and move a quantile by so many ranks.
            low, high = quantile(times, of - RANKS), quantile(times, of + RANKS)
            assert 0.99 * low <= stage["ttfb"][name] <= 1.01 * high + WAKING_MS, (name, low, quantile(times, of), high)
