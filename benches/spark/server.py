# SPDX-License-Identifier: Apache-2.0
"""The store: one emulator in a process of its own, OCI and S3 on the same objects, and its record of what was asked."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows import BUCKET

#: The profile `oci-native`, at a constant rate: first byte 30 ms in the middle, 120 ms at p99.
MODEL = """
name = "oci-native at 90 MB/s a stream"
cold_connection = "5ms"
stream = "90MB/s"

[ttfb]
shift = "11ms"
median = "19ms"
sigma = 0.75
"""

#: The same without chance: each first byte after 30 ms.
CONSTANT = """
name = "30 ms, 90 MB/s a stream"
cold_connection = "5ms"
stream = "90MB/s"
ttfb = "30ms"
"""


@dataclass(frozen=True)
class Server:
    binary: str
    ready: dict[str, Any]

    @property
    def bucket(self) -> str:
        return f"oci://{BUCKET}@{self.ready['oci']['namespace']}"

    def copy(self, source: str, target: str) -> None:
        self._run("cp", "-r", "--concurrency", "32", source, target)

    def remove(self, prefix: str) -> None:
        self._run("rm", "-r", f"{self.bucket}/{prefix}")

    def between(self, began_ns: int, ended_ns: int) -> list[dict[str, Any]]:
        """The requests that were read in that time. To be asked when their clients have ended."""
        lines = json.loads(self._admin("GET", "/record"))
        return [line for line in lines if began_ns <= line["head_read_ns"] <= ended_ns]

    def forget(self) -> None:
        self._admin("DELETE", "/record")

    def model(self, text: str) -> None:
        self._admin("PUT", "/model", text)

    def _run(self, command: str, *arguments: str) -> str:
        about = self.ready["oci"]
        options = ["--endpoint", about["endpoint"], "--config-file", about["config_file"]]
        ran = subprocess.run([self.binary, command, *options, *arguments], capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise SystemExit(f"{command} {' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout

    def _admin(self, method: str, path: str, body: str | None = None) -> str:
        url = self.ready["admin"] + path
        request = urllib.request.Request(url, method=method, data=body.encode() if body else None)
        # No proxy of the environment stands between.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return answer.read().decode()


@contextmanager
def serve(binary: str, state: Path, data: Path, model: str = MODEL) -> Iterator[Server]:
    """An emulator that holds the data below `base/`, and then answers as the model says; at once by an empty one."""
    command = [binary, "serve", "--bucket", BUCKET, "--state", str(state)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        server = Server(binary, json.loads(process.stdout.readline()))
        server.copy(str(data), f"{server.bucket}/base/")
        if model:
            server.model(model)
        yield server
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def kinds(lines: list[dict[str, Any]]) -> Counter[str]:
    return Counter(kind(line["method"], line["target"]) for line in lines)


def kind(method: str, target: str) -> str:
    """What a request is, of either API; where nothing tells more, its method."""
    return next((name for asked, shape, name in KINDS if asked == method and re.fullmatch(shape, target)), method)


KINDS = [
    ("GET", r"/n/[^/]+/b/[^/]+/[ou](\?.*)?", "LIST"),
    ("GET", r"/[^/?]+/?\?.*(list-type|prefix|uploads).*", "LIST"),
    ("POST", r"/n/.*/actions/renameObject", "RENAME"),
    ("POST", r"/n/.*/actions/batchDeleteObjects|/[^/?]+/?\?delete.*", "BATCH DELETE"),
    ("POST", r"/n/[^/]+/b/[^/]+/u|.*\?uploads.*", "BEGIN PARTS"),
    ("POST", r".*\?uploadId=.*", "COMMIT PARTS"),
    ("PUT", r".*[?&](uploadPartNum|partNumber)=.*", "PART"),
    ("DELETE", r".*\?.*uploadId=.*", "ABORT PARTS"),
]


def in_short(line: dict[str, Any], began_ns: int) -> str:
    """A request in a line: when it came, how long its answer took, what was asked."""

    def since(when: int | None) -> str:
        return "     -" if when is None else f"{(when - began_ns) / 1e6:6.0f}"

    times = " ".join(map(since, (line["head_read_ns"], line["first_byte_ns"], line["last_byte_ns"])))
    asked = f"{kind(line['method'], line['target'])} {line['target']} {line['range'] or ''}"
    return f"{times} ms  connection {line['connection']:<5} {line['status']} {line['bytes_out']:>10}  {asked}"


def most_in_flight(lines: list[dict[str, Any]]) -> int:
    """The most requests that were under way at a time."""
    ends = [(line["last_byte_ns"] or line["head_read_ns"], -1) for line in lines]
    under_way = most = 0
    for _, change in sorted([*((line["head_read_ns"], 1) for line in lines), *ends]):
        under_way += change
        most = max(most, under_way)
    return most
