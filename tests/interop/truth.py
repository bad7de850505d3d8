# SPDX-License-Identifier: Apache-2.0
"""Does the profiler tell the truth? Its quantiles against the server's own record.

    STORESCOPE_BIN=… python tests/interop/truth.py [--count 20000] [--model s3-standard]

A server with a latency model writes down when it read each request's head and when it gave the
first and the last byte of the answer to the socket. A bench reads from it, and reports quantiles
out of its histograms. Requests are matched by client request id; the record's times are sorted and
the nearest rank taken. Nothing here shares code with those histograms.

A quantile agrees within max(1 %, 0.3 ms): the histogram's bucket is at most 0.78 % wide, and 0.3 ms
is what two processes on one small machine need to wake each other up.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import oci

import serving

RELATIVE = 0.01
ABSOLUTE_MS = 0.3
QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}
OBJECT_BYTES = 16 << 20


@dataclass(frozen=True)
class Row:
    """One quantile, as both tell it."""

    phase: str
    quantile: str
    record_ms: float
    report_ms: float

    @property
    def tolerance_ms(self) -> float:
        return max(RELATIVE * self.record_ms, ABSOLUTE_MS)

    @property
    def agrees(self) -> bool:
        return abs(self.report_ms - self.record_ms) <= self.tolerance_ms


@dataclass(frozen=True)
class Comparison:
    """All quantiles of the requests that both know."""

    matched: int
    counted: int
    rows: list[Row]

    def check(self, least: int) -> None:
        assert self.matched >= least, f"{self.matched} requests matched, fewer than {least}"
        assert self.matched == self.counted, f"the report counts {self.counted} requests, {self.matched} matched"
        apart = [row for row in self.rows if not row.agrees]
        assert not apart, f"apart: {apart}"

    def table(self) -> str:
        lines = [
            f"{self.matched} requests matched by client request id",
            f"{'':5} {'':6} {'record ms':>10} {'report ms':>10} {'apart ms':>9} {'allowed':>8}",
        ]
        for row in self.rows:
            apart = row.report_ms - row.record_ms
            lines.append(
                f"{row.phase:5} {row.quantile.removesuffix('_ms'):6} {row.record_ms:10.3f} {row.report_ms:10.3f} "
                f"{apart:+9.3f} {row.tolerance_ms:8.3f} {'' if row.agrees else '  APART'}"
            )
        return "\n".join(lines)


def measure(count: int, model: str, out: Path) -> Comparison:
    """Runs server and bench, and compares what they say."""
    with serving.serve("--model", model) as server:
        bench(server, upload(server), count, out)
        return compare(out, server.record())


def upload(server: serving.Server) -> str:
    """Puts an object there with Oracle's SDK; gives its URL."""
    config = oci.config.from_file(server.oci["config_file"], server.oci["profile"])
    client = oci.object_storage.ObjectStorageClient(config, service_endpoint=server.oci["endpoint"])
    namespace = server.oci["namespace"]
    details = oci.object_storage.models.CreateBucketDetails(name="truth", compartment_id=server.oci["compartment"])
    client.create_bucket(namespace, details)
    client.put_object(namespace, "truth", "object", bytes(OBJECT_BYTES))
    return f"oci://truth@{namespace}/object"


def bench(server: serving.Server, url: str, count: int, out: Path) -> None:
    command = [
        serving.binary(), "bench", url, "--size", "64KiB", "--concurrency", "8", "--count", str(count),
        "--endpoint", server.oci["endpoint"], "--config-file", server.oci["config_file"],
        "--profile", server.oci["profile"], "--requests", "--json", "--out", str(out),
    ]  # fmt: skip
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60 + count / 20, check=True)


def compare(out: Path, record: list[dict]) -> Comparison:
    report = json.loads((out / "run.json").read_text())
    by_id = {line["client_request_id"]: line for line in record}
    attempts = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    counted = [attempt["client_request_id"] for attempt in attempts if not attempt["warmup"]]
    assert len(set(counted)) == len(counted), "a client request id was used twice"
    seen = [by_id[id] for id in counted if id in by_id]
    assert all(line["status"] == 206 for line in seen)
    ends = {"ttfb": "first_byte_ns", "total": "last_byte_ns"}
    rows = []
    for phase, end in ends.items():
        samples = sorted((line[end] - line["head_read_ns"]) / 1e6 for line in seen)
        for name, quantile in QUANTILES.items():
            rows.append(Row(phase, name, nearest_rank(samples, quantile), float(report[phase][name])))
    return Comparison(len(seen), report["ttfb"]["count"], rows)


def nearest_rank(ordered: list[float], quantile: float) -> float:
    """The smallest sample with at least this share of the samples at or below it."""
    return ordered[max(math.ceil(round(quantile * len(ordered), 6)), 1) - 1]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=20_000, help="requests to measure, at least (20000)")
    options.add_argument("--model", default="s3-standard", help="the server's latency model (s3-standard)")
    options.add_argument("--out", type=Path, help="keep the bench's files in this folder")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        comparison = measure(given.count, given.model, given.out or Path(folder))
    print(comparison.table())
    try:
        comparison.check(given.count)
    except AssertionError as error:
        print(f"NOT TRUE: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
