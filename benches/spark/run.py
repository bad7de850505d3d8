#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""storescope's Hadoop FileSystem in Spark, beside Oracle's connector, S3A and the local disk.

Everything that is needed is made once in the cache folder: an environment with pyspark, the peers' jars by Maven, the data.
Then each measurement is a process of its own, rows by turns, over TLS to one emulator. Prints Markdown.

    STORESCOPE_BIN=…/storescope benches/spark/run.py --jar …/storescope-hadoop-0.1.0.jar > table.md
    benches/spark/run.py --only W1,W3 --rows ours,oracle-tuned --runs 3
    benches/spark/run.py --rows ours,plugin --only W1,W2a,W2b,W2c,W3,W4,W5           what the plugin costs
    benches/spark/run.py --rows s3a-classic,s3a-analytics --only W5 --requests       what was asked, in its order
    benches/spark/run.py --report results.json                                       the table of an earlier run
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import prepare
import report
import server
from plan import WORKS, Work
from rows import COMMITTERS, LOCAL, OURS, PLUGIN, ROWS, Row, conf


def main() -> None:
    asked = arguments()
    # Whoever ends this ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if asked.report:
        print(report.markdown(json.loads(asked.report.read_text())))
        return
    works = [WORKS[name] for name in chosen(asked.only, list(WORKS))]
    names = chosen(asked.rows, [row.name for row in ROWS])
    # What is told is the excess over the local disk, but for the plugin: there it is one row beside the other.
    others = set() if {OURS, PLUGIN} >= set(names) else {LOCAL}
    rows = [row for row in ROWS if row.name in {*others, *names}]
    if {OURS, PLUGIN} & set(names) and not asked.jar.exists():
        raise SystemExit(f"{asked.jar} is not there: build it (bindings/jni/README.md), or name it by --jar")
    prepare.all_of(asked.cache, set(names))
    measurements: list[dict[str, Any]] = []
    told = {
        "about": report.about(asked),
        "wanted": json.loads((asked.cache / "data/wanted.json").read_text()),
        "measurements": measurements,
    }
    with tempfile.TemporaryDirectory(prefix="bench-spark-") as scratch:
        state = Path(scratch) / "state"
        model = server.CONSTANT if asked.constant else server.MODEL
        with server.serve(asked.binary, state, asked.cache / "data", model) as store:
            trust = prepare.trust_store(store.ready["oci"]["ca_bundle"], Path(scratch) / "trust.p12")
            bench = Bench(asked, store, trust, Path(scratch))
            for run in range(asked.runs):
                for work in works:
                    for row in turned(rows, run):
                        measurements += bench.measure(row, work, run)
                        if asked.json:
                            asked.json.write_text(json.dumps(told, indent=1))
    print(report.markdown(told))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "storescope/bench-spark"
    jar = target / "jni/storescope-hadoop/storescope-hadoop-0.1.0.jar"
    parser.add_argument("--jar", type=Path, default=jar, help="our jar (%(default)s)")
    binary = os.environ.get("STORESCOPE_BIN", str(target / "ci/storescope"))
    parser.add_argument("--binary", default=binary, help="storescope, which serves; STORESCOPE_BIN (%(default)s)")
    parser.add_argument("--cache", type=Path, default=cache, help="where what is made is kept (%(default)s)")
    parser.add_argument("--runs", type=int, default=9, help="measurements of each work and row (%(default)s)")
    parser.add_argument(
        "--per-process", type=int, default=1, help="measurements of a work by one process before the next row's turn (%(default)s)"
    )
    parser.add_argument("--constant", action="store_true", help="each first byte after 30 ms, so that no chance lies between rows")
    parser.add_argument("--slow", type=float, default=45, help="seconds from which a row is slow at a work (%(default)s)")
    parser.add_argument("--slow-runs", type=int, default=1, help="measurements of a row at which it is slow (%(default)s)")
    parser.add_argument("--only", help="works, with commas between: " + ",".join(WORKS))
    parser.add_argument("--rows", help="rows, with commas between: " + ",".join(row.name for row in ROWS))
    parser.add_argument("--requests", action="store_true", help="tell on standard error each request of a work")
    parser.add_argument("--json", type=Path, help="where the measurements go, written after each")
    parser.add_argument("--report", type=Path, help="measure nothing: the table of what --json wrote")
    return parser.parse_args()


def chosen(asked: str | None, all_of: list[str]) -> list[str]:
    names = asked.split(",") if asked else all_of
    if unknown := set(names) - set(all_of):
        raise SystemExit(f"{', '.join(sorted(unknown))}: not among {', '.join(all_of)}")
    return [name for name in all_of if name in names]


def turned(rows: list[Row], run: int) -> list[Row]:
    first = run % len(rows)
    return rows[first:] + rows[:first]


