# SPDX-License-Identifier: Apache-2.0
"""An estimate as text for people, and as JSON: every figure with its unit, every assumption with its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..scan.layout import THREADS
from ..scan.work import AHEAD, FILES, PIECES
from .estimate import NOT_COUNTED, STREAMS, Assumptions, Estimate, Sample
from ..text import show_bytes, show_count, show_time, table

#: CPU time in seconds from which on a run tells a core's rate: what a process does once is a small part of it then.
ENOUGH_CPU_S = 10.0
#: Bytes of the driver's memory for a file: its name, version and place in the lists; and for a cluster of it.
DRIVER_FILE, DRIVER_CLUSTER = 1000, 16


@dataclass(frozen=True)
class Measured:
    """What a core does in a second of CPU time, and who says so.

    Attributes:
        events_per_cpu_s: Events reduced; ``None``: not known.
        plan_cpu_s: Seconds for a file's metadata.
        written_per_event: Bytes of the output's rows for each event that was read; ``None``: not known.
        origin: As it is printed: given, or by which result.
        engine: That measured it.
        events: Events behind the rate.
        cpu_s: CPU seconds behind it.
    """

    events_per_cpu_s: float | None = None
    plan_cpu_s: float = 0.0
    written_per_event: float | None = None
    origin: str = ""
    engine: str | None = None
    events: int | None = None
    cpu_s: float | None = None

    @property
    def warning(self) -> str | None:
        """What makes the rate doubtful."""
        if self.cpu_s is None or self.cpu_s >= ENOUGH_CPU_S:
            return None
        return (
            f"the events/s of a core are {self.origin}, from {show_time(self.cpu_s)} of CPU time alone: below "
            f"{show_time(ENOUGH_CPU_S)} they tell of opening files and starting up; measure with more events"
        )


@dataclass(frozen=True)
class Question:
    """What was asked: the given files, the assumptions, where the CPU's rate is from, the model's name, and the time to
    compare with in seconds."""

    samples: Sequence[Sample]
    assumed: Assumptions
    measured: Measured
    model: str
    target: float | None = None


#: What each bound means, in its order.
_BOUNDS = {
    "cpu": "the cores' own work",
    "first_byte": "waiting for first bytes, as far as tasks look ahead",
    "stream": "receiving, at the rate of a stream for each request, as far as tasks look ahead",
    "nic": "the bytes, through the nodes' interfaces",
    "requests": "the requests, at the store's limit",
}


def as_json(asked: Question, told: Estimate) -> dict[str, Any]:
    """What was asked, what was assumed and what came out, as ``--json`` prints it. Times in seconds."""
    figures = told.to_json(asked.assumed)
    return {
        "model": asked.model,
        "files_given": [
            {"url": layout.url, "bytes": layout.size, "format": layout.format, "events": layout.entries,
             "clusters": len(layout.clusters), "bytes_needed": layout.needed}
            for layout in (sample.layout for sample in asked.samples)
        ],
        "cpu_rate": asdict(asked.measured),
        "warning": asked.measured.warning,
        "target_s": asked.target,
        "target_met": None if asked.target is None else told.wall_s["median"] <= asked.target,
        "look_ahead": {"bytes": AHEAD * asked.assumed.piece_target, "files": FILES, "pieces": PIECES},
        "streams": STREAMS,
        "plan_threads": THREADS,
        "driver_bytes": _driver_bytes(asked, told),
        **figures,
    }


def show(asked: Question, told: Estimate) -> str:
    """The whole text; ends with a line feed."""
    parts = [
        _head(asked.samples, asked.assumed, told),
        _asked(told),
        _time(asked.assumed, told, asked.target),
        _assumed(asked, told),
        "not counted\n" + "\n".join(f"  {what}" for what in NOT_COUNTED),
    ]
    return "\n\n".join(parts) + "\n"


def _head(samples: Sequence[Sample], assumed: Assumptions, told: Estimate) -> str:
    size = sum(sample.layout.size for sample in samples)
    events = sum(sample.layout.entries for sample in samples)
    formats = " and ".join(sorted({sample.layout.format for sample in samples}))
    needed = sum(sample.layout.needed for sample in samples)
    return (
        f"{show_bytes(assumed.volume)} in {show_count(told.files)} files like the {len(samples)} given ({formats}, "
        f"{size / max(1, events):,.0f} bytes an event, of which {needed / size:.1%} are read): {told.events:.3g} events"
    )


def _asked(told: Estimate) -> str:
    made = ", ".join(f"{name} {show_count(count)}" for name, count in told.requests.items())
    wall, all_requests = told.wall_s["median"], sum(told.requests.values())
    over_read = told.bytes_received / told.bytes_needed
    written, share = "not counted", "give --from"
    if told.bytes_written is not None:
        written, share = show_bytes(told.bytes_written), f"{told.bytes_written / told.bytes_needed:.3f} of the bytes needed"
    rows = [
        ["requests", show_count(all_requests), made],
        ["bytes needed", show_bytes(told.bytes_needed), "baskets, pages or column chunks of the columns that are read"],
        ["bytes on the wire", show_bytes(told.bytes_received), f"{over_read:.3f} of the bytes needed"],
        ["bytes written", written, f"the pairs; {share}"],
        ["bytes/s", f"{show_bytes(told.bytes_received / wall)}/s", "all nodes together, on the wire"],
        ["requests/s", f"{all_requests / wall:,.0f}", "all nodes together"],
    ]
    return "asked of the store\n" + _indented(table(rows, left=3))


def _time(assumed: Assumptions, told: Estimate, target: float | None) -> str:
    low, wall, high = (show_time(told.wall_s[name]) for name in ("p05", "median", "p95"))
    taken = {name: seconds for name, seconds in told.bounds_s.items() if seconds}
    lines = [
        f"time  {wall} (90 % of the simulated runs within {low} to {high}), of which the plan takes "
        f"{show_time(told.plan_s)}",
        "  the least time that each resource allows, by itself:",
        _indented(table([[name, show_time(seconds), _BOUNDS[name]] for name, seconds in taken.items()], left=3), 4),
    ]
    lines.append(
        f"  {told.bound} bounds it; tasks wait for bytes for {told.wait_share:.0%} of their time; cores are idle for "
        f"{told.idle_share:.0%}, at the ends of {told.batches:,} {'batch' if told.batches == 1 else 'batches'}"
    )
    if target is not None:
        share = told.wall_s["median"] / target
        cores = math.ceil(assumed.cores * share)
        needed = "" if share <= 1 else f"; about {cores:,} cores would be needed, if nothing else becomes the bound"
        lines.append(f"  target {show_time(target)}: {'met' if share <= 1 else 'missed'} ({share:.2f} of it){needed}")
    return "\n".join(lines)


def _assumed(asked: Question, told: Estimate) -> str:
    assumed = asked.assumed
    size, written = assumed.file_size, assumed.written_per_event
    lengthened = "given files stand for the data set" + (", lengthened by their own clusters" if size else "")
    rows = [
        ["model", asked.model, "latency of the store: first bytes and rates of streams"],
        ["cores", f"{assumed.cores:,}", f"one task each; {assumed.cores_per_node} share a node's network interface"],
        *_cpu(asked),
        ["file size", show_bytes(size) if size else "as given", lengthened],
        ["piece", show_bytes(assumed.piece_target), "bytes to read of a piece, about; clusters are not divided"],
        ["task", show_bytes(assumed.task_target), "bytes to read of a task at most; at least 3 tasks for each core"],
        ["batch", show_bytes(assumed.batch_target), "bytes to read that are completed before the next are begun"],
        ["look-ahead", show_bytes(AHEAD * assumed.piece_target),
         f"asked for beside the piece that is cut, and one piece at least; of {FILES} files and {PIECES} pieces at most"],
        ["streams", str(STREAMS), "requests that a process has under way, at most"],
        ["plan threads", str(THREADS), "files that each core opens at once in the plan"],
        ["plan CPU", show_time(assumed.plan_cpu_s), "to make sense of one file's metadata"],
        ["read_gap", show_bytes(assumed.read_gap), "larger holes between ranges are not read through"],
        ["read_waste", f"{assumed.read_waste} %", "bytes of holes, of the bytes asked for, at most"],
        ["output", "not known" if written is None else f"{written:.3g} B", "of rows for each event that is read"],
        ["driver", show_bytes(_driver_bytes(asked, told)), "of memory for the layouts of all files, about"],
        ["simulation", f"{assumed.rounds} rounds", f"of one batch each, seed {assumed.seed}"],
    ]
    return "assumed\n" + _indented(table(rows, left=3))


def _cpu(asked: Question) -> list[list[str]]:
    rate, measured = asked.assumed.events_per_cpu_s, asked.measured
    if not rate:
        return [["CPU", "not counted", "give --from or --events-per-second-per-core"]]
    rows = [["CPU", f"{rate:,.0f} events/s", f"of one core that never waits ({measured.origin})"]]
    if measured.cpu_s is not None:
        rows.append(["", "", f"from {show_count(measured.events)} events in {show_time(measured.cpu_s)} of CPU time"])
    if measured.engine == "spark":
        rows.append(["", "", "of Python's workers alone: what the JVM does beside them is not in it"])
    return rows


def _driver_bytes(asked: Question, told: Estimate) -> int:
    """What the process that starts the job holds of all files."""
    clusters = sum(len(sample.layout.clusters) for sample in asked.samples) / len(asked.samples)
    longer = told.files and told.events / told.files / max(1.0, _entries(asked.samples))
    return round(told.files * (DRIVER_FILE + DRIVER_CLUSTER * clusters * longer))


def _entries(samples: Sequence[Sample]) -> float:
    return sum(sample.layout.entries for sample in samples) / len(samples)


def _indented(text: str, by: int = 2) -> str:
    return "\n".join(" " * by + line for line in text.splitlines())
