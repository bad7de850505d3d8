# SPDX-License-Identifier: Apache-2.0
"""The engines on the formats: the same pairs, and what each costs.

    STORESCOPE_BIN=…/storescope STORESCOPE_JARS=…/storescope-hadoop-0.1.0.jar python engines.py --files DIR [--rounds 3]

Each run is a process of its own: `storescope-workloads reduce oci://… --engine …` over 8 files in the emulator, output
to the emulator. Rows take turns. Requests and bytes are those of the server's record for reads of the inputs; CPU time is
that of the command with all its descendants, JVM and Python workers among them."""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

import jobs
import measuring

SPARSE = "ttree, 100 branches"
#: The sample in each of its forms: format and branches. The sparse one is that of the bar.
FORMS = {"ttree": ("ttree", 37), SPARSE: ("ttree", 100), "rntuple": ("rntuple", 37), "parquet": ("parquet", 37)}
ROWS = [
    ("local", "ttree"),
    ("local", SPARSE),
    ("local", "rntuple"),
    ("local", "parquet"),
    ("spark", "ttree"),
    ("spark", SPARSE),
    ("spark", "rntuple"),
    ("spark", "parquet"),
    ("spark-sql", "parquet"),
]
HEAD = [
    "engine", "format", "pairs", "mean mass, GeV", "MB needed", "MB on the wire", "× needed", "requests", "plan + run, s",
    "command, s", "CPU, s",
]


def job_of(server: measuring.Server, engine: str, form: str) -> jobs.Reduction:
    below = f"in/{_folder(form)}/"
    inputs = server.url(f"{below}*.{jobs.ENDINGS[FORMS[form][0]]}")
    options = () if engine == "local" else ("--master", "local[2]")
    return jobs.Reduction(engine, (inputs,), below, server.url("out"), options)


def _folder(form: str) -> str:
    return "-".join(map(str, FORMS[form]))


def line(engine: str, form: str, outcomes: list[jobs.Outcome]) -> list[str]:
    first = outcomes[0]
    received = statistics.median(outcome.traffic.received for outcome in outcomes)
    return [
        engine,
        form,
        f"{first.pairs:,}",
        f"{first.mean_mass:.10f}",
        f"{first.needed / 1e6:.2f}",
        f"{received / 1e6:.2f}",
        f"{received / first.needed:.2f}" if first.needed else "",
        f"{statistics.median(outcome.traffic.requests for outcome in outcomes):.0f}",
        measuring.spread([outcome.plan_s + outcome.run_s for outcome in outcomes]),
        measuring.spread([outcome.seconds for outcome in outcomes]),
        measuring.spread([outcome.cpu for outcome in outcomes], 1),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--files", type=Path, required=True, help="where the sample is kept for the next time")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="s3-standard")
    parser.add_argument("--only", help="engines, with commas between")
    asked = parser.parse_args()
    rows = [row for row in ROWS if not asked.only or row[0] in asked.only.split(",")]
    measuring.heading(["storescope", "pyspark", "uproot", "awkward", "pyarrow"])
    print(
        f"{asked.events:,} events in 8 files of 37 branches (and of 100), model {asked.model}, {asked.rounds} rounds; median, "
        "least and most.\n"
    )
    outcomes: dict[tuple[str, str], list[jobs.Outcome]] = {row: [] for row in rows}
    with measuring.serve() as server:
        for form, (kind, branches) in FORMS.items():
            folder = jobs.generate(asked.files, kind, events=asked.events, files=8, branches=branches)
            server.put(folder, f"in/{_folder(form)}/")
        named = {f"{engine} {form}": (engine, form) for engine, form in rows}
        for number, name in measuring.turns(list(named), asked.rounds):
            outcome = jobs.reduce(server, job_of(server, *named[name]), asked.model)
            outcomes[named[name]].append(outcome)
            print(f"{number} {name}: {outcome.seconds:.2f} s", file=sys.stderr, flush=True)
    measuring.table(HEAD, [line(*row, outcomes[row]) for row in rows])
    jobs.same_physics([outcome for of_row in outcomes.values() for outcome in of_row])
    print("All rows: the same pairs, and means equal to 1e-9.\n")
    for (engine, form), of_row in outcomes.items():
        if form == SPARSE:
            received = statistics.median(outcome.traffic.received for outcome in of_row)
            measuring.bar(f"{engine}, {form}: bytes on the wire / needed", received / of_row[0].needed, 1.3, at_most=True)


if __name__ == "__main__":
    main()