class Bench:
    def __init__(self, asked: argparse.Namespace, store: server.Server, trust: Path, scratch: Path) -> None:
        self.asked, self.store, self.trust, self.scratch = asked, store, trust, scratch
        self.results: dict[str, Any] = {}
        self.slow: Counter[tuple[str, str]] = Counter()

    def measure(self, row: Row, work: Work, run: int) -> list[dict[str, Any]]:
        """The measurements of one process; none of a row that has been slow at the work often enough."""
        if self.slow[row.name, work.name] >= self.asked.slow_runs:
            return []
        times = 1 if work.writes else self.asked.per_process
        prefixes = [f"run-{run}-{time}/{row.name}/{work.name}" for time in range(times)]
        remote = row.scheme != "file"
        if remote:
            for prefix in prefixes:
                for name in work.reads:
                    self.store.copy(f"{self.store.bucket}/base/{name}", f"{self.store.bucket}/{prefix}/{name}")
        self.store.forget()
        measurements = [
            self.measurement(row, work, run * self.asked.per_process + time, told)
            for time, told in enumerate(self.child(row, work, run, self.places(row, work, prefixes)))
        ]
        if remote:
            for prefix in prefixes:
                self.store.remove(prefix)
        if any("seconds" not in told or told["seconds"] > self.asked.slow for told in measurements):
            self.slow[row.name, work.name] += 1
        return measurements

    def measurement(self, row: Row, work: Work, run: int, told: dict[str, Any]) -> dict[str, Any]:
        """What a process told of one time, with what the server saw meanwhile."""
        lines = self.store.between(told["began_ns"], told["ended_ns"]) if "began_ns" in told else []
        if "result" in told:
            self.compare(row, work, told["result"])
        if self.asked.requests:
            for line in sorted(lines, key=lambda line: line["head_read_ns"]):
                print(server.in_short(line, told["began_ns"]), file=sys.stderr)
        measurement = {
            "work": work.name,
            "row": row.name,
            "run": run,
            **told,
            "requests": server.kinds(lines),
            "bytes": sum(line["bytes_out"] for line in lines),
            "connections": len({line["connection"] for line in lines}),
            "in_flight": server.most_in_flight(lines),
        }
        print(f"{run} {report.in_short(measurement)}", file=sys.stderr, flush=True)
        return measurement

    def places(self, row: Row, work: Work, prefixes: list[str]) -> dict[str, Any]:
        """Where the process reads or writes: on the local disk, of the store before it counts, and what counts."""
        data, tables = self.asked.cache / "data", self.scratch / "tables"
        local = (tables if work.writes else data).as_uri()
        if row.scheme == "file":
            return {"local": local, "warm": f"{local}/warm", "counted": [local] * len(prefixes)}
        counted = [row.root(self.store.ready, prefix) for prefix in prefixes]
        return {"local": local, "warm": row.root(self.store.ready, "base/warm"), "counted": counted}

    def child(self, row: Row, work: Work, run: int, places: dict[str, Any]) -> list[dict[str, Any]]:
        cache = self.asked.cache
        jars = [cache / "build/reads", *(cache / jar for jar in row.jars)]
        jars += [self.asked.jar] if row.name in {OURS, PLUGIN} else []
        jars += [cache / COMMITTERS] if work.name == "OM" else []
        settings = conf(row, work.name, self.store.ready, jars, self.trust, self.scratch / "spark")
        specification = {"work": work.name, "conf": settings, "limit": work.limit, **places}
        # No account and no proxy of the environment has a part in it.
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "OCI_", "STORESCOPE_", "SPARK_", "HADOOP_")) and not name.lower().endswith("_proxy")
        }
        environment = {
            **clean,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "STORESCOPE_CA_BUNDLE": self.store.ready["oci"]["ca_bundle"],
        }
        log = cache / f"logs/{work.name}-{row.name}-{run}.log"
        log.parent.mkdir(exist_ok=True)
        command = [prepare.python(cache), str(prepare.HERE / "works.py"), json.dumps(specification)]
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
            )
            try:
                printed, _ = process.communicate()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        told = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        return told or [{"failed": str(log)}]

    def compare(self, row: Row, work: Work, result: Any) -> None:
        """All rows must have read, or written, the same."""
        expected = self.results.setdefault("writes" if work.writes else work.name, result)
        if not alike(result, expected):
            raise SystemExit(f"{work.name}: {row.name} read {result}, others {expected}")


def alike(left: Any, right: Any) -> bool:
    """Equal, but for the order in which floats were added."""
    if isinstance(left, list):
        return len(left) == len(right) and all(map(alike, left, right))
    return math.isclose(left, right, rel_tol=1e-9) if isinstance(left, float) else left == right


if __name__ == "__main__":
    main()
