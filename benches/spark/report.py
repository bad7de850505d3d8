# SPDX-License-Identifier: Apache-2.0
"""What was measured, as tables and bars in Markdown."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shlex
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from plan import PREAD_BYTES, PREADS, WORKS, Work
from rows import ANALYTICS, CLASSIC, LOCAL, ORACLE, OURS, PLUGIN, ROWS, TUNED

Measurement = dict[str, Any]

BUDGET_MIB = 256


@dataclass(frozen=True)
class Median:
    """A median, and the interval that holds the true one in at least 95 of 100 cases, whatever the distribution: order
    statistics. Fewer than 6 samples have none; then it is their range."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: list[float]) -> Median:
        ordered = sorted(samples)
        outside = cls._outside(len(ordered))
        return cls(statistics.median(ordered), ordered[outside], ordered[-1 - outside])

    @staticmethod
    def _outside(count: int) -> int:
        weight = tail = 0.5**count
        below = 0
        while 2 * tail <= 0.05:
            below += 1
            weight *= (count - below + 1) / below
            tail += weight
        return max(0, below - 1)

    def told(self, digits: int = 2) -> str:
        if round(self.low, digits) == round(self.high, digits):
            return f"{self.value:,.{digits}f}"
        return f"{self.value:,.{digits}f} [{self.low:,.{digits}f}, {self.high:,.{digits}f}]"


class Of:
    """The measurements of one row at one work, by run."""

    def __init__(self, measurements: list[Measurement], local: dict[int, float]) -> None:
        self.all = measurements
        self.done = {each["run"]: each for each in measurements if "seconds" in each}
        self.local = local

    def series(self, value: Callable[[Measurement], float]) -> dict[int, float]:
        return {run: value(each) for run, each in self.done.items()}

    @property
    def seconds(self) -> dict[int, float]:
        return self.series(lambda each: each["seconds"])

    @property
    def excess(self) -> dict[int, float]:
        return {run: seconds - self.local[run] for run, seconds in self.seconds.items() if run in self.local}

    @property
    def cpu(self) -> dict[int, float]:
        return self.series(lambda each: each["cpu"])

    @property
    def peak(self) -> dict[int, float]:
        return self.series(lambda each: each["peak_mib"])

    @property
    def megabytes(self) -> dict[int, float]:
        return self.series(lambda each: each["bytes"] / 1e6)

    def requests(self, kind: str | None = None) -> dict[int, float]:
        return self.series(lambda each: each["requests"].get(kind, 0) if kind else sum(each["requests"].values()))

    def others(self) -> str:
        """Kinds of requests besides those that have a column."""
        kinds = sorted({kind for each in self.done.values() for kind in each["requests"]} - {"GET", "HEAD", "LIST"})
        return ", ".join(f"{middle(self.requests(kind)):.0f} {kind}" for kind in kinds)


def middle(series: dict[int, float]) -> float:
    return statistics.median(series.values())


def median(series: dict[int, float]) -> Median:
    return Median.of(list(series.values()))


def ratio(above: dict[int, float], below: dict[int, float]) -> Median:
    """Run by run; of medians, where one of them was not measured in each run, or is an excess that noise made negative."""
    if above.keys() == below.keys() and min(below.values()) > 0:
        return Median.of([above[run] / below[run] for run in above])
    value = middle(above) / middle(below)
    return Median(value, value, value)


def about(asked: argparse.Namespace) -> dict[str, Any]:
    options = {"--only": asked.only, "--rows": asked.rows, "--runs": asked.runs, "--slow-runs": asked.slow_runs}
    options["--per-process"] = asked.per_process if asked.per_process > 1 else None
    command = [word for name, value in options.items() if value for word in (name, str(value))]
    command += ["--constant"] if asked.constant else []
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "load": os.getloadavg()[0],
        "command": shlex.join(["benches/spark/run.py", *command]),
    }


def in_short(measurement: Measurement) -> str:
    """A line of progress."""
    name = f"{measurement['work']} {measurement['row']}"
    kinds = " ".join(f"{count} {kind}" for kind, count in sorted(measurement["requests"].items()))
    asked = f"{kinds} · {measurement['bytes'] / 1e6:.1f} MB · {measurement['connections']} connections"
    if "failed" in measurement:
        return f"{name}: failed, see {measurement['failed']}"
    if "stopped" in measurement:
        return f"{name}: stopped after {measurement['stopped']:.0f} s, {measurement['when']} · {asked}"
    costs = f"CPU {measurement['cpu']:.2f} s · {measurement['peak_mib']:.0f} MiB"
    return f"{name}: {measurement['seconds']:.2f} s · {costs} · {asked} · {measurement['in_flight']} in flight"


def markdown(told: dict[str, Any]) -> str:
    return "\n".join(lines(told))


