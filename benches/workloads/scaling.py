# SPDX-License-Identifier: Apache-2.0
"""How the reduction scales: tasks at once, and files.

    STORESCOPE_BIN=…/storescope python scaling.py --files DIR [--rounds 2] [--engine spark]

Files: 8 and 200 of equal size, by which the events grow with the files; and 200 files that hold the events of the 8. Tasks: 1,
2 and 4 at once over the 200 files. Told are events/s of the run, and the time of the plan, which must not grow faster than
the number of files. Rows take turns; Spark's start is not in the times."""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import jobs
import measuring

FEW, MANY = 8, 200


@dataclass(frozen=True)
class Row:
    """What is read by how many tasks: ``events`` of ``files`` files below ``in/FOLDER/``."""

    name: str
    folder: str
    files: int
    tasks: int

    def __str__(self) -> str:
        return f"{self.name}, {self.tasks} at once"


ROWS = [
    Row("8 files", "few", FEW, 2),
    Row("200 files of their size", "copies", MANY, 2),
    Row("200 files with the events of 8", "split", MANY, 2),
    Row("200 files of their size", "copies", MANY, 1),
    Row("200 files of their size", "copies", MANY, 4),
]


def fill(server: measuring.Server, files: Path, events: int) -> None:
    """The inputs: ``few``; ``copies``, which are those 25 times; ``split``, the same events in 200 files."""
    few = jobs.generate(files, "ttree", events=events, files=FEW)
    server.put(few, "in/few/0/")
    for number in range(MANY // FEW):
        server.put(few, f"in/copies/{number}/")
    server.put(jobs.generate(files, "ttree", events=events, files=MANY), "in/split/0/")


def job_of(server: measuring.Server, row: Row, engine: str) -> jobs.Reduction:
    below = f"in/{row.folder}/"
    options = ("--master", f"local[{row.tasks}]") if engine == "spark" else ("--processes", str(row.tasks))
    return jobs.Reduction(engine, (server.url(f"{below}*/*.root"),), below, server.url("out"), options)


def line(row: Row, outcomes: list[jobs.Outcome]) -> list[str]:
    events = outcomes[0].result["events"]["in"]
    return [
        row.name,
        f"{row.tasks}",
        f"{events:,}",
        measuring.spread([outcome.plan_s for outcome in outcomes]),
        measuring.spread([outcome.run_s for outcome in outcomes]),
        f"{statistics.median(events / outcome.run_s for outcome in outcomes) / 1e3:.0f}",
        f"{statistics.median(outcome.traffic.requests for outcome in outcomes):.0f}",
        f"{statistics.median(outcome.traffic.received for outcome in outcomes) / outcomes[0].needed:.2f}",
        measuring.spread([outcome.cpu for outcome in outcomes], 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=Path, required=True, help="where the samples are kept for the next time")
    parser.add_argument("--events", type=int, default=400_000, help="of the 8 files")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--engine", choices=("spark", "local"), default="spark")
    parser.add_argument("--model", default="s3-standard")
    asked = parser.parse_args()
    measuring.heading(["storescope", "pyspark", "uproot", "awkward"])
    print(f"Engine {asked.engine}, model {asked.model}, {asked.rounds} rounds; median, least and most.\n")
    outcomes: dict[str, list[jobs.Outcome]] = {str(row): [] for row in ROWS}
    named = {str(row): row for row in ROWS}
    with measuring.serve() as server:
        fill(server, asked.files, asked.events)
        for number, name in measuring.turns(list(named), asked.rounds):
            outcome = jobs.reduce(server, job_of(server, named[name], asked.engine), asked.model)
            outcomes[name].append(outcome)
            print(f"{number} {name}: {outcome.plan_s:.2f} + {outcome.run_s:.2f} s", file=sys.stderr, flush=True)
    head = ["", "tasks at once", "events", "plan, s", "run, s", "thousand events/s", "requests", "bytes / needed", "CPU, s"]
    measuring.table(head, [line(row, outcomes[str(row)]) for row in ROWS])
    for folders in (("few", "split"), ("copies",)):
        jobs.same_physics([outcome for row in ROWS if row.folder in folders for outcome in outcomes[str(row)]])
    plans = {name: statistics.median(outcome.plan_s for outcome in outcomes[name]) for name in named}
    growth = plans[str(ROWS[1])] / plans[str(ROWS[0])]
    measuring.bar(f"time of the plan, {MANY} files / {FEW} files", growth, MANY / FEW, at_most=True)


if __name__ == "__main__":
    main()
