# SPDX-License-Identifier: Apache-2.0
"""Every way out of a running process against PyPI `hdrhistogram`, which shares no code with ours: the endpoint's log, its
percentiles and JSON, the interval log; and OTLP pushes, decoded by PyPI `opentelemetry-proto`."""

from __future__ import annotations

import bisect
import itertools
import json

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

import exporting

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run that has ended: what the endpoint said when it was idle, and what it left."""
    folder = tmp_path_factory.mktemp("exports")
    with exporting.receiver() as receiver, exporting.exporting(folder, receiver.url) as running:
        (folder / "scraped.hlog").write_text(running.get("/hlog"))
        (folder / "scraped.json").write_text(running.get("/json"))
        tags = json.loads((folder / "scraped.json").read_text())["keys"]
        percentiles = {tag: running.get(f"/hgrm/{tag}") for tag in tags}
        running.end()
        yield running, percentiles, receiver


@pytest.fixture(scope="module")
def scraped(ended) -> tuple[dict, dict]:
    """Histograms of the scraped log, and figures of the scraped JSON, by tag."""
    folder = ended[0].folder
    return exporting.histograms(folder / "scraped.hlog"), json.loads((folder / "scraped.json").read_text())["keys"]


def test_the_endpoints_log_holds_what_its_json_says(scraped):
    histograms, figures = scraped
    assert histograms.keys() == figures.keys()
    assert figures["call/head/total/ok/-/-"]["count"] == exporting.HEADS
    for tag, histogram in histograms.items():
        unit = "bytes" if "/bytes_" in tag else "ns"
        assert histogram.get_total_count() == figures[tag]["count"], tag
        for name, quantile in QUANTILES.items():
            assert exporting.value_at(histogram, quantile) == figures[tag][f"{name}_{unit}"], (tag, name)


def test_the_percentile_output_is_hdrhistograms_own(ended, scraped):
    histograms, _ = scraped
    for tag, text in ended[1].items():
        histogram, divisor = histograms[tag], 1 if "/bytes_" in tag else 1e6
        counted = Counted(histogram)
        rows = [line.split() for line in text.splitlines()[1:] if line and not line.startswith("#")]
        assert int(rows[-1][2]) == histogram.get_total_count(), tag
        for value, quantile, seen, *_ in rows:
            value = round(float(value) * divisor)
            assert value in counted.ends and counted.up_to(value) == int(seen), (tag, value)
            # Twelve digits of a quantile may fall to either side of a rank.
            around = [exporting.value_at(histogram, float(quantile) + by) for by in (-1e-9, 1e-9)]
            assert around[0] <= value <= around[1], (tag, quantile)
        # The same columns as its own output has.
        assert text.splitlines()[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
        assert text.splitlines()[-3].startswith("#[Mean ") and text.splitlines()[-1].startswith("#[Buckets ")


def test_the_interval_log_adds_up_to_the_whole(ended):
    running = ended[0]
    whole = exporting.histograms(running.whole_log)
    intervals = exporting.histograms(running.interval_log)
    assert intervals.keys() == whole.keys()
    for tag, histogram in whole.items():
        assert recorded(intervals[tag]) == recorded(histogram), tag
    lines = [line for line in running.interval_log.read_text().splitlines() if line.startswith("Tag=call/head/total/")]
    assert len(lines) > 1, "one interval only"


@pytest.fixture(scope="module")
def pushed(ended) -> dict:
    """The metrics of the last push, by name."""
    running, _, receiver = ended
    assert len(receiver.bodies) > 1, "one push only"
    request = ExportMetricsServiceRequest.FromString(receiver.bodies[-1])
    [resource] = request.resource_metrics
    names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert names["service.name"] == "storescope" and len(names["service.instance.id"]) == 32
    [scope] = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def points(metric) -> dict[str, object]:
    """The points of `storescope.phase.duration` by tag."""
    parts = ("level", "operation", "phase", "outcome", "size", "connection")
    found = {}
    for point in metric.exponential_histogram.data_points:
        given = {attribute.key: attribute.value.string_value for attribute in point.attributes}
        found["/".join(given.get(f"storescope.{part}", "-") for part in parts)] = point
    return found


def test_every_time_is_pushed_with_its_count_and_exact_sum(ended, pushed):
    whole, exact = exporting.histograms(ended[0].whole_log), exporting.exact(ended[0].whole_log)
    metric = pushed["storescope.phase.duration"]
    assert metric.unit == "s"
    assert metric.exponential_histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    found = points(metric)
    assert found.keys() == {tag for tag in whole if "/bytes_" not in tag}
    for tag, point in found.items():
        assert point.count == whole[tag].get_total_count(), tag
        assert point.zero_count + sum(point.positive.bucket_counts) == point.count, tag
        told = [round(seconds * 1e9) for seconds in (point.sum, point.min, point.max)]
        assert told == list(exact[tag]), tag
        assert 0 < point.start_time_unix_nano < point.time_unix_nano


def test_the_pushed_buckets_hold_the_logs_values(ended, pushed):
    whole = exporting.histograms(ended[0].whole_log)
    for tag, point in points(pushed["storescope.phase.duration"]).items():
        assert point.scale >= 3
        base, seen, counted = 2 ** (2**-point.scale), point.zero_count, Counted(whole[tag])
        for number, count in enumerate(point.positive.bucket_counts, point.positive.offset + 1):
            seen += count
            bound = base**number * 1e9
            # A bucket of ours that straddles a bound goes where its middle lies.
            low = counted.up_to(bound * (1 - exporting.OURS) - 256)
            high = counted.up_to(bound * (1 + exporting.OURS) + 256)
            assert low <= seen <= high, (tag, number)


def test_attempts_are_pushed_by_opentelemetrys_name(ended, pushed):
    metric = pushed["http.client.request.duration"]
    whole = exporting.histograms(ended[0].whole_log)
    counts: dict[tuple, int] = {}
    for point in metric.exponential_histogram.data_points:
        given = {attribute.key: attribute.value.string_value for attribute in point.attributes}
        name = (given["storescope.operation"], given["http.request.method"], given.get("error.type", "ok"))
        counts[name] = point.count
    expected: dict[tuple, int] = {}
    methods = {"head": "HEAD", "put": "PUT", "get_namespace": "GET"}
    for tag, histogram in whole.items():
        level, operation, phase, outcome, *_ = tag.split("/")
        if (level, phase) == ("attempt", "total"):
            name = (operation, methods[operation], outcome)
            expected[name] = expected.get(name, 0) + histogram.get_total_count()
    assert counts == expected and counts[("head", "HEAD", "ok")] >= exporting.HEADS


def test_bytes_and_gauges_are_pushed(ended, pushed):
    exact = exporting.exact(ended[0].whole_log)
    sums = sorted(point.as_int for point in pushed["storescope.bytes"].sum.data_points)
    assert sums == sorted(numbers[0] for tag, numbers in exact.items() if "/bytes_" in tag)
    assert pushed["storescope.retries"].sum.is_monotonic
    [calls] = pushed["storescope.calls.in_flight"].gauge.data_points
    assert calls.as_int == 0


def recorded(histogram) -> list[tuple[int, int]]:
    return [(item.value_iterated_to, item.count_added_in_this_iter_step) for item in histogram.get_recorded_iterator()]


class Counted:
    """How many values of a histogram are in buckets that end at or below a value."""

    def __init__(self, histogram) -> None:
        buckets = [(histogram.get_highest_equivalent_value(value), count) for value, count in recorded(histogram)]
        self.ends = [end for end, _ in buckets]
        self.sums = [0, *itertools.accumulate(count for _, count in buckets)]

    def up_to(self, value: float) -> int:
        return self.sums[bisect.bisect_right(self.ends, value)]
