#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast the load generators are: 4 KiB GETs a second of `storescope bench` and of oha, on this machine.

    STORESCOPE_BIN=…/storescope OHA=…/oha python benches/instrument/generator.py       closed loop
    … generator.py --open                                                              and the rate held by an open loop

The emulator without a latency model, in a process of its own, by its S3 API. It takes CPU of the same cores as the
generator, so what is told first is what a request costs each of them, and how many CPU time allows on this machine.

Rows take turns, the order turned by one each round; told are the median and the range of the rounds. Requests are those of
the server's record; an answer that is no 200 or 206 is an error. oha sends presigned URLs, which cost it no signature;
with `--aws-sigv4` it signs each request, as a client of S3 does. storescope signs once for what a signature covers.

An open loop holds a rate when at least 99 % of the calls that were due in the run ended in it, without an error, and p99
from the intended start is at most --bound. The highest rate is found by doubling, then halving the gap to 5 %.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from peers import Record, heading, prepare
from tools import TOOLS, Missing, Store, Work, oha, oha_told, output, serving

SIZE = 4096
WORK = Work("get", SIZE, 0, 0)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True)
class Load:
    """What a generator is to do: for so long, with so many under way, at a rate or as fast as it goes."""

    seconds: float
    concurrency: int
    rate: float | None = None


@dataclass(frozen=True)
class Did:
    """What it said: errors, p99 from the intended start (in an open loop), and how late it began calls."""

    errors: int
    p99_ms: float
    late_ms: float | None = None


@dataclass(frozen=True)
class Bed:
    server: serving.Server
    store: Store
    record: Record
    folder: Path


@dataclass
class Sums:
    """The rounds of a row."""

    rates: list[float] = field(default_factory=list)
    errors: int = 0
    server_us: list[float] = field(default_factory=list)
    client_us: list[float] = field(default_factory=list)


def ours(bed: Bed, load: Load) -> Did:
    out = bed.folder / "run"
    command = [
        serving.binary(), "bench", f"s3://demo/{SIZE}/", "--size", str(SIZE), "--duration", f"{load.seconds:g}s",
        "--concurrency", str(load.concurrency), "--json", "--out", str(out),
    ]  # fmt: skip
    if load.rate:
        command += ["--rate", f"{load.rate:g}"]
    output(command, bed.store.environment())
    report = json.loads((out / "run.json").read_text())
    errors = sum(report["errors"].values())
    if not load.rate:
        return Did(errors, float(report["total"]["p99_ms"]))
    cell = report["cells"][0]
    return Did(errors, float(cell["calls"]["get"]["response"]["p99_ms"]), float(cell["lateness"]["p99_ms"]))


def presigned(bed: Bed, load: Load) -> Did:
    urls = bed.folder / "urls"
    urls.write_text("".join(bed.store.presigned("GET", key) + "\n" for key in WORK.keys("oha")))
    return oha_run(load, ["--urls-from-file", str(urls)])


def signed(bed: Bed, load: Load) -> Did:
    urls, store = bed.folder / "plain", bed.store
    urls.write_text("".join(f"{store.endpoint}/demo/{key}\n" for key in WORK.keys("oha")))
    keys = f"{store.access_key_id}:{store.secret_access_key}"
    sign = ["-a", keys, "--aws-sigv4", f"aws:amz:{store.region}:s3", "-H", f"x-amz-content-sha256: {EMPTY}"]
    return oha_run(load, ["--urls-from-file", str(urls), *sign])


def oha_run(load: Load, options: list[str]) -> Did:
    command = ["-z", f"{load.seconds:g}s", "-w", "-c", str(load.concurrency), *options]
    if load.rate:
        command += ["-q", f"{load.rate:g}", "--latency-correction"]
    told = oha_told(json.loads(oha(*command)))
    return Did(told.errors, told.quantiles["whole"]["p99"])


ROWS: dict[str, Callable[[Bed, Load], Did]] = {
    "storescope bench": ours,
    "oha, presigned": presigned,
    "oha, --aws-sigv4": signed,
}


