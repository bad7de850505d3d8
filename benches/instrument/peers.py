#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What benchmarks say of one server, beside what the server wrote down: fio, oha, s3dlio and `storescope bench`.

    python -m venv v && v/bin/pip install -r benches/instrument/requirements.txt
    STORESCOPE_BIN=…/storescope FIO=…/fio OHA=…/oha v/bin/python benches/instrument/peers.py
    … peers.py --count 1000 --model lan-minio --only "storescope bench,oha" --works get:4096

One emulator, in a process of its own, with a latency model. Each tool in turn does the same work by its S3 API; the
model's draws begin anew before each. The server's record has the times of exactly the requests that the tool counted: by
client request id where the tool tells them, else by user agent, method and time. Prints Markdown; ends with 1 if
`storescope bench` is further from the record than max(1 %, 0.3 ms).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tools import OBJECTS, QUANTILES, TOOLS, Missing, Store, Told, Tool, Work, nearest_rank, output, serving

RELATIVE, ABSOLUTE_MS = 0.01, 0.3
WORKS = "get:4096,get:65536,put:4096,put:65536"
ENDS = {"first byte": "first_byte_ns", "whole": "last_byte_ns"}


class Record:
    """The server's record, read on from where it was left."""

    def __init__(self, server: serving.Server):
        self.admin, self.path, self.at = server.ready["admin"], Path(server.ready["record"]), 0

    def rest(self) -> list[dict[str, Any]]:
        """The requests since the last call."""
        # The file is up to date once the admin API was asked; of nothing, which is quick.
        with opened(f"{self.admin}/record?since={2**62}"):
            pass
        with self.path.open("rb") as file:
            file.seek(self.at)
            lines = file.read().splitlines()
            self.at = file.tell()
        return [json.loads(line) for line in lines]


def opened(request: str | urllib.request.Request) -> Any:
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60)


@dataclass(frozen=True)
class Row:
    """One of a tool's times, beside the record's: quantiles in milliseconds."""

    tool: str
    part: str
    count: int
    told: dict[str, float]
    record: dict[str, float]

    def apart(self, name: str) -> float:
        return self.told[name] - self.record[name]

    def agrees(self) -> bool:
        return all(abs(self.apart(name)) <= max(RELATIVE * self.record[name], ABSOLUTE_MS) for name in QUANTILES)

    def cells(self) -> str:
        cells = [self.tool, self.part, str(self.count)]
        for name in QUANTILES:
            share = self.apart(name) / self.record[name]
            cells.append(f"{self.told[name]:.2f} / {self.record[name]:.2f} ({share:+.1%})")
        return "| " + " | ".join(cells) + " |"


def rows(tool: Tool, work: Work, told: Told, lines: list[dict[str, Any]]) -> tuple[list[Row], str]:
    """A tool's rows, and what else it asked of the server."""
    mine = [line for line in lines if tool.sent(line)]
    counted = [line for line in mine if is_counted(line, work, told)]
    if told.errors or len(counted) != told.count or not told.count:
        statuses = sorted({str(line["status"]) for line in mine})
        raise RuntimeError(
            f"{tool.name}, {work}: it counts {told.count} calls and {told.errors} errors, the record has {len(counted)} "
            f"such requests (of {len(mine)} with its user agent; statuses {', '.join(statuses)})"
        )
    made = []
    for part, quantiles in told.quantiles.items():
        samples = sorted((line[ENDS[part]] - line["head_read_ns"]) / 1e6 for line in counted)
        record = {name: nearest_rank(samples, quantile) for name, quantile in QUANTILES.items()}
        made.append(Row(tool.name, part, told.count, quantiles, record))
    others = [line["method"] for line in mine if not is_counted(line, work, told)]
    return made, ", ".join(f"{others.count(method)} {method}" for method in sorted(set(others)))


def is_counted(line: dict[str, Any], work: Work, told: Told) -> bool:
    if told.ids is not None:
        return line["client_request_id"] in told.ids
    size = line["bytes_out"] if work.operation == "get" else line["bytes_in"]
    return line["method"] == work.operation.upper() and line["status"] in (200, 206) and size == work.size


def prepare(server: serving.Server, store: Store, works: list[Work], folder: Path) -> None:
    """The objects that are read."""
    for size in sorted({work.size for work in works}):
        tree = folder / f"objects-{size}"
        tree.mkdir()
        for number in range(OBJECTS):
            (tree / f"o_{number * size}_{size}").write_bytes(os.urandom(size))
        output([serving.binary(), "sync", str(tree), f"s3://demo/{size}/"], store.environment())


def measure(tools: list[Tool], works: list[Work], model: str) -> list[tuple[Work, list[Row], list[str]]]:
    measured = []
    with tempfile.TemporaryDirectory() as name, serving.serve("--model", "none") as server:
        folder, store, record = Path(name), Store.of(server), Record(server)
        prepare(server, store, works, folder)
        for work in works:
            made, beside = [], []
            for tool in tools:
                draw(server, model)
                record.rest()
                told = tool.run(store, work, folder)
                its, others = rows(tool, work, told, record.rest())
                made += its
                beside += [f"{tool.name} also sent {others}"] if others else []
            measured.append((work, made, beside))
    return measured


def draw(server: serving.Server, model: str) -> None:
    """Sets the model, whose draws begin at the seed."""
    text = Path(model).read_bytes() if os.path.exists(model) else model.encode()
    with opened(urllib.request.Request(server.ready["admin"] + "/model", method="PUT", data=text)):
        pass


def report(measured: list[tuple[Work, list[Row], list[str]]], tools: list[Tool], head: str) -> None:
    print(head + "\n")
    for work, made, beside in measured:
        print(f"**{work}**: told / record, in ms (difference)\n")
        print("| tool | time | calls | " + " | ".join(QUANTILES) + " |\n| --- | --- | --- |" + " --- |" * len(QUANTILES))
        for row in made:
            print(row.cells())
        print("\n" + "".join(f"{line}.\n" for line in beside))
    for tool in tools:
        print(f"* *{tool.name}*: {tool.measures}.")


def heading(versions: list[str], model: str) -> str:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    return f"{now} · {machine} · load {os.getloadavg()[0]:.2f} · model {model} · {', '.join(versions)}"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--model", default="s3-standard", help="the server's latency model: a name or a file (s3-standard)")
    options.add_argument("--count", type=int, default=10_000, help="calls of each tool and work (10000)")
    options.add_argument("--concurrency", type=int, default=8, help="calls under way at a time (8)")
    options.add_argument("--works", default=WORKS, help=f"OPERATION:SIZE, with commas between ({WORKS})")
    options.add_argument("--only", help="these tools alone, with commas between")
    given = options.parse_args()
    if given.count % given.concurrency:
        options.error("--count must be a multiple of --concurrency: fio gives each job as many")
    tools = [tool for tool in TOOLS if not given.only or tool.name in given.only.split(",")]
    works = []
    for text in given.works.split(","):
        operation, size = text.split(":")
        works.append(Work(operation, int(size), given.count, given.concurrency))
    try:
        versions = [tool.version() for tool in tools]
    except (Missing, serving.NotConfigured) as error:
        print(error, file=sys.stderr)
        return 2
    head = heading(versions, given.model)
    measured = measure(tools, works, given.model)
    report(measured, tools, head)
    apart = [row for _, made, _ in measured for row in made if row.tool == "storescope bench" and not row.agrees()]
    for row in apart:
        print(f"NOT TRUE: {row}", file=sys.stderr)
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
