# SPDX-License-Identifier: Apache-2.0
"""ROOT files read by uproot: from the local disk, by storescope, s3fs, obstore, fsspec's http and ocifs.

    STORESCOPE_BIN=…/storescope python uproot_peers.py [--rounds 5] [--only default,all] [--files DIR]

One emulator serves all, in a process of its own; each measurement is a fresh process, rows by turns. Prints
Markdown."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

MUONS = ["nMuon", "Muon_pt", "Muon_eta", "Muon_phi", "Muon_charge"]
TREE, NTUPLE = "nano.root", "nano_rnt.root"

# What is measured: the file, how it is read, and the model of the store.


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    file: str
    columns: list[str] | None
    step: int | str
    model: str


CASES = [
    Case(
        "default",
        "default `iterate`, 5 of 70 branches, 20 ms",
        TREE,
        MUONS,
        "100 MB",
        'ttfb = "20ms"',
    ),
    Case(
        "steps",
        "`iterate` by 10,000 entries (40 steps), 5 branches, 20 ms",
        TREE,
        MUONS,
        10_000,
        'ttfb = "20ms"',
    ),
    Case(
        "ntuple",
        "RNTuple, default `iterate`, 5 of 70 fields, 20 ms",
        NTUPLE,
        MUONS,
        "100 MB",
        'ttfb = "20ms"',
    ),
    Case(
        "all",
        "all 70 branches by 40,000 entries, 20 ms, 60 MB/s a stream",
        TREE,
        None,
        40_000,
        'ttfb = "20ms"\nstream = "60MB/s"',
    ),
    Case("far", "default `iterate`, 5 branches, 100 ms", TREE, MUONS, "100 MB", 'ttfb = "100ms"'),
]


# How each client is told to read: the URL and uproot's options, given the server's ready line.


def local(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    return ready["files"] + "/" + file, {}


def ours_oci(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    import storescope.uproot

    oci = ready["oci"]
    options = {
        "endpoint": oci["endpoint"],
        "config_file": oci["config_file"],
        "handler": storescope.uproot.Source,
    }
    return f"oci://bench@{oci['namespace']}/{file}", options


def ours_s3(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    import storescope.uproot

    s3 = ready["s3"]
    names = ("endpoint", "region", "access_key_id", "secret_access_key")
    options = {name: s3[name] for name in names}
    return f"s3://bench/{file}", {**options, "handler": storescope.uproot.Source}


def s3fs(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    import s3fs  # noqa: F401 imported before the clock starts

    s3 = ready["s3"]
    return f"s3://bench/{file}", {
        "key": s3["access_key_id"],
        "secret": s3["secret_access_key"],
        "client_kwargs": {"endpoint_url": s3["endpoint"], "region_name": s3["region"]},
        "config_kwargs": {"max_pool_connections": 64},
    }


def obstore(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    import obstore.fsspec

    obstore.fsspec.register("s3")
    s3 = ready["s3"]
    names = ("endpoint", "region", "access_key_id", "secret_access_key")
    config = {name: s3[name] for name in names}
    return f"s3://bench/{file}", {"config": config, "client_options": {"allow_http": True}}


def http(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    import fsspec.implementations.http  # noqa: F401

    return ready["par"] + file, {}


def ocifs(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    import ocifs  # noqa: F401

    oci = ready["oci"]
    return f"oci://bench@{oci['namespace']}/{file}", {
        "config": oci["config_file"],
        "profile": oci["profile"],
        "config_kwargs": {"service_endpoint": oci["endpoint"]},
    }


def ocifs_uncached(ready: dict[str, Any], file: str) -> tuple[str, dict[str, Any]]:
    url, options = ocifs(ready, file)
    return url, {**options, "default_cache_type": "none"}


@dataclass(frozen=True)
class Client:
    name: str
    settings: str
    tell: Callable[[dict[str, Any], str], tuple[str, dict[str, Any]]]
    slow: bool = False


CLIENTS = [
    Client("local file", "uproot's default", local),
    Client("storescope oci", "`handler=storescope.uproot.Source`, defaults", ours_oci),
    Client("storescope s3", "the same, `s3://`", ours_s3),
    Client("s3fs", "`max_pool_connections=64`", s3fs),
    Client("obstore", '`obstore.fsspec.register("s3")`', obstore),
    Client("fsspec http", "a pre-authenticated request: nothing is signed", http),
    Client("ocifs", "defaults: cache `bytes`, 5 MiB", ocifs, slow=True),
    Client("ocifs, no cache", '`default_cache_type="none"`', ocifs_uncached, slow=True),
]


# One measurement, in a process of its own.


def measure(client: Client, case: Case, ready: dict[str, Any]) -> dict[str, Any]:
    import awkward
    import uproot

    url, options = client.tell(ready, case.file)
    began, cpu = time.perf_counter(), cpu_seconds()
    entries, pt = 0, 0.0
    with uproot.open({url: "Events"}, **options) as events:
        for arrays in events.iterate(case.columns, step_size=case.step):
            entries += len(arrays)
            pt += float(awkward.sum(arrays["Muon_pt"]))
    return {
        "seconds": time.perf_counter() - began,
        "cpu": cpu_seconds() - cpu,
        "entries": entries,
        "pt": pt,
    }


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# The server, and what it says of a measurement.


class Server:
    def __init__(self, ready: dict[str, Any]) -> None:
        self.ready = ready
        self.since = 0

    def model(self, text: str) -> None:
        self._admin("PUT", "/model", text)

    def seen(self) -> list[dict[str, Any]]:
        """The requests since the last call."""
        lines = json.loads(self._admin("GET", f"/record?since={self.since}"))
        self.since = max([self.since, *(line["id"] for line in lines)])
        return lines

    def _admin(self, method: str, path: str, body: str | None = None) -> str:
        url = self.ready["admin"] + path
        request = urllib.request.Request(url, method=method, data=body.encode() if body else None)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return answer.read().decode()


@contextmanager
def serve(binary: str, files: Path) -> Iterator[Server]:
    """An emulator that holds the files, with a pre-authenticated request for all of its bucket."""
    process = subprocess.Popen([binary, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(process.stdout.readline())
        bucket = f"oci://bench@{ready['oci']['namespace']}"
        options = [
            "--endpoint",
            ready["oci"]["endpoint"],
            "--config-file",
            ready["oci"]["config_file"],
        ]
        subprocess.run([binary, "mb", *options, bucket], check=True, stdout=subprocess.DEVNULL)
        for file in (TREE, NTUPLE):
            command = [binary, "cp", *options, str(files / file), f"{bucket}/{file}"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        yield Server({**ready, "files": str(files), "par": preauthenticated(ready["oci"])})
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def preauthenticated(about: dict[str, Any]) -> str:
    import oci

    config = oci.config.from_file(about["config_file"], about["profile"])
    service = oci.object_storage.ObjectStorageClient(config, service_endpoint=about["endpoint"])
    details = oci.object_storage.models.CreatePreauthenticatedRequestDetails(
        name="bench",
        access_type="AnyObjectRead",
        time_expires=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1),
    )
    answer = service.create_preauthenticated_request(about["namespace"], "bench", details).data
    return about["endpoint"] + answer.access_uri


# All of them, by turns.


@dataclass
class Row:
    client: Client
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def line(self, base: float) -> str:
        times = f"{self.median:.3f} [{min(self.seconds):.3f}, {max(self.seconds):.3f}]"
        counts = f"{statistics.median(self.requests):.0f} | {statistics.median(self.megabytes):.2f}"
        cpu = statistics.median(self.cpu)
        return f"| {self.client.name} | {times} | {self.median / base:.1f} | {counts} | {cpu:.2f} |"


def rounds_of(case: Case, server: Server, rounds: int, clients: list[Client]) -> dict[str, Row]:
    rows = {client.name: Row(client) for client in clients}
    server.model(f'name = "bench"\n{case.model}\n')
    expected: tuple[int, float] | None = None
    for number in range(rounds):
        turn = number % len(clients)
        for client in clients[turn:] + clients[:turn]:
            # What takes a minute each time need not be run as often.
            if client.slow and number >= 3:
                continue
            server.seen()
            told = child(client, case, server.ready)
            result = told["entries"], told["pt"]
            expected = expected or result
            if result != expected:
                raise SystemExit(f"{client.name} read {result}, others {expected}")
            lines = server.seen()
            row = rows[client.name]
            row.seconds.append(told["seconds"])
            row.cpu.append(told["cpu"])
            row.requests.append(len(lines))
            row.megabytes.append(sum(line["bytes_out"] for line in lines) / 1e6)
            print(
                f"{case.name} {number} {client.name}: {told['seconds']:.3f} s",
                file=sys.stderr,
                flush=True,
            )
    return rows


def child(client: Client, case: Case, ready: dict[str, Any]) -> dict[str, Any]:
    asked = json.dumps({"client": client.name, "case": case.name, "ready": ready})
    # No proxy and no account of the environment has a part in it.
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "OCI_", "STORESCOPE_"))
    }
    environment = {**clean, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    ran = subprocess.run(
        [sys.executable, __file__, "--measure", asked], env=environment, stdout=subprocess.PIPE
    )
    if ran.returncode != 0:
        raise SystemExit(f"{client.name} failed")
    return json.loads(ran.stdout)


# What must hold.

OURS, PEERS = "storescope oci", ("s3fs", "obstore", "fsspec http", "ocifs", "ocifs, no cache")


def bars(case: Case, rows: dict[str, Row], needed: float) -> Iterator[str]:
    ours, base = rows[OURS], rows["local file"].median

    def bar(what: str, value: float, limit: float, *, at_most: bool) -> str:
        reached = value <= limit if at_most else value >= limit
        sign = "≤" if at_most else "≥"
        return (
            f"Bar: {what} {value:.2f} {sign} {limit:g}: {'reached' if reached else '**missed**'}."
        )

    faster = {name: rows[name].median / ours.median for name in PEERS if name in rows}
    if case.name in ("default", "steps"):
        yield bar("storescope / local file", ours.median / base, 2, at_most=True)
    if case.name == "far":
        yield bar("storescope / local file", ours.median / base, 4, at_most=True)
    if case.name == "default":
        for name, limit in (("s3fs", 10), ("obstore", 10), ("ocifs", 30)):
            if name in faster:
                yield bar(f"{name} / storescope", faster[name], limit, at_most=False)
    if case.name in ("ntuple", "all") and faster:
        yield bar(
            "best peer / storescope",
            min(faster.values()),
            5 if case.name == "ntuple" else 2,
            at_most=False,
        )
    if case.name in ("default", "far"):
        limit = 1.25 * needed + 0.6
        yield bar(
            "MB on the wire", statistics.median(ours.megabytes), round(limit, 2), at_most=True
        )


def needed_megabytes(files: Path, case: Case) -> float:
    """What uproot reads of the local file: baskets, or pages, and what it parses to find them; each byte once."""
    import uproot
    import uproot.source.file

    class Noting(uproot.source.file.MemmapSource):
        ranges: ClassVar[set[tuple[int, int]]] = set()

        def chunk(self, start, stop):
            self.ranges.add((int(start), int(stop)))
            return super().chunk(start, stop)

        def chunks(self, ranges, notifications):
            self.ranges.update(ranges)
            return super().chunks(ranges, notifications)

    with uproot.open({files / case.file: "Events"}, handler=Noting) as events:
        for _ in events.iterate(case.columns, step_size=case.step):
            pass
    reached = total = 0
    for start, stop in sorted(Noting.ranges):
        total += max(0, stop - max(start, reached))
        reached = max(reached, stop)
    return total / 1e6


def report(case: Case, rows: dict[str, Row], needed: float) -> None:
    base = rows["local file"].median
    print(f"### {case.title}\n")
    print(
        "| client | s | × local | requests | MB on the wire | CPU, s |\n| --- | --- | --- | --- | --- | --- |"
    )
    for row in rows.values():
        print(row.line(base))
    print(f"\nuproot reads {needed:.2f} MB of the file.\n")
    for line in bars(case, rows, needed):
        print(f"{line}\n")
    sys.stdout.flush()


def heading(rounds: int, clients: list[Client]) -> None:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    names = ["storescope", "uproot", "awkward", "fsspec", "s3fs", "obstore", "aiohttp", "ocifs"]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    load = os.getloadavg()[0]
    print(
        f"{now} · {os.cpu_count()} cores, {platform.system()} {platform.release()} · load {load:.2f} · "
        f"Python {platform.python_version()}, {versions}\n"
    )
    print(
        f"{rounds} rounds (ocifs 3 at most), a fresh process each, imports not counted; median, least and most.\n"
    )
    for client in clients:
        print(f"* *{client.name}*: {client.settings}")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", help="cases, with commas between: " + ", ".join(case.name for case in CASES)
    )
    parser.add_argument(
        "--clients", help="clients, with semicolons between; the first two are always measured"
    )
    parser.add_argument(
        "--files",
        type=Path,
        help="where the generated files are kept; a temporary folder by default",
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        one = json.loads(asked.measure)
        client = next(client for client in CLIENTS if client.name == one["client"])
        case = next(case for case in CASES if case.name == one["case"])
        print(json.dumps(measure(client, case, one["ready"])))
        return
    cases = [case for case in CASES if not asked.only or case.name in asked.only.split(",")]
    clients = [
        c
        for c in CLIENTS
        if not asked.clients or c in CLIENTS[:2] or c.name in asked.clients.split(";")
    ]
    with tempfile.TemporaryDirectory(prefix="uproot-peers-") as scratch:
        files = asked.files or Path(scratch)
        for name in (TREE, NTUPLE):
            if not (files / name).exists():
                import nanoaod

                nanoaod.write(files / name, ntuple=name == NTUPLE)
        heading(asked.rounds, clients)
        with serve(os.environ["STORESCOPE_BIN"], files) as server:
            for case in cases:
                rows = rounds_of(case, server, asked.rounds, clients)
                report(case, rows, needed_megabytes(files, case))


if __name__ == "__main__":
    main()
