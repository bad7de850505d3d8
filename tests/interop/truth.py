# SPDX-License-Identifier: Apache-2.0
"""Does the profiler tell the truth? Its quantiles against the server's own record.

    STORESCOPE_BIN=… python tests/interop/truth.py [--count 20000] [--model s3-standard]
    STORESCOPE_BIN=… python tests/interop/truth.py --op put --op head          closed loop, these operations
    STORESCOPE_BIN=… python tests/interop/truth.py --op list --rate 100        open loop, at random times
    STORESCOPE_BIN=… python tests/interop/truth.py --all --count 5000          each operation, by both loops

A server with a latency model writes down when it read each request's head and when it gave the
first and the last byte of the answer to the socket. A bench calls it, and reports quantiles out of
its histograms. Requests are matched by client request id; the record's times are sorted and the
nearest rank taken. Nothing here shares code with those histograms.

A quantile agrees within max(1 %, 0.3 ms): the histogram's bucket is at most 0.78 % wide, and 0.3 ms
is what two processes on one small machine need to wake each other up. Before a request is sent the client builds and
signs it, which the server cannot see: that is a phase of its own in the report (`prepare`, 0.17 ms of a LIST by S3), and
its median is added to the record's totals.

What a stall does to an open loop is judged by stalls.py.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import oci

import serving
from ranks import nearest_rank

RELATIVE = 0.01
ABSOLUTE_MS = 0.3
QUANTILES = {"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99, "p999_ms": 0.999}
OBJECT_BYTES = 16 << 20
LISTED = 100


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


@dataclass(frozen=True)
class Case:
    """What the bench does: an operation, by a closed loop or by an open one at so many calls a second."""

    operation: str = "get"
    rate: float | None = None

    def __str__(self) -> str:
        return f"{self.operation}, closed loop" if self.rate is None else f"{self.operation}, {self.rate:g}/s"

    def options(self, server: serving.Server) -> list[str]:
        """The part of the bench's command line that is the case's own."""
        where = {"get": "object", "head": "object", "put": "written/", "list": "listed/"}[self.operation]
        bucket, reach = s3(server) if self.operation in ("put", "list") else native(server)
        options = ["bench", bucket + where, "--op", self.operation, *reach]
        if self.operation in ("get", "put"):
            options += ["--size", {"get": "64KiB", "put": "4KiB"}[self.operation]]
        if self.rate is not None:
            options += ["--rate", str(self.rate), "--arrivals", "poisson"]
        return options

    def seconds(self, count: int) -> float:
        """How long so many calls take at most, with a model whose mean is below 100 ms."""
        return count / (self.rate or 80)


# An open loop whose calls wait for a free worker would be judged by its queue: 100/s at 30 ms is three under way.
CASES = [Case(operation, rate) for operation in ("get", "put", "head", "list") for rate in (None, 100.0)]


def measure(count: int, model: str, out: Path, case: Case = Case()) -> Comparison:
    """Runs server and bench, and compares what they say."""
    with serving.serve("--model", model) as server:
        bench(server, case, count, out)
        return compare(out, server.record(), case)


def native(server: serving.Server) -> tuple[str, list[str]]:
    """The bucket by the native API, and how to reach it."""
    oci = server.oci
    reach = ["--endpoint", oci["endpoint"], "--config-file", oci["config_file"], "--profile", oci["profile"]]
    return f"oci://truth@{oci['namespace']}/", reach


def s3(server: serving.Server) -> tuple[str, list[str]]:
    """The bucket by S3's API. Each PUT and each LIST is signed anew, by RSA on the native API: 0.4 ms of the client's total
    which the server does not see. An HMAC takes 0.01 ms."""
    return "s3://truth/", ["--endpoint", server.ready["s3"]["endpoint"], "--region", server.ready["s3"]["region"]]


def keys(server: serving.Server) -> dict[str, str]:
    """The environment of a client, with the keys of S3's API."""
    s3 = server.ready["s3"]
    names = {"AWS_ACCESS_KEY_ID": s3["access_key_id"], "AWS_SECRET_ACCESS_KEY": s3["secret_access_key"]}
    return {**os.environ, **names}


def upload(server: serving.Server) -> None:
    """Makes the bucket and what is read, with Oracle's SDK."""
    config = oci.config.from_file(server.oci["config_file"], server.oci["profile"])
    client = oci.object_storage.ObjectStorageClient(config, service_endpoint=server.oci["endpoint"])
    namespace = server.oci["namespace"]
    details = oci.object_storage.models.CreateBucketDetails(name="truth", compartment_id=server.oci["compartment"])
    client.create_bucket(namespace, details)
    client.put_object(namespace, "truth", "object", bytes(OBJECT_BYTES))
    for number in range(LISTED):
        client.put_object(namespace, "truth", f"listed/{number:03}", b"")


def bench(server: serving.Server, case: Case, count: int, out: Path) -> None:
    upload(server)
    command = [
        serving.binary(), *case.options(server), "--concurrency", "8", "--count", str(count),
        "--requests", "--json", "--out", str(out),
    ]  # fmt: skip
    seconds = 60 + 4 * case.seconds(count)
    subprocess.run(command, stdout=subprocess.DEVNULL, env=keys(server), timeout=seconds, check=True)


def compare(out: Path, record: list[dict], case: Case = Case()) -> Comparison:
    report = json.loads((out / "run.json").read_text())
    by_id = {line["client_request_id"]: line for line in record}
    attempts = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    counted = [attempt["client_request_id"] for attempt in attempts if not attempt["warmup"]]
    assert len(set(counted)) == len(counted), "a client request id was used twice"
    seen = [by_id[id] for id in counted if id in by_id]
    expected = 206 if case.operation == "get" else 200
    assert all(line["status"] == expected for line in seen)
    ends = {"ttfb": "first_byte_ns", "total": "last_byte_ns"}
    unseen = {"ttfb": 0.0, "total": float(report.get("phases", {}).get("prepare", {}).get("p50_ms", 0))}
    rows = []
    for phase, end in ends.items():
        samples = sorted((line[end] - line["head_read_ns"]) / 1e6 for line in seen)
        for name, quantile in QUANTILES.items():
            rows.append(Row(phase, name, nearest_rank(samples, quantile) + unseen[phase], float(report[phase][name])))
    return Comparison(len(seen), report["ttfb"]["count"], rows)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=20_000, help="requests to measure, at least (20000)")
    options.add_argument("--model", default="s3-standard", help="the server's latency model (s3-standard)")
    options.add_argument("--op", action="append", choices=["get", "put", "head", "list"], help="what is called (get)")
    options.add_argument("--rate", type=float, help="calls a second, at random times (without it, a closed loop)")
    options.add_argument("--all", action="store_true", help="each operation, by a closed and by an open loop")
    options.add_argument("--out", type=Path, help="keep the bench's files in this folder")
    given = options.parse_args()
    cases = CASES if given.all else [Case(operation, given.rate) for operation in given.op or ["get"]]
    untrue = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            out = (given.out or Path(folder)) / (str(number) if len(cases) > 1 else "")
            comparison = measure(given.count, given.model, out, case)
            print(f"{case}: {comparison.table()}")
            try:
                comparison.check(given.count)
            except AssertionError as error:
                print(f"NOT TRUE: {error}", file=sys.stderr)
                untrue += 1
    return min(untrue, 1)


if __name__ == "__main__":
    sys.exit(main())
