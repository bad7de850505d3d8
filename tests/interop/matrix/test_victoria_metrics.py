# SPDX-License-Identifier: Apache-2.0
"""VictoriaMetrics takes our OTLP pushes and scrapes our endpoint. `STORESCOPE_TEST_VICTORIA_METRICS` names the binary
(`go install github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics@v1.140.0`)."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.parse

import pytest

import exporting

#: Buckets of VictoriaMetrics, into which it puts what it is pushed: 18 a decade.
THEIRS = 10 ** (1 / 18) - 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The server's address, and our run, which has ended; all that it recorded was pushed."""
    folder = tmp_path_factory.mktemp("exports")
    address, ours = f"127.0.0.1:{exporting.free_port()}", f"127.0.0.1:{exporting.free_port()}"
    config = {"scrape_configs": [{"job_name": "ours", "scrape_interval": "1s", "static_configs": [{"targets": [ours]}]}]}
    (folder / "scrape.yml").write_text(json.dumps(config))
    command = [
        os.environ.get("STORESCOPE_TEST_VICTORIA_METRICS", "victoria-metrics"), f"-httpListenAddr={address}",
        f"-storageDataPath={folder}/data", f"-promscrape.config={folder}/scrape.yml", "-search.latencyOffset=0s",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            exporting.wait_for("VictoriaMetrics", lambda: is_up(address))
            with exporting.exporting(folder, f"http://{address}/opentelemetry", ours) as running:
                scraped = exporting.wait_for("a scrape of all", lambda: counts_scraped(address))
                running.end()
            exporting.get(f"http://{address}/internal/force_flush")
            yield address, running, scraped
        finally:
            process.kill()
            process.wait()


def is_up(address: str) -> bool:
    try:
        return exporting.get(f"http://{address}/health") == b"OK"
    except OSError:
        return False


def query(address: str, text: str) -> list[dict]:
    return json.loads(exporting.get(f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': text})}"))["data"]["result"]


def counts_scraped(address: str) -> float:
    """How many calls of HEAD a scrape has told of, once it is all of them."""
    exporting.get(f"http://{address}/internal/force_flush")
    found = query(address, 'storescope_phase_seconds_count{level="call",operation="head",phase="total",outcome="ok"}')
    count = float(found[0]["value"][1]) if found else 0.0
    return count if count >= exporting.HEADS else 0.0


def test_the_endpoint_was_scraped(run):
    assert run[2] == exporting.HEADS


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_pushed_histograms_have_our_counts_and_quantiles(run, quantile):
    address, running, _ = run
    histogram = exporting.histograms(running.whole_log)["call/head/total/ok/-/-"]
    which = '"storescope.level"="call","storescope.operation"="head","storescope.phase"="total"'
    count = query(address, f'{{__name__="storescope.phase.duration_count",{which}}}')
    assert [float(row["value"][1]) for row in count] == [histogram.get_total_count()]
    told = query(address, f'histogram_quantile({quantile}, {{__name__="storescope.phase.duration_bucket",{which}}})')
    [told] = [float(row["value"][1]) for row in told]
    ours = exporting.value_at(histogram, quantile) / 1e9
    assert abs(told / ours - 1) <= THEIRS + exporting.NATIVE + exporting.OURS
