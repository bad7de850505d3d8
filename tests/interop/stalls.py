# SPDX-License-Identifier: Apache-2.0
"""What a stall does to an open loop, against what arithmetic says of it.

    STORESCOPE_BIN=… python tests/interop/stalls.py             0.6 s in every 12 s at 50 requests a second: 36 s
    STORESCOPE_BIN=… python tests/interop/stalls.py --full      3 s a minute at 20 requests a second: 5 minutes, twice

One worker calls a server that answers each request after a constant time S, but once in each period is silent for a time T
longer (a fault of the emulator: one request is delayed, and those behind it wait). Requests are due every A seconds. The
request that meets the stall takes T + S; the one due k later waits T + S - k(A - S) from the moment it was due. Of the N
requests of a period, floor(N/100) are slower than the 99th percentile, so

    p99 = T + S - floor(N/100) (A - S)

A closed loop sends nothing while it waits: one request of the period is slow, and its p99 is S. That is coordinated
omission; the service time of the open loop shows it, and is printed beside the response time.

With a model whose times are drawn, S differs from request to request. Then the same recursion is taken over the times
in the server's own record: when each request would have ended, had it begun when it was due or when the one before it
ended, whichever was later. Either way nothing here shares code with the bench. The bound is 2 %.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import serving
import truth
from ranks import nearest_rank

RELATIVE = 0.02


@dataclass(frozen=True)
class Case:
    """Requests a second, a stall in each period, and what a request takes without one."""

    rate: float
    stall_ms: float
    period_s: float
    stalls: int
    # A constant, or None: the model `s3-standard`, whose times are drawn.
    service_ms: float | None

    @property
    def count(self) -> int:
        return round(self.rate * self.period_s * self.stalls)

    def p99_ms(self) -> float | None:
        """The closed form above."""
        if self.service_ms is None:
            return None
        slower = math.floor(self.rate * self.period_s / 100)
        return self.stall_ms + self.service_ms - slower * (1e3 / self.rate - self.service_ms)

    def model(self, folder: Path) -> str:
        if self.service_ms is None:
            return "s3-standard"
        file = folder / "model.toml"
        file.write_text(f'name = "constant"\nttfb = "{self.service_ms}ms"\n')
        return str(file)


SCALED = Case(rate=50, stall_ms=600, period_s=12, stalls=3, service_ms=6.4)
FULL = Case(rate=20, stall_ms=3000, period_s=60, stalls=5, service_ms=32)
DRAWN = Case(rate=20, stall_ms=3000, period_s=60, stalls=5, service_ms=None)


@dataclass(frozen=True)
class Found:
    """The p99 in milliseconds: as it must be, and as the bench tells it."""

    closed_form: float | None
    from_record: float
    response: float
    service: float

    @property
    def apart(self) -> float:
        """The larger difference of the two, relative."""
        return max(abs(self.response - expected) / expected for _, expected in self.expected())

    def expected(self) -> list[tuple[str, float]]:
        both = ("the closed form", self.closed_form), ("the record", self.from_record)
        return [(name, value) for name, value in both if value is not None]

    def check(self) -> None:
        for name, expected in self.expected():
            apart = abs(self.response - expected) / expected
            assert apart <= RELATIVE, f"p99 {self.response:.0f} ms, by {name} {expected:.0f} ms: {apart:.1%} apart"
        assert self.service < self.response / 2, f"the service time has the queue in it: p99 {self.service:.0f} ms"

    def __str__(self) -> str:
        form = "" if self.closed_form is None else f"closed form {self.closed_form:.1f}, "
        told = f"told {self.response:.1f}; service time {self.service:.1f}"
        return f"p99 in ms: {form}from the record {self.from_record:.1f}, {told}"


def due(services_ms: list[float], rate: float) -> list[float]:
    """How long each request takes from the moment it is due, one after another, in milliseconds."""
    free, times = 0.0, []
    for number, service in enumerate(services_ms):
        at = number * 1e3 / rate
        free = max(at, free) + service
        times.append(free - at)
    return times


def measure(case: Case, out: Path) -> Found:
    """Runs server, stalls and bench."""
    with serving.serve("--model", case.model(out)) as server:
        truth.upload(server)
        over = threading.Event()
        faults = threading.Thread(target=stall, args=(server, case, over))
        faults.start()
        try:
            bench(server, case, out)
        finally:
            over.set()
            faults.join()
        return found(case, out, server.record())


def stall(server: serving.Server, case: Case, over: threading.Event) -> None:
    """In the middle of each period the next GET is delayed."""
    wait = case.period_s / 2
    for _ in range(case.stalls):
        if over.wait(wait):
            return
        server.fault({"method": "GET", "count": 1, "action": {"delay": {"ms": round(case.stall_ms)}}})
        wait = case.period_s


def bench(server: serving.Server, case: Case, out: Path) -> None:
    bucket, reach = truth.native(server)
    command = [
        serving.binary(), "bench", bucket + "object", *reach, "--op", "get", "--size", "4KiB", "--concurrency", "1",
        "--rate", str(case.rate), "--count", str(case.count), "--hedge-at", "0", "--first-byte-timeout", "30s",
        "--requests", "--json", "--out", str(out),
    ]  # fmt: skip
    seconds = 60 + 2 * case.period_s * case.stalls
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=seconds, check=True)


def found(case: Case, out: Path, record: list[dict]) -> Found:
    report = json.loads((out / "run.json").read_text())
    by_id = {line["client_request_id"]: line for line in record}
    attempts = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    seen = [by_id[attempt["client_request_id"]] for attempt in attempts if not attempt["warmup"]]
    assert len(seen) == case.count, f"{len(seen)} requests, not {case.count}"
    seen.sort(key=lambda line: line["head_read_ns"])
    services = [(line["last_byte_ns"] - line["head_read_ns"]) / 1e6 for line in seen]
    stalled = sum(service >= case.stall_ms for service in services)
    assert stalled >= case.stalls, f"{stalled} requests met a stall, not {case.stalls}"
    calls = report["cells"][0]["calls"]["get"]
    assert calls["response"]["count"] == case.count
    times = sorted(due(services, case.rate))
    response, service = float(calls["response"]["p99_ms"]), float(calls["service"]["p99_ms"])
    return Found(case.p99_ms(), nearest_rank(times, 0.99), response, service)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--full", action="store_true", help="3 s a minute, by a constant and by s3-standard")
    given = options.parse_args()
    untrue = 0
    for case in [FULL, DRAWN] if given.full else [SCALED]:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(case, Path(folder))
        print(f"{case}\n{result}")
        try:
            result.check()
        except AssertionError as error:
            print(f"NOT TRUE: {error}", file=sys.stderr)
            untrue += 1
    return min(untrue, 1)


if __name__ == "__main__":
    sys.exit(main())
