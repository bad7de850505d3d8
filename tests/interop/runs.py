# SPDX-License-Identifier: Apache-2.0
"""Runs for tests of what reads them: made from a seed, in the files that `storescope bench --out` writes. Their histograms are
encoded by PyPI `hdrhistogram`."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

from hdrh.histogram import HdrHistogram

MS = 1_000_000
PHASES = ["queue", "prepare", "sign", "pool", "dns", "connect", "tls", "send", "ttfb", "body", "paused"]
HOSTILE = "</script><script>document.title='ran'</script><b>\"&'"


def histogram(values: list[int], unit: str = "ns") -> str:
    """Values as `run.json` has them."""
    return f"{unit} {sum(values)} {min(values)} {max(values)} {encoded(values)}" if values else unit


def encoded(values: list[int]) -> str:
    hdr = HdrHistogram(1, 3_600_000_000_000, 2)
    for value in values:
        hdr.record_value(value)
    return hdr.encode().decode()


def band(nanoseconds: int) -> int:
    """The bucket of a whole time: 32 an octave."""
    value = max(nanoseconds, 32)
    octave = value.bit_length() - 1
    return ((octave - 5) << 5) + (value >> (octave - 5)) - 32


class Draws:
    """Times of a store like S3."""

    def __init__(self, seed: int, slower: float = 1.0):
        self.random, self.slower = random.Random(seed), slower

    def first_byte(self) -> int:
        return int((8 + 19 * math.exp(0.75 * self.random.gauss(0, 1))) * self.slower * MS)

    def body(self, size: int) -> int:
        rate = min(95e6, 60e6 * math.exp(0.35 * self.random.gauss(0, 1)))
        return int(size / rate * 1e9 * self.slower)


class Cell:
    """A cell that is measured call by call."""

    def __init__(self, seconds: float, points: int = 120, **setup):
        self.setup = {"mix": {"get": 1}, "pattern": "random", "size": 65_536, "concurrency": 8} | setup
        self.seconds, self.points = seconds, points
        self.calls: dict[str, list[tuple[float, int, int]]] = {}
        self.first_bytes: dict[str, list[tuple[float, int, int]]] = {}
        self.failed: list[float] = []
        self.failed_attempts: list[float] = []
        self.sizes: list[int] = []
        self.extra: dict = {}

    def call(self, at: float, first_byte: int, body: int, late: int = 0, operation: str = "get"):
        """A call that was to begin at `at` seconds and began `late` ns after that."""
        self.calls.setdefault(operation, []).append((at, late + first_byte + body, first_byte + body))
        self.first_bytes.setdefault(operation, []).append((at, first_byte, body))

    def bands(self, operation: str) -> dict:
        bands: dict[int, list[int]] = {}
        for _, first_byte, body in self.first_bytes[operation]:
            total = first_byte + body + 90_000
            sums = bands.setdefault(band(total), [0] * (1 + len(PHASES)))
            sums[0] += 1
            for phase, value in [("ttfb", first_byte), ("body", body), ("send", 40_000), ("prepare", 20_000), ("sign", 30_000)]:
                sums[1 + PHASES.index(phase)] += value
            if total > 150 * MS:
                sums[1 + PHASES.index("queue")] += total // 3
                sums[1 + PHASES.index("tls")] += total // 20
        return {str(bucket): sums for bucket, sums in sorted(bands.items())}

    def series(self) -> list[dict]:
        length = self.seconds / self.points

        def cut(events):
            parts: list[list] = [[] for _ in range(self.points)]
            for event in events:
                at = event if isinstance(event, float) else event[0]
                parts[min(int(at / length), self.points - 1)].append(event)
            return parts

        calls, firsts = (cut(sum(events.values(), [])) for events in (self.calls, self.first_bytes))
        failed, attempts = cut(self.failed), cut(self.failed_attempts)
        return [
            {
                "at_ms": at * length * 1e3, "length_ms": length * 1e3, "calls": len(calls[at]) + len(failed[at]),
                "failed": len(failed[at]), "failed_attempts": len(attempts[at]),
                "bytes": len(calls[at]) * (self.setup["size"] or 0), "in_flight": self.setup["concurrency"],
                "response": histogram([response for _, response, _ in calls[at]]),
                "first_byte": histogram([first for _, first, _ in firsts[at]]),
            }
            for at in range(self.points)
        ]  # fmt: skip

    def json(self) -> dict:
        def calls(of):
            return {
                "count": len(of), "failed": 0, "bytes": len(of) * (self.setup["size"] or 0),
                "response": {"histogram": histogram([response for _, response, _ in of])},
                "service": {"histogram": histogram([service for _, _, service in of])},
            }  # fmt: skip

        return {
            "setup": self.setup, "elapsed_ms": self.seconds * 1e3,
            "calls": {operation: calls(of) for operation, of in self.calls.items()},
            "failed_calls": len(self.failed), "retries": len(self.failed_attempts), "cpu_ms": self.seconds * 300,
            "series": {"points": self.series() if self.points else []},
            "bands": {operation: self.bands(operation) for operation in self.first_bytes},
        } | self.extra  # fmt: skip

    def log(self) -> str:
        lines = [
            "#[Histogram log format version 1.3]", "#[StartTime: 1796000000.000 (seconds since epoch)]",
            '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
        ]  # fmt: skip

        def line(tag, values):
            if values:
                lines.append(f"Tag={tag},0.000,{self.seconds:.3f},{max(values) / 1e6:.3f},{encoded(values)}")

        for operation, of in self.first_bytes.items():
            line(f"attempt/{operation}/ttfb/ok/le64K/reused", [first for _, first, _ in of])
            line(f"attempt/{operation}/total/ok/le64K/reused", [first + body for _, first, body in of])
        line("attempt/get/bytes_delivered/ok/-/-", self.sizes)
        line("attempt/get/total/server/-/reused", [9 * MS for _ in self.failed_attempts])
        return "\n".join(lines) + "\n"


def write(folder: Path, cells: list[Cell], **about) -> Path:
    """A run's folder."""
    folder.mkdir(parents=True)
    run = {
        "schema": 1, "version": "0.1.0", "command": ["storescope", "bench", "oci://demo@ns/in/", "--size", "64KiB"],
        "url": "oci://demo@ns/in/", "seed": 7, "started_at": "2026-11-30T12:00:00Z", "processes": 1, "notes": [],
        "environment": {
            "system": "Linux 6.1.0", "processor": "AMD EPYC 9J14 96-Core Processor", "processors": 2,
            "memory": 8_300_000_000,
        },
        "cells": [cell.json() for cell in cells],
    } | about  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run, indent=1))
    logs = [f"#[Cell {at}: a cell]\n{cell.log()}" for at, cell in enumerate(cells, 1)]
    (folder / "run.hlog").write_text("".join(logs))
    return folder