def lines(told: dict[str, Any]) -> Iterator[str]:
    of = told["about"]
    yield f"`{of['command']}`\n"
    yield f"{of['date']} · {of['machine']} · load {of['load']:.2f} at the start\n"
    by_work: dict[str, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for measurement in told["measurements"]:
        by_work[measurement["work"]][measurement["row"]].append(measurement)
    measured = {row for rows in by_work.values() for row in rows}
    for row in ROWS:
        if row.name in measured:
            yield f"* *{row.title}*: {row.settings}"
    yield ""
    for name, work in WORKS.items():
        if name in by_work:
            yield from table(work, by_work[name])
            yield from verdicts(work, by_work[name], told["wanted"])


def rows_of(measurements: dict[str, list[Measurement]]) -> dict[str, Of]:
    local = {each["run"]: each["seconds"] for each in measurements.get(LOCAL, []) if "seconds" in each}
    return {row.name: Of(measurements[row.name], local) for row in ROWS if row.name in measurements}


def table(work: Work, measurements: dict[str, list[Measurement]]) -> Iterator[str]:
    yield f"### {work.name}: {work.title}\n"
    yield (
        "| | s | excess, s | GET | HEAD | LIST | others | MB sent | connections (most in flight) | CPU, s | peak, MiB | runs |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    titles = {row.name: row.title for row in ROWS}
    for name, row in rows_of(measurements).items():
        yield f"| {titles[name]} | " + " | ".join(cells(row, local=name == LOCAL)) + " |"
    yield ""


def cells(row: Of, *, local: bool) -> Iterator[str]:
    if not row.done:
        last = row.all[-1]
        yield f"stopped after {last['stopped']:.0f} s, {last['when']}" if "stopped" in last else "**failed**"
        kinds = Counter(last["requests"])
        yield "–"
        for kind in ("GET", "HEAD", "LIST"):
            yield f"{kinds.pop(kind, 0):,}"
        yield ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        yield f"{last['bytes'] / 1e6:,.1f}"
        yield f"{last['connections']} ({last['in_flight']})"
        yield from ("–", "–", str(len(row.all)))
        return
    yield median(row.seconds).told()
    yield median(row.excess).told() if row.excess and not local else ""
    for kind in ("GET", "HEAD", "LIST"):
        yield "" if local else median(row.requests(kind)).told(0)
    yield row.others()
    yield "" if local else median(row.megabytes).told(1)
    connections = row.series(lambda each: each["connections"])
    yield "" if local else f"{middle(connections):.0f} ({middle(row.series(lambda each: each['in_flight'])):.0f})"
    yield median(row.cpu).told()
    yield median(row.peak).told(0)
    yield str(len(row.done))


def verdicts(work: Work, measurements: dict[str, list[Measurement]], wanted: dict[str, int]) -> Iterator[str]:
    rows = rows_of(measurements)
    if OURS not in rows:
        return
    if not rows[OURS].done:
        yield "Bars: **missed**: it was not done.\n"
        return
    for bar in bars(work, rows, wanted):
        yield f"* {bar}"
    yield ""


@dataclass(frozen=True)
class Bar:
    what: str
    value: Median
    limit: float
    digits: int = 2
    at_least: bool = False

    def __str__(self) -> str:
        met = self.value.value >= self.limit if self.at_least else self.value.value <= self.limit
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if met else "**missed**"
        return f"{self.what}: {self.value.told(self.digits)} {sign} {self.limit:,.{self.digits}f}: {verdict}"


def bars(work: Work, rows: dict[str, Of], wanted: dict[str, int]) -> Iterator[Bar | str]:
    ours = rows[OURS]

    def peer(name: str) -> Of | None:
        return rows[name] if name in rows and rows[name].done else None

    tuned, classic = peer(TUNED), peer(CLASSIC)
    s3a = [each for name in (CLASSIC, ANALYTICS) if (each := peer(name))]

    def excess(times_tuned: float, times_s3a: float) -> Iterator[Bar | str]:
        better = min(s3a, key=lambda each: middle(each.excess)) if s3a else None
        for name, other, times in (("Oracle tuned's", tuned, times_tuned), ("the better S3A's", better, times_s3a)):
            if other and middle(other.excess) > 0:
                yield Bar(f"excess ÷ {name}", ratio(ours.excess, other.excess), times)
            elif other:
                yield f"excess ÷ {name}: not judged, {name} is lost in the disk's spread"

    def sent(megabytes: float) -> Bar:
        return Bar("MB sent", median(ours.megabytes), megabytes, digits=1)

    match work.name:
        case "W1":
            yield Bar("GETs", median(ours.requests("GET")), 13, digits=0)
            yield sent(1.05 * wanted["W1"] / 1e6)
            yield from excess(1 / 3, 1)
        case "W2a" | "W2b" | "W2c":
            yield from excess(1 / 2, 0.8)
            if classic:
                yield sent(1.05 * middle(classic.megabytes))
        case "W3":
            yield Bar("GETs", median(ours.requests("GET")), 210, digits=0)
            yield Bar("HEADs", median(ours.requests("HEAD")), 5, digits=0)
            yield from excess(1 / 4, 1 / 2)
        case "W4":
            if tuned:
                yield Bar("Oracle tuned's time ÷ ours", ratio(tuned.seconds, ours.seconds), 3, at_least=True)
            if s3a:
                better = min(s3a, key=lambda each: middle(each.seconds))
                yield Bar("the better S3A's time ÷ ours", ratio(better.seconds, ours.seconds), 3, at_least=True)
        case "W5":
            if classic:
                yield Bar("time ÷ S3A classic's", ratio(ours.seconds, classic.seconds), 1.1)
            yield sent(1.05 * PREADS * PREAD_BYTES / 1e6)
        case _:
            if oracle := peer(ORACLE):
                yield Bar("requests", median(ours.requests()), middle(oracle.requests()) / 2, digits=0)
    if classic:
        times = {"W4": 1.2, "W5": 0.5}.get(work.name, 1)
        yield Bar("CPU ÷ S3A classic's", ratio(ours.cpu, classic.cpu), times)
        yield Bar("peak, MiB", median(ours.peak), middle(classic.peak) + BUDGET_MIB, digits=0)
    if plugin := peer(PLUGIN):
        yield Bar("rate with the plugin ÷ without", ratio(ours.seconds, plugin.seconds), 0.99, digits=3, at_least=True)
        yield f"CPU with the plugin ÷ without: {ratio(plugin.cpu, ours.cpu).told(3)}"
    spare = ours.series(lambda each: each["in_flight"] - each["connections"])
    yield Bar("streams in flight less connections", median(spare), 0, digits=0, at_least=True)
