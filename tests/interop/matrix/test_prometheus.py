# SPDX-License-Identifier: Apache-2.0
"""Real Prometheus scrapes the endpoint: native histograms by protobuf, and classic ones by text. Its counts and sums are
those of our log, its quantiles within the width of its own bucket. `STORESCOPE_TEST_PROMETHEUS` names the binary (Debian's
2.42 or newer), else `prometheus` of the path."""

from __future__ import annotations

import json
import math
import os
import subprocess
import urllib.parse
from contextlib import contextmanager

import pytest

import exporting

QUANTILES = (0.5, 0.9, 0.99, 0.999)
BOUNDS = (0.0, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Prometheus:
    def __init__(self, address: str) -> None:
        self.address = address

    def values(self, query: str) -> dict[str, float]:
        """The value of each series by our tag."""
        url = f"http://{self.address}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            answer = json.loads(exporting.get(url))
        except OSError:
            return {}
        parts = ("level", "operation", "phase", "outcome", "size", "connection")
        return {
            "/".join(row["metric"].get(part, "") for part in parts): float(row["value"][1])
            for row in answer["data"]["result"]
        }


@contextmanager
def scraping(target: str, folder, *options: str):
    """A Prometheus that has scraped the target at least once."""
    folder.mkdir()
    config = {"scrape_configs": [{"job_name": "ours", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    server = Prometheus(f"127.0.0.1:{exporting.free_port()}")
    command = [
        os.environ.get("STORESCOPE_TEST_PROMETHEUS", "prometheus"), f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data", f"--web.listen-address={server.address}", *options,
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            exporting.wait_for("a scrape", lambda: server.values("storescope_build_info"))
            yield server
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    with exporting.receiver() as receiver, exporting.exporting(folder, receiver.url) as running:
        (folder / "scraped.hlog").write_text(running.get("/hlog"))
        yield running


@pytest.fixture(scope="module")
def histograms(run) -> dict:
    """Our times by tag, as PyPI `hdrhistogram` reads the log of the moment."""
    read = exporting.histograms(run.folder / "scraped.hlog")
    return {tag: histogram for tag, histogram in read.items() if "/bytes_" not in tag}


@pytest.fixture(scope="module")
def native(run):
    with scraping(run.address, run.folder / "native", "--enable-feature=native-histograms") as server:
        yield server


@pytest.fixture(scope="module")
def classic(run):
    with scraping(run.address, run.folder / "classic") as server:
        yield server


def test_native_histograms_hold_every_value(run, histograms, native):
    counts = {tag: histogram.get_total_count() for tag, histogram in histograms.items()}
    assert native.values("histogram_count(storescope_phase_seconds)") == counts
    sums = native.values("histogram_sum(storescope_phase_seconds)")
    exact = exporting.exact(run.folder / "scraped.hlog")
    assert {tag: round(seconds * 1e9) for tag, seconds in sums.items()} == {tag: exact[tag][0] for tag in histograms}


@pytest.mark.parametrize("quantile", QUANTILES)
def test_native_quantiles_are_within_a_bucket_of_ours(histograms, native, quantile):
    told = native.values(f"histogram_quantile({quantile}, storescope_phase_seconds)")
    assert told.keys() == histograms.keys()
    for tag, histogram in histograms.items():
        # Prometheus interpolates to a rank that is no whole number: between those on either side of it.
        rank = quantile * histogram.get_total_count()
        low, high = (at_rank(histogram, max(1, round_to(rank))) / 1e9 for round_to in (math.floor, math.ceil))
        width = exporting.NATIVE + exporting.OURS
        assert low * (1 - width) - 4 * exporting.NARROWEST <= told[tag] <= high * (1 + width) + 4 * exporting.NARROWEST, tag


def test_classic_histograms_hold_every_value(histograms, classic):
    counts = {tag: histogram.get_total_count() for tag, histogram in histograms.items()}
    assert classic.values("storescope_phase_seconds_count") == counts
    assert classic.values('storescope_phase_seconds_bucket{le="+Inf"}') == counts


@pytest.mark.parametrize("quantile", QUANTILES)
def test_classic_quantiles_are_in_the_bucket_of_ours(histograms, classic, quantile):
    told = classic.values(f"histogram_quantile({quantile}, storescope_phase_seconds_bucket)")
    assert told.keys() == histograms.keys()
    for tag, histogram in histograms.items():
        rank = quantile * histogram.get_total_count()
        low, high = (at_rank(histogram, max(1, round_to(rank))) / 1e9 for round_to in (math.floor, math.ceil))
        lower = max(bound for bound in BOUNDS if bound < low)
        upper = min((bound for bound in BOUNDS if bound >= high), default=BOUNDS[-1])
        assert lower <= told[tag] <= upper, tag


def test_counters_and_gauges(run, native, classic):
    for server in (native, classic):
        exact = exporting.exact(run.folder / "scraped.hlog")
        told = server.values("storescope_bytes_total")
        assert told == {tag: float(numbers[0]) for tag, numbers in exact.items() if "/bytes_" in tag}
        assert list(server.values("storescope_calls_in_flight").values()) == [1.0]
        assert list(server.values("storescope_retries_total").values()) == [0.0]


def at_rank(histogram, rank: int) -> int:
    return histogram.get_value_at_percentile(100 * rank / histogram.get_total_count())
