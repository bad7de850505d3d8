# SPDX-License-Identifier: Apache-2.0
"""PyPI `hdrhistogram` reads the `.hlog` of a bench: equal counts, and its quantiles are those that
were printed. It is a port of the Java original and shares no code with ours."""

from __future__ import annotations

import json
import subprocess
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

import serving

# A multiple of 1,000: then the rules by which ports round the rank (up, or half up) agree at p99.9.
COUNT = 2_000
QUANTILES = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder that a bench of 4 KiB reads left, its printed JSON in it as printed.json."""
    out = tmp_path_factory.mktemp("bench")
    command = [
        serving.binary(), "bench", "--emulator", "none", "--count", str(COUNT), "--size", "4KiB", "--json",
        "--out", str(out),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=True)
    (out / "printed.json").write_text(done.stdout)
    return out


@pytest.fixture(scope="module")
def report(run) -> dict:
    """The bench's report; numbers keep the digits they were printed with."""
    return json.loads((run / "run.json").read_text(), parse_float=Decimal)


def test_the_file_holds_what_was_printed(run, report):
    assert json.loads((run / "printed.json").read_text(), parse_float=Decimal) == report
    assert report["schema"] == 1


@pytest.mark.parametrize(("phase", "count"), [("ttfb", COUNT), ("total", COUNT)])
def test_the_log_holds_what_was_printed(run, report, phase, count):
    histogram = merged(run / "run.hlog", phase)
    assert histogram.get_total_count() == report[phase]["count"] == count
    printed = report[phase]
    for name, percentile in QUANTILES.items():
        value = Decimal(histogram.get_value_at_percentile(percentile)) / 1_000_000
        assert rounded_alike(value, Decimal(printed[name])), (phase, name, value, printed[name])


@pytest.mark.parametrize("phase", ["ttfb", "total"])
def test_the_printed_maximum_is_in_the_logs_last_bucket(run, report, phase):
    """The maximum is printed exactly, and a log knows its bucket only."""
    histogram = merged(run / "run.hlog", phase)
    top = histogram.get_max_value()
    printed = Decimal(report[phase]["max_ms"])
    half_a_digit = Decimal(1).scaleb(printed.as_tuple().exponent) / 2
    lowest = Decimal(histogram.get_lowest_equivalent_value(top)) / 1_000_000
    highest = Decimal(histogram.get_highest_equivalent_value(top)) / 1_000_000
    assert lowest - half_a_digit <= printed <= highest + half_a_digit


def test_every_interval_of_the_log_can_be_read(run):
    """As many as there are lines with a payload: the reader ends quietly at one that it cannot."""
    lines = (run / "run.hlog").read_text().splitlines()
    payloads = [line for line in lines if "HISTF" in line]
    tags = [histogram.get_tag() for histogram in intervals(run / "run.hlog")]
    assert len(tags) == len(payloads) > 0
    assert all(tag.count("/") == 5 for tag in tags), tags


def merged(log: Path, phase: str) -> HdrHistogram:
    """Of the successful reads of this size, on connections new and reused."""
    wanted = {f"attempt/get/{phase}/ok/le64K/{connection}" for connection in ["new", "reused"]}
    found = [histogram for histogram in intervals(log) if histogram.get_tag() in wanted]
    assert found, f"no interval with one of the tags {wanted}"
    first, *rest = found
    for histogram in rest:
        first.add(histogram)
    return first


def intervals(log: Path) -> list[HdrHistogram]:
    reader = HistogramLogReader(str(log), HdrHistogram(1, 3_600_000_000_000, 2))
    found = []
    try:
        while histogram := reader.get_next_interval_histogram(range_end_time_sec=float("inf")):
            found.append(histogram)
    finally:
        reader.close()
    return found


def rounded_alike(value: Decimal, printed: Decimal) -> bool:
    """Whether the printed number is this value to its digits; a tie may have gone either way."""
    digit = Decimal(1).scaleb(printed.as_tuple().exponent)
    return printed in {value.quantize(digit, rounding) for rounding in [ROUND_HALF_EVEN, ROUND_HALF_UP]}