def closed(seed: int, seconds: float = 60, slower: float = 1.0, **setup) -> Cell:
    """So many at a time; each begins when the one before has ended."""
    draws, cell = Draws(seed, slower), Cell(seconds, **setup)
    for _ in range(cell.setup["concurrency"]):
        at = 0.0
        while at < seconds:
            first_byte, body = draws.first_byte(), draws.body(cell.setup["size"])
            cell.call(at, first_byte, body)
            at += (first_byte + body) / 1e9
    return cell


def stalled(seed: int, rate: float = 200, seconds: float = 60) -> Cell:
    """An open loop at a store that answers nothing from second 30 to 33."""
    draws, cell = Draws(seed), Cell(seconds, concurrency=64, rate=rate, arrivals="constant")
    for number in range(int(rate * seconds)):
        at = number / rate
        late = int(max(0.0, 33 - at) * 1e9) if 30 <= at else 0
        cell.call(at, draws.first_byte(), draws.body(65_536), late)
    cell.extra = {
        "lateness": {"histogram": histogram([40_000 + draws.random.randrange(90_000) for _ in range(2_000)])},
        "behind": {"held_rate": rate * 0.95, "most_ms": 3_000.0, "late_for_ms": 3_000.0, "never_begun": 12},
    }
    return cell


def failing(seed: int) -> Cell:
    """Reads and writes, of which some fail, with names that would be markup."""
    cell = closed(seed, 30, mix={"get": 3, "put": 1}, pattern=HOSTILE)
    draws = Draws(seed + 1)
    for at in range(600):
        cell.call(at / 20, draws.first_byte() * 2, 1_000_000, operation="put")
    cell.failed = [10 + number / 40 for number in range(40)]
    cell.failed_attempts = [9 + number / 60 for number in range(200)]
    cell.extra = {"first_error": f"get {HOSTILE}: 503 SlowDown"}
    return cell


def sweep(seed: int, sizes: list[int], loads: list[int], seconds: float = 3) -> list[Cell]:
    """A cell for each size and concurrency."""
    return [
        closed(seed + 100 * place + load, seconds, points=20, size=size, concurrency=load)
        for place, size in enumerate(sizes) for load in loads
    ]  # fmt: skip


#: Of a stage: where it was called, GETs of a task, their size, seconds of work of a task.
KINDS = [
    ("parquet at reduce.py:41", 12, 8 << 20, 6.0), ("showString at NativeMethodAccessorImpl.java:0", 0, 0, 2.0),
    ("json at clean.py:7", 30, 9_000, 0.4), ("treeAggregate at fit.py:118", 2, 8 << 20, 20.0),
]  # fmt: skip


def stage(number: int, tasks: int = 40, executors: int = 4, name: str = "") -> Cell:
    """A stage of a job. One of its executors is three times as slow as the others."""
    site, gets, size, work = KINDS[number % len(KINDS)]
    name = name or f"stage {number}.0 ({site})"
    cell = Cell(30, points=0, name=name, mix={}, pattern="", size=None, concurrency=0)
    draws, workers = Draws(number), {}
    for task in range(tasks):
        executor = task % executors
        worker = workers.setdefault(f"{name} {executor}" if name.startswith("<") else str(executor), Worker())
        waited = 0
        for _ in range(gets):
            first_byte, body = draws.first_byte() * (3 if executor == 2 else 1), draws.body(size)
            cell.call(0.0, first_byte, body)
            cell.sizes.append(size)
            worker.first_bytes.append(first_byte)
            waited += first_byte + body
        worker.tasks, worker.waited, worker.bytes = worker.tasks + 1, worker.waited + waited, worker.bytes + gets * size
        worker.run += waited + int(work * 1e9)
    cell.extra = {"bands": {}, "tasks": {
        "succeeded": tasks - 3, "failed": 2, "killed": 1, "speculative": number % 3,
        "run_ms": sum(worker.run for worker in workers.values()) / 1e6,
        "waited_ms": sum(worker.waited for worker in workers.values()) / 1e6,
        "workers": {name: worker.json() for name, worker in workers.items()},
    }}  # fmt: skip
    return cell


class Worker:
    """The tasks of a stage on one executor; times in ns."""

    def __init__(self):
        self.tasks = self.run = self.waited = self.bytes = 0
        self.first_bytes: list[int] = []

    def json(self) -> dict:
        return {
            "tasks": self.tasks, "run_ms": self.run / 1e6, "waited_ms": self.waited / 1e6, "requests": len(self.first_bytes),
            "bytes": self.bytes, "first_byte": {"histogram": histogram(self.first_bytes)},
        }  # fmt: skip
