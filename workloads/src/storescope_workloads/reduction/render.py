# SPDX-License-Identifier: Apache-2.0
"""A result as text for people: what passed, what was found, what the reads cost. Pure."""

from __future__ import annotations

from typing import Any

from ..text import show_bytes, show_count, show_number, show_time, table


def render(result: dict[str, Any]) -> str:
    """The tables of a ``result.json``: data sets, cuts, resonances, reads, times. Ends with a line feed."""
    parts = [_datasets(result), _cuts(result), _physics(result["physics"]), _reads(result), _times(result)]
    return "\n\n".join(parts) + "\n"


def _datasets(result: dict[str, Any]) -> str:
    rows = [["data set", "kind", "files", "events", "pairs", "mean mass GeV"]]
    for one in result["datasets"]:
        files, physics = one["files"], one["physics"]
        whole = files["read"] == files["planned"]
        read = str(files["planned"]) if whole else f"{files['read']} of {files['planned']}"
        counts = [show_count(one["events"]["in"]), show_count(physics["pairs"])]
        rows.append([one["name"], one["kind"], read, *counts, show_number(physics["mean_mass_gev"], ".4f")])
    return table(rows, left=2)


def _cuts(result: dict[str, Any]) -> str:
    physics, events = result["physics"], result["events"]
    read = events["in"] - events["skipped"]
    rows = [["cut", "removed", "passed", "of all"]]
    rows += _flow("muons", physics["muons"]["in"], physics["muons"]["cut_flow"])
    rows += _flow("events", read, physics["cut_flow"])
    every, out, cut, skipped = (show_count(events[name]) for name in ("in", "out", "cut", "skipped"))
    left_out = f" + {skipped} of skipped files" if events["skipped"] else ""
    adds_up = f"{every} events = {out} passed + {cut} cut{left_out}"
    return f"{table(rows)}\n{adds_up}"


def _flow(what: str, count: int, flow: list[dict[str, Any]]) -> list[list[str]]:
    steps = [[f"  {step['cut']}", show_count(step["removed"]), step["passed"]] for step in flow]
    return [[*row[:2], show_count(row[2]), _share(row[2], count)] for row in [[what, "", count], *steps]]


def _physics(physics: dict[str, Any]) -> str:
    peak, median = show_number(physics["peak_gev"], ".1f"), show_number(physics["z_median_gev"], ".3f")
    lines = [f"peak at {peak} GeV, median of 81 to 101 GeV {median} GeV"]
    for seen in physics["resonances"]:
        if seen["found"]:
            counts = f"{show_count(seen['pairs'])} pairs over {show_count(round(seen['background']))} of background"
            lines.append(f"{seen['name']} found at {show_number(seen['peak_gev'], '.2f')} GeV: {counts}")
    return "\n".join(lines)


#: The columns of the table of reads.
READS = [
    "reads", "requests", "needed", "on the wire", "over-read", "waited", "of task time",
    "first byte p50", "p99", "p99.9 ms",
]


def _reads(result: dict[str, Any]) -> str:
    told = result["io"]
    parts = [("plan", told["plan"]), ("work", told["work"])]
    if len(result["datasets"]) > 1:
        parts += [(f"  {one['name']}", one["io"]) for one in result["datasets"]]
    text = table([READS, *(_read(name, io) for name, io in [*parts, ("all", told)])])
    if told["requests"] is None:
        return f"{text}\nrequests are not known: files are local, or their reader does not tell of them"
    if not told["bytes_needed"] and result["events"]["in"] > result["events"]["skipped"]:
        text += "\nneeded is 0: the baskets are in the tree's own metadata, which is read to open a file"
    failures = ", ".join(f"{count} {kind}" for kind, count in told["failures"].items())
    return f"{text}\nrequests that failed and were repeated, or were given up: {failures or 'none'}"


def _read(name: str, io: dict[str, Any]) -> list[str]:
    times = io["first_byte_ms"]
    return [
        name,
        show_count(io["requests"]),
        show_bytes(io["bytes_needed"]),
        "-" if io["bytes_received"] is None else show_bytes(io["bytes_received"]),
        show_number(io["over_read"], ".3f"),
        show_time(io["wait_s"]),
        "-" if io["wait_share"] is None else f"{io['wait_share']:.1%}",
        *(show_number(times[quantile], ".1f") for quantile in ("p50", "p99", "p999")),
    ]


def _times(result: dict[str, Any]) -> str:
    time = result["time"]
    rate = "" if time["events_per_s"] is None else f", {show_count(round(time['events_per_s']))} events/s"
    resumed = result["batches"]["resumed"]
    of_before = f"; {resumed} of {result['batches']['all']} batches were complete before" if resumed else ""
    whole, plan, run, wall, cpu = (
        show_time(time[name]) for name in ("wall_s", "plan_s", "run_s", "task_wall_s", "task_cpu_s")
    )
    return (
        f"{whole} by {result['engine']}: plan {plan}, run {run}{rate}{of_before}\n"
        f"{show_count(time['tasks'])} tasks: {wall} of wall time, {cpu} of CPU time\n"
        f"pairs in {show_count(result['output']['files'])} files of {show_bytes(result['output']['bytes'])} in all"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.2%}" if whole else "-"
