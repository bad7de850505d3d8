# SPDX-License-Identifier: Apache-2.0
"""The reduction on Spark from object storage: beside the local disk, and through s3fs and ocifs.

    STORESCOPE_BIN=…/storescope python peers.py --files DIR [--rounds 3] [--events 1000000]

The rows run the same code over the same files, by turns, each a process with a Spark of its own. They differ in what opens the
files alone (`opener/`). The time is that of the plan and the run; the command's whole time, with Spark's start, stands apart.
Python of the executors has s3fs and ocifs installed (`requirements.txt`)."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import jobs
import measuring

LOCAL, OURS, PEERS = "local disk", "storescope", ("s3fs", "ocifs")
SETTINGS = {
    LOCAL: "files on the local disk, output to it",
    OURS: "the wheel, defaults",
    "s3fs": "`FSSpecSource`, `max_pool_connections=64`, uproot's merging of ranges",
    "ocifs": '`FSSpecSource`, `default_cache_type="none"`, uproot\'s merging of ranges',
}


def copied(folder: Path, copies: int) -> Path:
    """A folder with all files of another, so many times, by links."""
    target = folder.parent / f"{folder.name}-times-{copies}"
    target.mkdir(exist_ok=True)
    for number in range(copies):
        for file in sorted(folder.glob("*.root")):
            link = target / f"{number:03}-{file.name}"
            if not link.exists():
                link.hardlink_to(file)
    return target


def job_of(server: measuring.Server, row: str, folder: Path, out: str, tasks: int) -> jobs.Reduction:
    options = ("--master", f"local[{tasks}]")
    if row == LOCAL:
        return jobs.Reduction("spark", (f"{folder}/*.root",), "", f"{folder.parent}/out", options)
    environment = {}
    if row in PEERS:
        path = [str(Path(__file__).parent / "opener"), *filter(None, [server.environment().get("PYTHONPATH")])]
        environment = {"BENCH_OPENER": row, "PYTHONPATH": ":".join(path)}
    return jobs.Reduction("spark", (server.url("in/*.root"),), "in/", out, options, environment)


def line(row: str, outcomes: list[jobs.Outcome], base: float) -> list[str]:
    times = [outcome.plan_s + outcome.run_s for outcome in outcomes]
    excess = statistics.median(times) - base
    received = statistics.median(outcome.traffic.received for outcome in outcomes)
    started = [outcome.seconds - outcome.plan_s - outcome.run_s for outcome in outcomes]
    return [
        row,
        measuring.spread([outcome.plan_s for outcome in outcomes]),
        measuring.spread([outcome.run_s for outcome in outcomes]),
        measuring.spread(times),
        f"{statistics.median(times) / base:.2f}",
        f"{excess:.1f}" if row != LOCAL else "",
        f"{statistics.median(outcome.traffic.requests for outcome in outcomes):.0f}",
        f"{received / 1e6:.1f}",
        measuring.spread([outcome.wait_s for outcome in outcomes]),
        measuring.spread(started, 1),
        measuring.spread([outcome.cpu for outcome in outcomes], 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=Path, required=True, help="where the sample is kept for the next time")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--copies", type=int, default=1, help="each of the 8 files so many times, under other names")
    parser.add_argument("--branches", type=int, default=100)
    parser.add_argument("--format", default="ttree", choices=("ttree", "rntuple"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=2, help="Spark's tasks at once")
    parser.add_argument("--model", default="s3-standard")
    parser.add_argument("--local-output", action="store_true", help="all rows write to the local disk: without the jar")
    parser.add_argument("--only", help="rows, with commas between; local disk and storescope are always measured")
    asked = parser.parse_args()
    rows = [row for row in SETTINGS if row in (LOCAL, OURS) or not asked.only or row in asked.only.split(",")]
    measuring.heading(["storescope", "pyspark", "uproot", "awkward", "fsspec", "s3fs", "ocifs"])
    print(
        f"{asked.copies * asked.events:,} events in {8 * asked.copies} files ({asked.format}, {asked.branches} branches), `local[{asked.tasks}]`, model "
        f"{asked.model}, {asked.rounds} rounds; median, least and most.\n"
    )
    print("\n".join(f"* *{row}*: {SETTINGS[row]}" for row in rows) + "\n")
    folder = copied(
        jobs.generate(asked.files, asked.format, events=asked.events, files=8, branches=asked.branches), asked.copies
    )
    outcomes: dict[str, list[jobs.Outcome]] = {row: [] for row in rows}
    with measuring.serve() as server:
        server.put(folder, "in/")
        for number, row in measuring.turns(rows, asked.rounds):
            out = f"{asked.files}/out" if asked.local_output else server.url("out")
            outcome = jobs.reduce(server, job_of(server, row, folder, out, asked.tasks), asked.model)
            outcomes[row].append(outcome)
            print(f"{number} {row}: {outcome.plan_s:.2f} + {outcome.run_s:.2f} s", file=sys.stderr, flush=True)
    jobs.same_physics([outcome for of_row in outcomes.values() for outcome in of_row])
    times = {row: statistics.median(one.plan_s + one.run_s for one in of_row) for row, of_row in outcomes.items()}
    head = ["", "plan, s", "run, s", "plan + run, s", "× local disk", "excess, s", "requests", "MB", "tasks waited, s", "start and end, s",
            "CPU, s"]
    measuring.table(head, [line(row, outcomes[row], times[LOCAL]) for row in rows])
    measuring.bar(f"{OURS} / {LOCAL}", times[OURS] / times[LOCAL], 1.5, at_most=True)
    for row in PEERS:
        if row in rows:
            measuring.bar(f"{row} / {OURS}", times[row] / times[OURS], 3, at_most=False)


if __name__ == "__main__":
    main()