def server_cpu(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(row: str, bed: Bed, load: Load, sums: Sums) -> Did:
    """One run of a row; adds to its sums."""
    bed.record.rest()
    server, client = server_cpu(bed.server.pid), children_cpu()
    did = ROWS[row](bed, load)
    server, client = server_cpu(bed.server.pid) - server, children_cpu() - client
    lines = [line for line in bed.record.rest() if line["method"] == "GET" and "list-type" not in line["target"]]
    good = [line for line in lines if line["status"] in (200, 206)]
    sums.errors += max(did.errors, len(lines) - len(good))
    span = (max(line["last_byte_ns"] for line in good) - min(line["head_read_ns"] for line in good)) / 1e9
    sums.rates.append(len(good) / span)
    sums.server_us.append(server / len(lines) * 1e6)
    sums.client_us.append(client / len(lines) * 1e6)
    return did


def closed(bed: Bed, given: argparse.Namespace) -> None:
    levels = [int(level) for level in given.concurrency.split(",")]
    keys = [(row, level) for row in ROWS for level in levels]
    sums = {key: Sums() for key in keys}
    for turn in range(given.rounds):
        for row, level in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            run(row, bed, Load(given.seconds, level), sums[row, level])
    print(f"Closed loop, {given.rounds} rounds of {given.seconds:g} s:\n")
    print("| generator | at a time | GETs a second | errors | CPU, µs a request: generator | server | CPU allows |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for (row, level), its in sums.items():
        client, server = statistics.median(its.client_us), statistics.median(its.server_us)
        allows = os.cpu_count() * 1e6 / (client + server)
        cells = [row, level, told(its.rates), its.errors, f"{client:.1f}", f"{server:.1f}", f"{allows:,.0f}"]
        print("| " + " | ".join(map(str, cells)) + " |")
    server = min(statistics.median(its.server_us) for its in sums.values())
    print(f"\nThe emulator alone, with all {os.cpu_count()} cores, could answer {os.cpu_count() * 1e6 / server:,.0f} a second.\n")


def told(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} [{min(values):,.0f}, {max(values):,.0f}]"


def open_loop(bed: Bed, given: argparse.Namespace) -> None:
    rows = [row for row in ROWS if row != "oha, --aws-sigv4"]
    found: dict[str, list[float]] = {row: [] for row in rows}
    last: dict[str, Did] = {}
    for turn in range(given.rounds):
        for row in rows[turn % len(rows) :] + rows[: turn % len(rows)]:
            rate, last[row] = highest(row, bed, given)
            found[row].append(rate)
    print(f"Open loop, {given.rounds} rounds, runs of {given.seconds:g} s, p99 at most {given.bound:g} ms:\n")
    print("| generator | highest rate held | p99 from the intended start, ms | begun late, p99 ms |\n| --- | --- | --- | --- |")
    for row, rates in found.items():
        did = last[row]
        late = "not told" if did.late_ms is None else f"{did.late_ms:.2f}"
        print(f"| {row} | {told(rates)} | {did.p99_ms:.2f} | {late} |")


def highest(row: str, bed: Bed, given: argparse.Namespace) -> tuple[float, Did]:
    """The highest rate that is held, and what the run at it said."""
    level = max(int(level) for level in given.concurrency.split(","))

    def held(rate: float) -> Did | None:
        sums = Sums()
        did = run(row, bed, Load(given.seconds, level, rate), sums)
        good = sums.errors == 0 and sums.rates[0] >= 0.99 * rate and did.p99_ms <= given.bound
        return did if good else None

    low, high, best = 0.0, given.first_rate, None
    while did := held(high):
        low, high, best = high, 2 * high, did
    if best is None:
        raise RuntimeError(f"{row} does not hold {high:g} calls a second: begin lower (--first-rate)")
    while high - low > 0.05 * low:
        middle = (low + high) / 2
        if did := held(middle):
            low, best = middle, did
        else:
            high = middle
    return low, best


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=5, help="rounds, the rows by turns (5)")
    options.add_argument("--seconds", type=float, default=5, help="how long a run takes (5)")
    options.add_argument("--concurrency", default="8,32,64", help="requests under way, with commas between (8,32,64)")
    options.add_argument("--open", action="store_true", help="the open loop, too: needs a bench that has --rate")
    options.add_argument("--first-rate", type=float, default=1000, help="the rate that the open loop begins with (1000)")
    options.add_argument("--bound", type=float, default=50, help="p99 from the intended start, at most, in ms (50)")
    given = options.parse_args()
    try:
        versions = [tool.version() for tool in TOOLS if tool.name in ("storescope bench", "oha")]
    except (Missing, serving.NotConfigured) as error:
        print(error, file=sys.stderr)
        return 2
    print(heading(versions, "none") + "\n")
    with tempfile.TemporaryDirectory() as name, serving.serve() as server:
        bed = Bed(server, Store.of(server), Record(server), Path(name))
        prepare(server, bed.store, [WORK], bed.folder)
        closed(bed, given)
        if given.open:
            open_loop(bed, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
