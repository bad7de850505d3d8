# SPDX-License-Identifier: Apache-2.0
"""What all of these measure by: one emulator in a process of its own, what its record says of a time, and what a command
and all of its descendants cost."""

from __future__ import annotations

import ctypes
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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUCKET = "bench"


class Server:
    """A running emulator, by its ready line, and a bucket in it."""

    def __init__(self, binary: str, ready: dict[str, Any], bucket: str = BUCKET) -> None:
        self.binary = binary
        self.ready = ready
        self.bucket = bucket

    @property
    def oci(self) -> dict[str, str]:
        return self.ready["oci"]

    @property
    def s3(self) -> dict[str, str]:
        return self.ready["s3"]

    def url(self, key: str, scheme: str = "oci") -> str:
        authority = f"{self.bucket}@{self.oci['namespace']}" if scheme == "oci" else self.bucket
        return f"{scheme}://{authority}/{key}"

    def put(self, source: Path, key: str) -> None:
        """A file to an object, or a folder to all objects below a prefix; no model delays it."""
        self.model("none")
        options = ["--endpoint", self.oci["endpoint"], "--config-file", self.oci["config_file"]]
        ways = ["-r", "--concurrency", "8"] if source.is_dir() else []
        command = [self.binary, "cp", *options, *ways, str(source), self.url(key)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def model(self, text: str) -> None:
        """A model's name or TOML. Its draws begin at the seed, so that each measurement begins with the same ones."""
        self._admin("PUT", "/model", text)

    def forget(self) -> None:
        self._admin("DELETE", "/record")

    def record(self) -> list[Line]:
        """The requests whose answers were read, since the last :meth:`forget`."""
        return [Line(**{name: line[name] for name in Line.__slots__}) for line in json.loads(self._admin("GET", "/record"))]

    def environment(self) -> dict[str, str]:
        """Variables by which storescope, the jar, s3fs and ocifs find it; this process's, without accounts and proxies."""
        strange = ("AWS_", "OCI_", "STORESCOPE_", "SPARK_", "HADOOP_")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        return {
            **clean,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "STORESCOPE_OCI_ENDPOINT": self.oci["endpoint"],
            "STORESCOPE_CONFIG_FILE": self.oci["config_file"],
            "STORESCOPE_OCI_REGION": self.oci["region"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_ENDPOINT_URL_S3": self.s3["endpoint"],
            "AWS_REGION": self.s3["region"],
            "AWS_DEFAULT_REGION": self.s3["region"],
            "AWS_ACCESS_KEY_ID": self.s3["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.s3["secret_access_key"],
        }

    def _admin(self, method: str, path: str, body: str | None = None) -> str:
        request = urllib.request.Request(self.ready["admin"] + path, method=method, data=body.encode() if body else None)
        # No proxy of the environment stands between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return answer.read().decode()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the record."""

    method: str
    target: str
    range: str | None
    status: int | None
    bytes_in: int
    bytes_out: int


@contextmanager
def serve(binary: str | None = None) -> Iterator[Server]:
    """An emulator with one bucket, without a model."""
    binary = binary or os.environ["STORESCOPE_BIN"]
    process = subprocess.Popen([binary, "serve", "--port", "0", "--bucket", BUCKET], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(binary, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@dataclass(frozen=True)
class Traffic:
    """What a store was asked: requests for data and metadata of objects below a prefix, and all others."""

    requests: int
    received: int
    others: int

    @classmethod
    def below(cls, lines: Iterable[Line], prefix: str) -> Traffic:
        """Of these lines; ``received`` are the bytes of bodies of answers to reads below ``prefix``, wanted or not."""
        lines = list(lines)
        marks = (f"/o/{prefix}", f"/o/{prefix.replace('/', '%2F')}", f"/{BUCKET}/{prefix}")
        reads = [line for line in lines if line.method in ("GET", "HEAD") and any(mark in line.target for mark in marks)]
        return cls(len(reads), sum(line.bytes_out for line in reads), len(lines) - len(reads))


@dataclass(frozen=True)
class Ran:
    """A command that ended: its output, seconds of wall time and CPU time, of itself and of all its descendants."""

    stdout: str
    stderr: str
    seconds: float
    cpu: float


def run(command: Sequence[str], environment: Mapping[str, str], limit: float = 600) -> Ran:
    """Runs a command. One that fails ends the benchmark with its errors; its descendants are waited for."""
    with tempfile.NamedTemporaryFile("r") as told:
        wrapped = [sys.executable, __file__, told.name, *command]
        ran = subprocess.run(wrapped, env=environment, capture_output=True, text=True, timeout=limit)
        if ran.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\nfailed ({ran.returncode}):\n{ran.stdout[-2000:]}\n{ran.stderr[-6000:]}")
        return Ran(ran.stdout, ran.stderr, **json.load(told))


def _run_and_tell(told: str, command: list[str]) -> int:
    """Runs a command as the parent of what it leaves behind: a JVM outlives the Python that started it by a moment."""
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    began = time.perf_counter()
    process = subprocess.Popen(command)
    code = process.wait()
    seconds = time.perf_counter() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(told).write_text(json.dumps({"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime}))
    return code


def turns(rows: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Each row once a round, the order turned by one each time."""
    for number in range(rounds):
        turn = number % len(rows)
        for row in [*rows[turn:], *rows[:turn]]:
            yield number, row


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, least and most; one value alone as it is."""
    median = f"{statistics.median(values):.{digits}f}"
    return median if len(values) == 1 else f"{median} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Prints a table of Markdown."""
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for line in lines:
        print(f"| {' | '.join(str(cell) for cell in line)} |")
    print(flush=True)


def bar(what: str, value: float, limit: float, *, at_most: bool) -> None:
    """Prints whether a value is where it must be."""
    reached = value <= limit if at_most else value >= limit
    print(f"Bar: {what} {value:.2f} {'≤' if at_most else '≥'} {limit:g}: {'reached' if reached else '**missed**'}.\n", flush=True)


def heading(packages: Sequence[str]) -> None:
    """Prints when, where and with which versions."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(
        f"{now} · {os.cpu_count()} cores, {platform.system()} {platform.release()} · load {os.getloadavg()[0]:.2f} · "
        f"Python {platform.python_version()}, {versions}\n",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(_run_and_tell(sys.argv[1], sys.argv[2:]))
